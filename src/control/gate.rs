//! The checks that every request passes before it is handled: bounds, and the role of its sender.

use std::sync::Arc;

use axum::body::{Body, Bytes};
use axum::extract::{ConnectInfo, MatchedPath, Request, State};
use axum::http::header;
use axum::middleware::Next;
use axum::response::{IntoResponse as _, Response};
use http_body_util::{BodyExt as _, LengthLimitError, Limited};
use tokio::sync::watch;

use super::answers::{EarlyEnd, until_sent};
use super::bounds::{BODY_TAKES, Bounds, Kind, LONGEST_BODY, LONGEST_HEAD};
use super::desk::{Desk, Reader};
use super::page;
use super::peer::Peer;
use super::permit::{self, Access, AuthorizedCaller};
use super::problem::{Failure, PROBLEM};
use crate::engine::Engine;

/// The objects that the checks of the gate use.
pub(super) struct Gate {
    pub(super) engine: Arc<Engine>,
    pub(super) access: watch::Receiver<Access>,
    pub(super) bounds: Arc<Bounds>,
    pub(super) desk: Arc<Desk>,
}

/// Checks a request and passes it on. The sender's place stays occupied until the last byte of the answer is sent.
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
    let request_line = format!("{} {}", request.method(), request.uri().path());
    page::has_json_content_type(request.method(), request.headers(), &request_line)?;
    let reader = Reader { desk: Arc::clone(&gate.desk), uid: peer.caller.uid };
    let end = path.filter(|_| kind == Kind::Stream).map(|path| {
        let role_lost = permit::role_lost(peer, gate.access.clone(), request.method().clone(), path);
        // A stream has no end of its own, so it must end when its reader loses the role.
        Box::pin(async move {
            role_lost.await;
            None
        }) as EarlyEnd
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
    Ok(until_sent(as_problem(answer, &request_line).await, place, end))
}

/// Paths whose answers are streams without an end.
const STREAMS: [&str; 2] = ["/v1/events/stream", "/v1/runs/{id}/attend"];

/// Replaces a refusal of the router or of its extractors by a problem document.
async fn as_problem(answer: Response, request_line: &str) -> Response {
    let status = answer.status();
    let is_document = answer.headers().get(header::CONTENT_TYPE).is_some_and(|kind| kind == PROBLEM);
    if is_document || !(status.is_client_error() || status.is_server_error()) {
        return answer;
    }
    let body = Limited::new(answer.into_body(), LONGEST_BODY).collect().await.map(|body| body.to_bytes());
    let body = body.unwrap_or_default();
    Failure::plain(status, request_line, String::from_utf8_lossy(&body).trim()).into_response()
}

/// The length of the request line and headers, in bytes.
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
