//! Accepts connections on the control socket, within bounds of number and time.

use std::io::{self, Read as _, Write as _};
use std::pin::pin;
use std::sync::Arc;
use std::time::Duration;

use axum::Router;
use axum::extract::ConnectInfo;
use hyper::Request;
use hyper::body::Incoming;
use hyper::server::conn::http1;
use hyper::service::{Service, service_fn};
use hyper_util::rt::{TokioIo, TokioTimer};
use hyper_util::server::graceful::{GracefulShutdown, Watcher};
use hyper_util::service::TowerToHyperService;
use tokio::net::{UnixListener, UnixStream};
use tokio::sync::{Semaphore, mpsc, watch};
use tokio_io_timeout::TimeoutStream;

use super::bounds::{Bounds, Full, HEAD_TAKES, Kind, LONGEST_HEAD, READER_TAKES, REJECTED_KEPT_OPEN};
use super::desk::Desk;
use super::gate::Gate;
use super::peer::Credentials;
use super::permit::Access;
use super::problem::Failure;
use super::server::gated;
use crate::engine::Engine;

/// Serves the control socket until `stop` is ready, then until the last answer is sent. A listener from `listeners`
/// replaces a socket that was removed.
pub async fn serve(
    engine: Arc<Engine>,
    access: watch::Receiver<Access>,
    listener: UnixListener,
    mut listeners: mpsc::Receiver<UnixListener>,
    stop: impl Future<Output = ()>,
) {
    let bounds = Bounds::new();
    let router = gated(Gate { engine: Arc::clone(&engine), access, bounds: Arc::clone(&bounds), desk: Desk::new() });
    let graceful = GracefulShutdown::new();
    let kept_open = Arc::new(Semaphore::new(REJECTED_KEPT_OPEN));
    engine.set_trouble(FILES, bounds.too_few_files());
    let (mut stop, mut listener) = (pin!(stop), listener);
    loop {
        let accepted = tokio::select! {
            () = &mut stop => break,
            Some(new) = listeners.recv() => {
                listener = new;
                continue;
            }
            accepted = listener.accept() => accepted,
        };
        let stream = match accepted {
            Ok((stream, _)) => stream,
            Err(error) => {
                tracing::warn!("cannot accept a connection on the control socket: {error}");
                tokio::time::sleep(ACCEPT_RETRY_INTERVAL).await;
                continue;
            }
        };
        let uid = stream.peer_cred().map_or(u32::MAX, |cred| cred.uid());
        match bounds.take(uid, Kind::Connection) {
            Ok(place) => {
                let (credentials, router, watcher) =
                    (Credentials::from_stream(&stream), router.clone(), graceful.watcher());
                tokio::spawn(async move {
                    connection(stream, credentials, router, watcher).await;
                    drop(place);
                });
            }
            Err(full) => {
                tracing::debug!(uid, "connection over the limit on the control socket");
                // An error means that the client has disconnected.
                let _ = reject(stream, full, &kept_open);
            }
        }
    }
    graceful.shutdown().await;
}

async fn connection(stream: UnixStream, credentials: Credentials, router: Router, watcher: Watcher) {
    let peer = credentials.peer().await;
    let service = service_fn(move |mut request: Request<Incoming>| {
        request.extensions_mut().insert(ConnectInfo(peer.clone()));
        TowerToHyperService::new(router.clone()).call(request)
    });
    let mut stream = TimeoutStream::new(stream);
    stream.set_write_timeout(Some(READER_TAKES));
    let io = TokioIo::new(Box::pin(stream));
    // A client that disconnected or was too slow needs no log line.
    let _ = watcher.watch(http().serve_connection(io, service)).await;
}

/// Sends the client the reason why its connection is not served. A client that is still sending its request could miss
/// this answer, so some connections stay open for a moment.
fn reject(stream: UnixStream, full: Full, kept_open: &Arc<Semaphore>) -> io::Result<()> {
    let mut stream = stream.into_std()?;
    // The answer fits into the empty send buffer of a new connection.
    stream.write_all(&Failure::full(full).whole())?;
    let mut request = [0; 4096];
    match stream.read(&mut request) {
        Err(error) if error.kind() == io::ErrorKind::WouldBlock => {}
        read => return read.map(drop),
    }
    if let Ok(permit) = Arc::clone(kept_open).try_acquire_owned() {
        let stream = UnixStream::from_std(stream)?;
        tokio::spawn(async move {
            let _ = tokio::time::timeout(REJECTED_STAYS, stream.readable()).await;
            drop((stream, permit));
        });
    }
    Ok(())
}

pub(super) fn http() -> http1::Builder {
    let mut http = http1::Builder::new();
    http.timer(TokioTimer::new()).header_read_timeout(HEAD_TAKES);
    // The gate answers slightly oversized requests with a problem document; hyper answers larger ones.
    http.max_buf_size(2 * LONGEST_HEAD);
    http
}

/// The name under which a problem with the limit of open files is reported.
const FILES: &str = "open files";

/// The pause after a failed accept: without a free file descriptor an immediate attempt would fail as well.
pub(super) const ACCEPT_RETRY_INTERVAL: Duration = Duration::from_millis(100);

/// Time for a rejected client to send its request, and then to read the answer.
const REJECTED_STAYS: Duration = Duration::from_secs(1);
