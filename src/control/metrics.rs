//! The metrics: on the control socket, and on separate sockets that serve nothing else.

use std::io;
use std::sync::Arc;

use axum::Router;
use axum::extract::{Extension, State};
use axum::http::{HeaderMap, header};
use axum::response::{IntoResponse, Response};
use axum::routing::get;
use hyper_util::rt::TokioIo;
use hyper_util::service::TowerToHyperService;
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::net::{TcpListener, UnixListener};
use tokio::sync::Semaphore;
use tokio_io_timeout::TimeoutStream;

use super::answer::{DeskAnswer, Shared};
use super::answers::read;
use super::bounds::READER_TAKES;
use super::desk::{ReadKind, Reader};
use super::listen::{ACCEPT_RETRY_INTERVAL, http};
use super::problem::Failure;
use super::refusals;
use crate::engine::Engine;
use crate::metrics::{self, Format};

pub(super) fn routes() -> Router<Arc<Engine>> {
    Router::new().route("/metrics", get(metrics))
}

#[utoipa::path(get, path = "/metrics", responses((status = 200, content_type = "application/openmetrics-text", body = String)))]
pub(super) async fn metrics(State(engine): Shared, reader: Extension<Reader>, headers: HeaderMap) -> DeskAnswer {
    let format = accepted(&headers);
    read(engine, &reader, ReadKind::Cheap, async move |engine: Arc<Engine>| document(&engine, format)).await
}

/// The metrics as a text.
///
/// # Errors
/// The text cannot be written. Writing to memory never fails.
pub fn metrics_text(engine: &Engine, format: Format) -> Result<String, std::fmt::Error> {
    metrics::encode(engine.numbers(), refusals::counts(), format)
}

/// A separate socket for the metrics.
#[derive(Debug)]
pub enum MetricsListener {
    /// A UNIX socket.
    Unix(UnixListener),
    /// A TCP socket.
    Tcp(TcpListener),
}

/// Serves `GET /metrics` on a separate socket, without roles: every user who may open the socket may read the metrics.
/// Never ends.
pub async fn serve_metrics(engine: Arc<Engine>, listener: MetricsListener) {
    let scrape = async |State(engine): Shared, headers: HeaderMap| document(&engine, accepted(&headers));
    let router = Router::new().route("/metrics", get(scrape)).with_state(engine);
    let places = Arc::new(Semaphore::new(CONNECTIONS));
    loop {
        // Further clients wait in the queue of the listener.
        let Ok(place) = Arc::clone(&places).acquire_owned().await else { return };
        let stream = match listener.accept().await {
            Ok(stream) => stream,
            Err(error) => {
                tracing::warn!("cannot accept a connection for metrics: {error}");
                tokio::time::sleep(ACCEPT_RETRY_INTERVAL).await;
                continue;
            }
        };
        let service = TowerToHyperService::new(router.clone());
        tokio::spawn(async move {
            let mut stream = TimeoutStream::new(stream);
            stream.set_write_timeout(Some(READER_TAKES));
            // A client that disconnected or was too slow needs no log line.
            let _ = http().serve_connection(TokioIo::new(Box::pin(stream)), service).await;
            drop(place);
        });
    }
}

/// A connection of either kind.
trait Connection: AsyncRead + AsyncWrite + Send + Unpin {}

impl<S: AsyncRead + AsyncWrite + Send + Unpin> Connection for S {}

impl MetricsListener {
    async fn accept(&self) -> io::Result<Box<dyn Connection>> {
        Ok(match self {
            Self::Unix(listener) => Box::new(listener.accept().await?.0) as Box<dyn Connection>,
            Self::Tcp(listener) => Box::new(listener.accept().await?.0),
        })
    }
}

fn accepted(headers: &HeaderMap) -> Format {
    Format::accepted(headers.get(header::ACCEPT).and_then(|accept| accept.to_str().ok()))
}

fn document(engine: &Engine, format: Format) -> Result<Response, Failure> {
    let text = metrics_text(engine, format).map_err(|error| Failure::unwritten(&error))?;
    Ok(([(header::CONTENT_TYPE, format.content_type())], text).into_response())
}

/// The greatest number of connections to one socket at a time.
const CONNECTIONS: usize = 16;
