//! Errors as RFC 9457 problem documents, with the exit code of the command line.

use axum::Json;
use axum::http::{StatusCode, header};
use axum::response::{IntoResponse, Response};

use super::bounds::{
    BODY_TAKES, Full, Kind, LONGEST_BODY, LONGEST_HEAD, MOST_CONNECTIONS, READERS, READERS_OF_A_USER, TURN_COMES,
};
use super::desk::ReadKind;
use super::peer::LOOKUP_TAKES;
use super::refusals;
use crate::api::{Exit, Problem};
use crate::engine::EngineError;
use crate::farm::HoldId;
use crate::plan::Veto;
use crate::platform::chain;

/// An error in the form for the client.
#[derive(Debug)]
pub(super) struct Failure(Problem);

impl Failure {
    pub(super) fn usage(detail: impl std::fmt::Display) -> Self {
        Self::new(
            Exit::Usage,
            "bad-request",
            "The request cannot be understood",
            StatusCode::BAD_REQUEST,
            detail.to_string(),
        )
    }

    pub(super) fn not_found(detail: impl std::fmt::Display) -> Self {
        Self::new(Exit::NotFound, "not-found", "Not found", StatusCode::NOT_FOUND, detail.to_string())
    }

    pub(super) fn role(detail: String, hint: String) -> Self {
        Self::new(Exit::NotPermitted, "role", "Your role does not allow the request", StatusCode::FORBIDDEN, detail)
            .hint(hint)
    }

    /// The user's groups could not be looked up, so the role is not known.
    pub(super) fn no_account(uid: u32) -> Self {
        let detail = format!(
            "the groups of uid {uid} could not be looked up within {LOOKUP_TAKES:?}, so the role of this user is not \
             known"
        );
        let hint = format!("`getent passwd {uid}` and `getent initgroups` must answer on this machine");
        Self::new(Exit::Failed, "failed", "The request failed", StatusCode::INTERNAL_SERVER_ERROR, detail).hint(hint)
    }

    /// A hold that was created, and that another request ended before the answer.
    pub(super) fn ended(hold: HoldId) -> Self {
        let detail = format!(
            "hold {hold} was created, but another request has ended it already: its servers are being brought back"
        );
        let hint = "`teeter events` shows which user ended it".to_owned();
        Self::new(Exit::Aborted, "ended", "The hold has ended already", StatusCode::GONE, detail).hint(hint)
    }

    /// A request that a browser sent for a web page.
    pub(super) fn from_a_page(header: &str) -> Self {
        let detail = format!(
            "the request has the header {header}, which only browsers send, for a web page: teeterd refuses requests \
             of web pages, because any site could send them. Send the request from a program"
        );
        Self::new(Exit::NotPermitted, "cross-site", "Web pages may not send requests", StatusCode::FORBIDDEN, detail)
    }

    /// A change that a form on a web page could send.
    pub(super) fn media_type(request_line: &str, sent: &str) -> Self {
        let detail = format!(
            "{request_line} needs the header `content-type: application/json`, even without a body; the request has \
             {sent}"
        );
        let status = StatusCode::UNSUPPORTED_MEDIA_TYPE;
        Self::new(Exit::Usage, "media-type", "The request has the wrong content type", status, detail)
    }

    /// A bound of one user, or of all users together, is reached.
    pub(super) fn full(full: Full) -> Self {
        let (status, detail) = match full {
            Full::All => (
                StatusCode::SERVICE_UNAVAILABLE,
                format!(
                    "all users together have {MOST_CONNECTIONS} connections to teeterd, the most that are allowed. Try \
                     again; root is still served, and `ss -xp` shows the owners of the connections"
                ),
            ),
            Full::Readers(kind) => (
                StatusCode::SERVICE_UNAVAILABLE,
                match kind {
                    ReadKind::Cheap => format!(
                        "too many readers are waiting for teeterd: it answers {READERS_OF_A_USER} reads of one user \
                         and {READERS} of all users at once, and this request had no turn within {TURN_COMES:?}. Try \
                         again, and send one request at a time; changes do not wait for readers"
                    ),
                    ReadKind::Expensive | ReadKind::Backup => format!(
                        "too many requests are waiting for work that teeterd does one at a time (doctor, store verify, \
                         store backup): this request had no turn within {TURN_COMES:?}. Try again when another request \
                         has ended; changes do not wait for such work"
                    ),
                },
            ),
            Full::OfUser(kind) => {
                let bound = kind.bound();
                let counted = match kind {
                    Kind::Connection => "connections",
                    Kind::Request => "requests in progress",
                    Kind::Change => "changes in progress",
                    Kind::Stream => "open streams",
                };
                (
                    StatusCode::TOO_MANY_REQUESTS,
                    format!(
                        "you have {bound} {counted} at teeterd, the most that one user may have. Try again when one \
                         has ended"
                    ),
                )
            }
        };
        Self::new(Exit::Busy, "too-many", "Too many requests", status, detail)
    }

    /// A refusal of the router itself, with this text.
    pub(super) fn plain(status: StatusCode, request_line: &str, text: &str) -> Self {
        let usage = (Exit::Usage, "bad-request", "The request cannot be understood");
        let ((exit, kind, title), why) = match status {
            StatusCode::METHOD_NOT_ALLOWED => (
                (Exit::Usage, "method-not-allowed", "The path does not support this method"),
                "the header `allow` lists the methods of this path, and /v1/openapi.json describes them",
            ),
            status if status.is_server_error() => ((Exit::Failed, "failed", "The request failed"), text),
            _ => (usage, text),
        };
        let why = if why.is_empty() { status.as_str() } else { why };
        Self::new(exit, kind, title, status, format!("{request_line} cannot be answered: {why}"))
    }

    /// A file of teeterd that cannot be read.
    pub(super) fn unread(error: std::io::Error) -> Self {
        let detail = format!("the copy of the store cannot be read: {error}. Check the disk that holds the store");
        Self::new(Exit::Failed, "store", "The store failed", StatusCode::INTERNAL_SERVER_ERROR, detail)
    }

    /// An answer that cannot be written.
    pub(super) fn unwritten(error: &std::fmt::Error) -> Self {
        let detail = format!("the answer cannot be written: {error}");
        Self::new(Exit::Failed, "failed", "The request failed", StatusCode::INTERNAL_SERVER_ERROR, detail)
    }

    pub(super) fn long_head() -> Self {
        let detail = format!("the request line and headers have {LONGEST_HEAD} bytes at most: name fewer servers");
        let status = StatusCode::REQUEST_HEADER_FIELDS_TOO_LARGE;
        Self::new(Exit::Usage, "too-large", "The request is too large", status, detail)
    }

    pub(super) fn long_body() -> Self {
        let detail = format!("the body of a request has {LONGEST_BODY} bytes at most: send less at once");
        Self::new(Exit::Usage, "too-large", "The request is too large", StatusCode::PAYLOAD_TOO_LARGE, detail)
    }

    pub(super) fn slow_body() -> Self {
        let detail = format!("the body of the request did not arrive within {BODY_TAKES:?}; nothing was changed");
        Self::new(Exit::TimedOut, "too-slow", "The request took too long", StatusCode::REQUEST_TIMEOUT, detail)
    }

    /// The whole HTTP answer, for a connection whose request is not read.
    pub(super) fn whole(&self) -> Vec<u8> {
        refusals::count(&self.0.kind);
        let body = serde_json::to_string(&self.0).unwrap_or_default();
        let (status, length) = (self.status(), body.len());
        format!(
            "HTTP/1.1 {status}\r\ncontent-type: {PROBLEM}\r\ncontent-length: {length}\r\nconnection: \
             close\r\n\r\n{body}"
        )
        .into_bytes()
    }

    fn status(&self) -> StatusCode {
        StatusCode::from_u16(self.0.status).unwrap_or(StatusCode::INTERNAL_SERVER_ERROR)
    }

    fn new(exit: Exit, kind: &str, title: &str, status: StatusCode, detail: String) -> Self {
        Self(Problem {
            kind: format!("urn:teeter:{kind}"),
            title: title.to_owned(),
            status: status.as_u16(),
            detail,
            hints: Vec::new(),
            exit: exit as u8,
        })
    }

    /// Adds a hint: a command to type, or another next step.
    fn hint(mut self, hint: String) -> Self {
        self.0.hints.push(hint);
        self
    }
}

impl From<EngineError> for Failure {
    fn from(error: EngineError) -> Self {
        let detail = chain(&error);
        let (exit, kind, title, status) = match &error {
            EngineError::Usage(_) => {
                (Exit::Usage, "bad-request", "The request cannot be understood", StatusCode::BAD_REQUEST)
            }
            EngineError::NotFound(_) => (Exit::NotFound, "not-found", "Not found", StatusCode::NOT_FOUND),
            EngineError::NotPermitted(_) => {
                (Exit::NotPermitted, "not-permitted", "HAProxy does not permit the command", StatusCode::FORBIDDEN)
            }
            EngineError::Vetoed(vetoes) if vetoes.iter().any(Veto::is_busy) => {
                (Exit::Busy, "busy", "Another run or hold is in the way", StatusCode::CONFLICT)
            }
            EngineError::Vetoed(_) | EngineError::Outage { .. } => {
                (Exit::Refused, "refused-by-guard", "A guard refused", StatusCode::CONFLICT)
            }
            EngineError::StillNeeded(_) => {
                (Exit::Refused, "still-needed", "The records are still needed", StatusCode::CONFLICT)
            }
            EngineError::Busy(_) | EngineError::TakenBack => {
                (Exit::Busy, "busy", "Another run or hold is in the way", StatusCode::CONFLICT)
            }
            EngineError::Refused(_) => (Exit::Failed, "refused-by-haproxy", "HAProxy refused", StatusCode::BAD_GATEWAY),
            EngineError::Unreachable(_) => {
                (Exit::Unreachable, "unreachable", "HAProxy does not answer", StatusCode::BAD_GATEWAY)
            }
            EngineError::Illegal(_) => (Exit::Refused, "not-now", "The run is in another state", StatusCode::CONFLICT),
            EngineError::Store(_) => (Exit::Failed, "store", "The store failed", StatusCode::INTERNAL_SERVER_ERROR),
            EngineError::Stopping(_) => {
                (Exit::Unreachable, "stopping", "teeterd is stopping", StatusCode::SERVICE_UNAVAILABLE)
            }
            EngineError::Task(_) => (Exit::Failed, "failed", "The request failed", StatusCode::INTERNAL_SERVER_ERROR),
        };
        error.hints().into_iter().fold(Self::new(exit, kind, title, status, detail), Self::hint)
    }
}

impl IntoResponse for Failure {
    fn into_response(self) -> Response {
        refusals::count(&self.0.kind);
        (self.status(), [(header::CONTENT_TYPE, PROBLEM)], Json(self.0)).into_response()
    }
}

pub(super) const PROBLEM: &str = "application/problem+json";
