//! The commands of an application server over HTTP. Most come from a deploy hook with curl.

use std::io;
use std::sync::Arc;
use std::sync::atomic::Ordering;

use tokio::net::TcpStream;
use tokio::sync::mpsc;

use crate::app::Shared;
use crate::http::{Wire, bad};
use crate::request::{Path, Request, argument, plain};
use crate::running::{Order, order};

/// Serves one connection to the administration port.
pub(crate) async fn administer(stream: TcpStream, shared: Arc<Shared>, orders: mpsc::UnboundedSender<Order>) {
    let mut wire = Wire::new(stream);
    while let Ok(true) = serve_command(&mut wire, &shared, &orders).await {}
}

async fn serve_command(wire: &mut Wire, shared: &Shared, orders: &mpsc::UnboundedSender<Order>) -> io::Result<bool> {
    let Some(length) = wire.head().await? else {
        return Ok(false);
    };
    let request = Request::read(wire.text(length)?)?;
    wire.consume(length);
    wire.body(request.length, &mut Vec::new()).await?;
    let Path::Other(target) = &request.path else {
        wire.write(&plain("404 Not Found", "", "", false, request.keep)).await?;
        return Ok(request.keep);
    };
    let (path, query) = target.split_once('?').unwrap_or((target, ""));
    let outcome = match (request.post, path) {
        (true, "/replace") => match argument(query, "version") {
            Some(version) => {
                let version = version.to_owned();
                order(orders, |done| Order::Replace(version, done)).await
            }
            None => Err(bad("version?")),
        },
        (true, "/stop") => order(orders, Order::Stop).await,
        (true, "/start") => order(orders, Order::Start).await,
        (true, "/healthy" | "/unhealthy") => {
            shared.healthy.store(path == "/healthy", Ordering::SeqCst);
            Ok(())
        }
        (false, "/state") => Ok(()),
        _ => Err(bad("no such command")),
    };
    let (status, body) = match outcome {
        Ok(()) => ("200 OK", state(shared)),
        Err(error) => ("500 Internal Server Error", format!("{error}\n")),
    };
    wire.write(&plain(status, "", &body, request.head_only, request.keep)).await?;
    Ok(request.keep)
}

fn state(shared: &Shared) -> String {
    let state = serde_json::json!({
        "name": shared.name,
        "version": shared.version(),
        "in_flight": shared.in_flight.load(Ordering::SeqCst),
        "served": shared.served.load(Ordering::SeqCst),
        "broken": shared.broken.load(Ordering::SeqCst),
        "abandoned": shared.abandoned.load(Ordering::SeqCst),
        "last_answer": shared.last_answer.load(Ordering::SeqCst),
        "healthy": shared.healthy.load(Ordering::SeqCst),
    });
    format!("{state}\n")
}
