//! The checks that every request passes before it is handled: bounds, and the role of its sender.

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
use super::permit::{self, Access, AuthorizedCaller};
use super::problem::{Failure, PROBLEM};
use crate::engine::Engine;

/// What the gate needs.
pub(super) struct Gate {
    pub(super) engine: Arc<Engine>,
    pub(super) access: watch::Receiver<Access>,
    pub(super) bounds: Arc<Bounds>,
    pub(super) desk: Arc<Desk>,
}

/// Passes a request on, and keeps its sender's place occupied until the last byte of the answer is sent.
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
    page::no_page_header(request.headers())?;
    let caller = AuthorizedCaller::authorize(&peer, &gate.access).await?;
    caller.may_send(request.method(), path.as_deref().ok_or_else(|| request.uri().path()))?;
    let asked = format!("{} {}", request.method(), request.uri().path());
    page::has_json_content_type(request.method(), request.headers(), &asked)?;
    let reader = Reader { desk: Arc::clone(&gate.desk), uid: peer.caller.uid };
    let ended = path.filter(|_| kind == Kind::Stream).map(|path| {
        let lost = permit::lost(peer, gate.access.clone(), request.method().clone(), path);
        // A stream would otherwise go on for as long as its reader wants.
        Box::pin(async move {
            lost.await;
            None
        }) as Ends
    });
    let (mut parts, body) = request.into_parts();
    let body = read(body).await?;
    let waiting = caller.by.cancel_on_drop();
    parts.extensions.insert(caller);
    parts.extensions.insert(reader);
    let answer = next.run(Request::from_parts(parts, Body::from(body)));
    let answered = async move { (answer.await, place) };
    let (answer, place) = if changes {
        // If the client disconnects before the change starts, drop the change. After that, finish it and keep its place
        // occupied.
        gate.engine.carry_through(answered).await?
    } else {
        answered.await
    };
    drop(waiting);
    Ok(until_sent(as_problem(answer, &asked).await, place, ended))
}

/// Paths whose answers are streams without an end.
const STREAMS: [&str; 2] = ["/v1/events/stream", "/v1/runs/{id}/attend"];

/// Turns a refusal of the router or of its extractors into a problem document.
async fn as_problem(answer: Response, asked: &str) -> Response {
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
