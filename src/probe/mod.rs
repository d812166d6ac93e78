//! Requests to a server at its own address: whether it is healthy, which version it runs, and how long it takes to
//! answer.
//!
//! Each request has its own connection, a deadline, and a limit for the answer. This module does not know holds and
//! runs.

mod request;
mod tls;
mod version;

use std::future::Future;
use std::pin::Pin;

use crate::engine::{Answer, Prober};
use crate::farm::HttpProbe;
use crate::plan::warm_up::Timed;
use crate::platform::Clock;

/// Sends probes over the network.
#[derive(Debug, Clone, Copy)]
pub struct NetworkProber {
    clock: Clock,
}

impl NetworkProber {
    /// A prober that measures by this clock.
    pub fn new(clock: Clock) -> Self {
        Self { clock }
    }
}

impl Prober for NetworkProber {
    fn probe(&self, address: String, probe: HttpProbe) -> Pin<Box<dyn Future<Output = Answer> + Send>> {
        Box::pin(send_and_judge(self.clock, address, probe, |probe, reply| {
            if reply.head.status.as_u16() != probe.expect {
                let (path, status) = (&probe.path, reply.head.status.as_u16());
                return Err(format!("answers {path} with {status} and not {}", probe.expect));
            }
            let read = |source| version::read(source, &reply.head.headers, &reply.body);
            let answer = probe.version.as_ref().map(read).transpose();
            answer.map_err(|why| format!("answers {} {why}", probe.path))
        }))
    }

    fn time(&self, address: String, probe: HttpProbe) -> Pin<Box<dyn Future<Output = Result<Timed, String>> + Send>> {
        Box::pin(send_and_judge(self.clock, address, probe, |_, reply| {
            Ok(Timed { status: reply.head.status.as_u16(), took: reply.took })
        }))
    }
}

/// Sends a request within the probe's timeout, and judges the reply.
async fn send_and_judge<T>(
    clock: Clock,
    address: String,
    probe: HttpProbe,
    judge: impl FnOnce(&HttpProbe, request::Reply) -> Result<T, String>,
) -> Result<T, String> {
    match tokio::time::timeout(probe.timeout.duration(), request::ask(clock, &address, &probe)).await {
        Ok(reply) => judge(&probe, reply?),
        Err(_) => Err(format!("did not answer {} within {}", probe.path, probe.timeout)),
    }
}
