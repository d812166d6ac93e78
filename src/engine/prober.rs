//! What the engine asks of whoever probes servers. `probe` does it over the network; a simulation does it otherwise.

use std::future::Future;
use std::pin::Pin;

use crate::farm::HttpProbe;

/// What a server answered: the version it told, if one was asked for, or why it is not well.
pub type Answer = Result<Option<String>, String>;

/// Asks one server once.
pub trait Prober: Send + Sync + 'static {
    /// Asks the server at `address` (host:port). Ends within the probe's own timeout.
    fn probe(&self, address: String, probe: HttpProbe) -> Pin<Box<dyn Future<Output = Answer> + Send>>;
}
