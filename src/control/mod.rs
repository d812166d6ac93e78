//! The control socket: HTTP and JSON over a UNIX socket, so that `curl --unix-socket` is a full client.

/// What goes over it.
pub mod api;
/// The client that the command line uses.
pub mod client;
/// Text that is fit for a terminal.
pub mod harmless;
mod output;
mod peer;
mod problem;
mod read;
mod runs;
mod server;
/// Making the socket itself.
pub mod socket;

pub use peer::Peer;
pub use server::{openapi_document, router, serve};
