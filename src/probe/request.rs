//! Sends one request and reads its whole answer.

use std::time::Duration;

use http_body_util::{BodyExt, Empty, Limited};
use hyper::Request;
use hyper::body::Bytes;
use hyper::rt::{Read, Write};
use hyper_util::rt::TokioIo;
use tokio::net::TcpStream;

use super::tls;
use crate::farm::HttpProbe;
use crate::platform::Clock;

/// A complete answer.
pub(super) struct Reply {
    pub(super) head: http::response::Parts,
    pub(super) body: Bytes,
    /// The time from the request to the last byte. The time to connect does not count, because the application does no
    /// work for it.
    pub(super) took: Duration,
}

/// Sends one request to the server at `address`, on a new connection.
pub(super) async fn ask(clock: Clock, address: &str, probe: &HttpProbe) -> Result<Reply, String> {
    let host = address.rsplit_once(':').map_or(address, |(host, _)| host);
    let address = probe.port.map_or_else(|| address.to_owned(), |port| format!("{host}:{port}"));
    let failed = |problem: &str, error: &dyn std::fmt::Display| format!("{problem} at {address}: {error}");
    let stream = TcpStream::connect(&address).await.map_err(|error| failed("no connection", &error))?;
    match &probe.tls {
        None => exchange(TokioIo::new(stream), clock, &address, probe).await,
        Some(trust) => {
            let name = trust.server_name.as_deref().or(probe.host.as_deref().map(without_port)).unwrap_or(host);
            let stream = tls::connect(trust, name, stream).await.map_err(|error| failed("no TLS", &error))?;
            exchange(TokioIo::new(stream), clock, &address, probe).await
        }
    }
}

async fn exchange(
    stream: impl Read + Write + Unpin + Send + 'static,
    clock: Clock,
    address: &str,
    probe: &HttpProbe,
) -> Result<Reply, String> {
    let failed = |problem: &str, error: &dyn std::fmt::Display| format!("{problem} at {address}: {error}");
    let (mut sender, connection) =
        hyper::client::conn::http1::handshake(stream).await.map_err(|error| failed("no HTTP", &error))?;
    let driver = tokio::spawn(connection);
    let request = Request::get(&probe.path)
        .header(http::header::HOST, probe.host.as_deref().unwrap_or(address))
        .header(http::header::USER_AGENT, concat!("teeter/", env!("CARGO_PKG_VERSION")))
        .header(http::header::CONNECTION, "close")
        .body(Empty::<Bytes>::new())
        .map_err(|error| failed("no request", &error))?;
    let started = clock.mark();
    let answer = sender.send_request(request).await.map_err(|error| failed("no answer", &error))?;
    let (head, body) = answer.into_parts();
    // A server that cannot finish its answer is unhealthy.
    let body = Limited::new(body, LONGEST).collect().await.map_err(|error| failed("a broken answer", &error))?;
    let took = started.elapsed();
    driver.abort();
    Ok(Reply { head, body: body.to_bytes(), took })
}

/// The host name in a Host header, without the port.
fn without_port(host: &str) -> &str {
    host.rsplit_once(':')
        .filter(|(_, port)| port.bytes().all(|byte| byte.is_ascii_digit()))
        .map_or(host, |(name, _)| name)
}

/// The greatest length of an answer's body, in bytes.
const LONGEST: usize = 4 << 20;
