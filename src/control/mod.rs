//! The control socket: HTTP and JSON over a UNIX socket, so that `curl --unix-socket` is a full client.

mod bounds;
mod answer;
mod answers;
/// The client that the command line uses.
pub mod client;
mod desk;
/// Makes untrusted text safe to print.
pub mod harmless;
mod farm_runs;
mod gate;
mod listen;
mod metrics;
mod output;
mod page;
mod peer;
mod permit;
mod problem;
mod read;
mod refusals;
mod role;
mod runs;
mod server;
/// Creates the control socket in the file system.
pub mod socket;
mod store;

pub use listen::serve;
pub use metrics::{MetricsListener, metrics_text, serve_metrics};
pub use peer::Peer;
pub use permit::Access;
pub use role::{Grantee, Role, Roles};
pub use server::{openapi_document, router};
