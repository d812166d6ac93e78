//! The accepting end of the control socket: connections in, each with its bounds in time and number.

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

use super::bounds::{Bounds, Full, HEAD_TAKES, Kind, LONGEST_HEAD, READER_TAKES, TOLD_SO};
use super::desk::Desk;
use super::gate::Gate;
use super::peer::Credentials;
use super::permit::Access;
use super::problem::Failure;
use super::server::gated;
use crate::engine::Engine;

/// Serves the control socket until `stop` is ready, then until the last answer is sent. What comes `again` takes the place
/// of a socket that is gone.
pub async fn serve(
    engine: Arc<Engine>,
    access: watch::Receiver<Access>,
    listener: UnixListener,
    mut again: mpsc::Receiver<UnixListener>,
    stop: impl Future<Output = ()>,
) {
    let bounds = Bounds::new();
    let router = gated(Gate { engine: Arc::clone(&engine), access, bounds: Arc::clone(&bounds), desk: Desk::new() });
    let graceful = GracefulShutdown::new();
    let told = Arc::new(Semaphore::new(TOLD_SO));
    engine.set_trouble(FILES, bounds.too_few_files());
    let (mut stop, mut listener) = (pin!(stop), listener);
    loop {
        let accepted = tokio::select! {
            () = &mut stop => break,
            Some(new) = again.recv() => {
                listener = new;
                continue;
            }
            accepted = listener.accept() => accepted,
        };
        let stream = match accepted {
            Ok((stream, _)) => stream,
            Err(error) => {
                tracing::warn!("no connection can be accepted on the control socket: {error}");
                tokio::time::sleep(ACCEPT_AGAIN).await;
                continue;
            }
        };
        let uid = stream.peer_cred().map_or(u32::MAX, |cred| cred.uid());
        match bounds.take(uid, Kind::Connection) {
            Ok(place) => {
                let (credentials, router, watcher) = (Credentials::of(&stream), router.clone(), graceful.watcher());
                tokio::spawn(async move {
                    connection(stream, credentials, router, watcher).await;
                    drop(place);
                });
            }
            Err(full) => {
                tracing::debug!(uid, "a connection too many on the control socket");
                // Whoever cannot be told any more has gone.
                turn_away(stream, full, &told).unwrap_or_default();
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
    // That a client has gone, or was too slow, is its own affair.
    watcher.watch(http().serve_connection(io, service)).await.unwrap_or_default();
}

/// Says why a connection is not served. Whoever still sends their request may take its end for the answer, so some are
/// given a moment.
fn turn_away(stream: UnixStream, full: Full, told: &Arc<Semaphore>) -> io::Result<()> {
    let mut stream = stream.into_std()?;
    // It is short enough for the buffer of a connection that nothing was written to.
    stream.write_all(&Failure::full(full).whole())?;
    let mut request = [0; 4096];
    match stream.read(&mut request) {
        Err(error) if error.kind() == io::ErrorKind::WouldBlock => {}
        read => return read.map(drop),
    }
    if let Ok(permit) = Arc::clone(told).try_acquire_owned() {
        let stream = UnixStream::from_std(stream)?;
        tokio::spawn(async move {
            tokio::time::timeout(TOLD_WITHIN, stream.readable()).await.ok();
            drop((stream, permit));
        });
    }
    Ok(())
}

fn http() -> http1::Builder {
    let mut http = http1::Builder::new();
    http.timer(TokioTimer::new()).header_read_timeout(HEAD_TAKES);
    // What is a little too long is answered by the gate, in words; what does not even fit here, by hyper.
    http.max_buf_size(2 * LONGEST_HEAD);
    http
}

/// What a trouble with the limit of files is filed under.
const FILES: &str = "open files";

/// Where no file can be opened any more, the next attempt has the same end.
const ACCEPT_AGAIN: Duration = Duration::from_millis(100);

/// Whoever is not served has this long to send a request, and then to read why.
const TOLD_WITHIN: Duration = Duration::from_secs(1);
