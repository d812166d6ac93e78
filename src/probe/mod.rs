//! Asking a server itself, at its own address, whether it is well and which version it runs.
//!
//! One request on one connection, with a deadline and a bounded answer; knows nothing of holds and runs.

use std::future::Future;
use std::pin::Pin;
use std::time::Duration;

use http_body_util::{BodyExt, Empty, Limited};
use hyper::Request;
use hyper::body::Bytes;
use hyper_util::rt::TokioIo;
use tokio::net::TcpStream;

use crate::engine::{Answer, Prober};
use crate::farm::HttpProbe;

/// Probes over the network.
#[derive(Debug, Clone, Copy, Default)]
pub struct NetworkProber;

impl Prober for NetworkProber {
    fn probe(&self, address: String, probe: HttpProbe) -> Pin<Box<dyn Future<Output = Answer> + Send>> {
        Box::pin(async move {
            let timeout: Duration = probe.timeout.duration();
            match tokio::time::timeout(timeout, ask(&address, &probe)).await {
                Ok(answer) => answer,
                Err(_) => Err(format!("did not answer {} within {}", probe.path, probe.timeout)),
            }
        })
    }
}

async fn ask(address: &str, probe: &HttpProbe) -> Answer {
    let address = match (probe.port, address.rsplit_once(':')) {
        (Some(port), Some((host, _))) => format!("{host}:{port}"),
        _ => address.to_owned(),
    };
    let failed = |what: &str, error: &dyn std::fmt::Display| format!("{what} at {address}: {error}");
    let stream = TcpStream::connect(&address).await.map_err(|error| failed("no connection", &error))?;
    let (mut sender, connection) =
        hyper::client::conn::http1::handshake(TokioIo::new(stream)).await.map_err(|error| failed("no HTTP", &error))?;
    let driver = tokio::spawn(connection);
    let request = Request::get(&probe.path)
        .header(http::header::HOST, probe.host.as_deref().unwrap_or(&address))
        .header(http::header::USER_AGENT, concat!("teeter/", env!("CARGO_PKG_VERSION")))
        .header(http::header::CONNECTION, "close")
        .body(Empty::<Bytes>::new())
        .map_err(|error| failed("no request", &error))?;
    let answer = sender.send_request(request).await.map_err(|error| failed("no answer", &error))?;
    let (head, body) = answer.into_parts();
    // A server that cannot finish its answer is not well.
    Limited::new(body, LONGEST).collect().await.map_err(|error| failed("a broken answer", &error))?;
    driver.abort();
    if head.status.as_u16() != probe.expect {
        return Err(format!("answers {} with {} and not {}", probe.path, head.status.as_u16(), probe.expect));
    }
    let Some(source) = &probe.version else { return Ok(None) };
    match head.headers.get(&source.header).and_then(|value| value.to_str().ok()) {
        Some(version) => Ok(Some(version.trim().to_owned())),
        None => Err(format!("answers {} without the header {} that tells its version", probe.path, source.header)),
    }
}

const LONGEST: usize = 4 << 20;
