//! The interface by which the engine probes servers. `probe` implements it over the network, a simulation without one.

use std::future::Future;
use std::pin::Pin;

use crate::farm::HttpProbe;
use crate::plan::warm_up::Timed;

/// The answer of a server: its version, if the probe reads one, or why the server is unhealthy.
pub type Answer = Result<Option<String>, String>;

/// Asks one server once. Both end within the probe's own timeout.
pub trait Prober: Send + Sync + 'static {
    /// Asks the server at `address` (host:port) whether it is healthy.
    fn probe(&self, address: String, probe: HttpProbe) -> Pin<Box<dyn Future<Output = Answer> + Send>>;

    /// Measures how long the server at `address` takes to answer; any status is an answer.
    fn time(&self, address: String, probe: HttpProbe) -> Pin<Box<dyn Future<Output = Result<Timed, String>> + Send>>;
}
