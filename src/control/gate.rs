//! What every request passes before it is looked at: bounds, and whether its sender may send it.

use std::sync::Arc;

use axum::body::{Body, Bytes};
use axum::extract::{ConnectInfo, MatchedPath, Request, State};
use axum::http::header;
use axum::middleware::Next;
use axum::response::{IntoResponse as _, Response};
use http_body_util::{BodyExt as _, LengthLimitError, Limited};
use tokio::sync::watch;

use super::answers::{Ends, until_sent};
use super::bounds::{BODY_TAKES, Bounds, Kind, LONGEST_BODY, LONGEST_HEAD};
use super::desk::{Desk, Reader};
use super::page;
use super::peer::Peer;
use super::permit::{self, Access, Asker};
use super::problem::{Failure, PROBLEM};
use crate::engine::Engine;

/// What is asked at the gate.
pub(super) struct Gate {
    pub(super) engine: Arc<Engine>,
    pub(super) access: watch::Receiver<Access>,
    pub(super) bounds: Arc<Bounds>,
    pub(super) desk: Arc<Desk>,
}

/// Lets a request pass, and holds its sender's place until the last byte of the answer is sent.
pub(super) async fn gate(
    State(gate): State<Arc<Gate>>,
    ConnectInfo(peer): ConnectInfo<Peer>,
    request: Request,
    next: Next,
) -> Result<Response, Failure> {
    let path = request.extensions().get::<MatchedPath>().map(|path| path.as_str().to_owned());
    let changes = !request.method().is_safe();
    let kind = match path.as_deref() {
        Some(path) if STREAMS.contains(&path) => Kind::Stream,
        _ if changes => Kind::Change,
        _ => Kind::Request,
    };
    let place = gate.bounds.take(peer.caller.uid, kind).map_err(Failure::full)?;
    if head(&request) > LONGEST_HEAD {
        return Err(Failure::long_head());
    }
    page::is_not_asking(request.headers())?;
    let asker = Asker::of(&peer, &gate.access).await?;
    asker.may_send(request.method(), path.as_deref().ok_or_else(|| request.uri().path()))?;
    let asked = format!("{} {}", request.method(), request.uri().path());
    page::could_not_ask(request.method(), request.headers(), &asked)?;
    let reader = Reader { desk: Arc::clone(&gate.desk), uid: peer.caller.uid };
    let ended = path.filter(|_| kind == Kind::Stream).map(|path| {
        let lost = permit::lost(peer, gate.access.clone(), request.method().clone(), path);
        // It would otherwise go on for as long as its reader likes.
        Box::pin(async move {
            lost.await;
            None
        }) as Ends
    });
    let (mut parts, body) = request.into_parts();
    let body = read(body).await?;
    let waiting = asker.by.waits();
    parts.extensions.insert(asker);
    parts.extensions.insert(reader);
    let answer = next.run(Request::from_parts(parts, Body::from(body)));
    let answered = async move { (answer.await, place) };
    let (answer, place) = if changes {
        // A caller that goes away takes back what has not begun. It must not stop half way what has, nor have another
        // place for it.
        gate.engine.carry_through(answered).await?
    } else {
        answered.await
    };
    drop(waiting);
    Ok(until_sent(in_words(answer, &asked).await, place, ended))
}

/// The paths whose answers do not end by themselves.
const STREAMS: [&str; 2] = ["/v1/events/stream", "/v1/runs/{id}/attend"];

/// An answer that says no without a problem document, as one: what the router and its extractors refuse by themselves.
async fn in_words(answer: Response, asked: &str) -> Response {
    let status = answer.status();
    let is_document = answer.headers().get(header::CONTENT_TYPE).is_some_and(|kind| kind == PROBLEM);
    if is_document || !(status.is_client_error() || status.is_server_error()) {
        return answer;
    }
    let said = Limited::new(answer.into_body(), LONGEST_BODY).collect().await.map(|body| body.to_bytes());
    let said = String::from_utf8_lossy(&said.unwrap_or_default()).trim().to_owned();
    Failure::plain(status, asked, &said).into_response()
}

fn head(request: &Request) -> usize {
    let line = request.uri().path_and_query().map_or(0, |path| path.as_str().len());
    let headers = request.headers().iter().map(|(name, value)| name.as_str().len() + value.len() + ": \r\n".len());
    line + headers.sum::<usize>()
}

async fn read(body: Body) -> Result<Bytes, Failure> {
    let read = Limited::new(body, LONGEST_BODY).collect();
    match tokio::time::timeout(BODY_TAKES, read).await {
        Ok(Ok(body)) => Ok(body.to_bytes()),
        Ok(Err(error)) if error.is::<LengthLimitError>() => Err(Failure::long_body()),
        Ok(Err(error)) => Err(Failure::usage(format!("the body cannot be read: {error}"))),
        Err(_) => Err(Failure::slow_body()),
    }
}
