//! The answers of an application server in HTTP/2 without TLS: many requests on one connection.

use std::sync::Arc;
use std::sync::atomic::Ordering;

use bytes::Bytes;
use h2::server::SendResponse;
use http::{Response, StatusCode};
use tokio::net::TcpStream;
use tokio::task::JoinSet;
use tokio::time::sleep;

use crate::app::Shared;
use crate::generation::Generation;
use crate::http1::{Flight, time_within};
use crate::request::Path;

/// Serves one connection until either side closes it.
pub(crate) async fn serve(stream: TcpStream, shared: Arc<Shared>, generation: Arc<Generation>) {
    let _ = stream.set_nodelay(true);
    let Ok(mut connection) = h2::server::handshake(stream).await else { return };
    // The requests end with the connection's task.
    let mut requests = JoinSet::new();
    while let Some(Ok((request, respond))) = connection.accept().await {
        let target = request.uri().path_and_query().map_or("/", |target| target.as_str());
        let path = Path::read(target);
        let (shared, generation) = (Arc::clone(&shared), Arc::clone(&generation));
        requests.spawn(async move {
            // The body is not used, but it must be accepted.
            let _body = request.into_body();
            let _ = answer(respond, &path, &shared, &generation).await;
        });
        while requests.try_join_next().is_some() {}
    }
}

async fn answer(
    mut respond: SendResponse<Bytes>,
    path: &Path,
    shared: &Shared,
    generation: &Generation,
) -> Result<(), h2::Error> {
    let mut flight = Flight::new(shared, generation);
    flight.begin(path);
    let (status, body) = match path {
        Path::Root => {
            if !shared.work.is_empty() {
                sleep(time_within(&shared.work)).await;
            }
            (StatusCode::OK, "hello\n")
        }
        Path::Slow(time) | Path::Stream(time) => {
            sleep(*time).await;
            (StatusCode::OK, "slow\n")
        }
        Path::Status if shared.healthy.load(Ordering::SeqCst) => (StatusCode::OK, "healthy\n"),
        Path::Status => (StatusCode::SERVICE_UNAVAILABLE, "unhealthy\n"),
        Path::About | Path::Ws | Path::Other(_) => (StatusCode::NOT_FOUND, "no such page\n"),
    };
    let mut head = Response::builder().status(status);
    for line in generation.marks.lines() {
        if let Some((name, value)) = line.split_once(": ") {
            head = head.header(name, value);
        }
    }
    let Ok(head) = head.body(()) else { return Ok(()) };
    flight.end();
    respond.send_response(head, false)?.send_data(Bytes::from_static(body.as_bytes()), true)?;
    flight.finish(path);
    Ok(())
}
