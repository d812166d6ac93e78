//! Errors as RFC 9457 problem documents, with the exit code that the command line ends with.

use axum::Json;
use axum::http::{StatusCode, header};
use axum::response::{IntoResponse, Response};

use super::bounds::{
    BODY_TAKES, Full, Kind, LONGEST_BODY, LONGEST_HEAD, MOST_CONNECTIONS, READERS, READERS_OF_A_USER, TURN_COMES,
};
use super::desk::Window;
use super::peer::LOOKUP_TAKES;
use crate::api::{Exit, Problem};
use crate::engine::EngineError;
use crate::farm::HoldId;
use crate::plan::Veto;
use crate::platform::chain;

/// An error on its way out.
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
        Self::new(Exit::NotFound, "not-found", "There is no such thing", StatusCode::NOT_FOUND, detail.to_string())
    }

    pub(super) fn role(detail: String) -> Self {
        Self::new(Exit::NotPermitted, "role", "Your role does not allow it", StatusCode::FORBIDDEN, detail)
    }

    /// Who the user is could not be found out, so neither could what it may do.
    pub(super) fn no_account(uid: u32) -> Self {
        let detail = format!(
            "the groups of uid {uid} could not be looked up within {LOOKUP_TAKES:?}, so its role is not known: see whether \
             `getent passwd {uid}` and `getent initgroups` answer on this machine"
        );
        Self::new(Exit::Failed, "failed", "The request failed", StatusCode::INTERNAL_SERVER_ERROR, detail)
    }

    /// A hold that was made, and ended by another request before it was shown.
    pub(super) fn ended(hold: HoldId) -> Self {
        let detail = format!(
            "hold {hold} was carried out, and has been ended since by another request: the servers are brought back. \
             `teeter events` says by whom"
        );
        Self::new(Exit::Aborted, "ended", "It was ended meanwhile", StatusCode::GONE, detail)
    }

    /// A request that a browser sends for a web page.
    pub(super) fn from_a_page(header: &str) -> Self {
        let detail = format!(
            "the request has the header {header}, which only browsers send, for a web page: teeterd takes no requests of web \
             pages, which anybody may have written. Send it from a program"
        );
        Self::new(Exit::NotPermitted, "cross-site", "A web page may not send it", StatusCode::FORBIDDEN, detail)
    }

    /// A change that a form of a web page could send.
    pub(super) fn media_type(asked: &str, sent: &str) -> Self {
        let detail = format!(
            "{asked} needs the header `content-type: application/json`, also without a body, and has {sent}: send that header"
        );
        let status = StatusCode::UNSUPPORTED_MEDIA_TYPE;
        Self::new(Exit::Usage, "media-type", "The request has the wrong content type", status, detail)
    }

    /// A bound on what one user, or all together, may take up.
    pub(super) fn full(full: Full) -> Self {
        let (status, detail) = match full {
            Full::All => (
                StatusCode::SERVICE_UNAVAILABLE,
                format!(
                    "all users together have {MOST_CONNECTIONS} connections to teeterd, as many as there may be. Try \
                     again; root gets in all the same, and `ss -xp` shows whose they are"
                ),
            ),
            Full::Readers(at) => (
                StatusCode::SERVICE_UNAVAILABLE,
                match at {
                    Window::Reads => format!(
                        "too many readers wait at teeterd: {READERS_OF_A_USER} of one user and {READERS} of all are \
                         answered at once, and the turn of this one did not come within {TURN_COMES:?}. Ask again, and \
                         one question at a time; changes do not wait for readers"
                    ),
                    Window::Dear | Window::Copy => format!(
                        "too many wait for what teeterd does once at a time (doctor, store verify, store backup): the turn \
                         of this one did not come within {TURN_COMES:?}. Ask again when another one has ended; changes \
                         do not wait for it"
                    ),
                },
            ),
            Full::OfUser(kind) => {
                let most = kind.most();
                let what = match kind {
                    Kind::Connection => "connections",
                    Kind::Request => "requests under way",
                    Kind::Change => "changes under way",
                    Kind::Stream => "streams open",
                };
                (
                    StatusCode::TOO_MANY_REQUESTS,
                    format!(
                        "you have {most} {what} at teeterd, as many as one user may have. Try again when one has ended"
                    ),
                )
            }
        };
        Self::new(Exit::Busy, "too-many", "There are too many at once", status, detail)
    }

    /// What the router refuses by itself.
    pub(super) fn plain(status: StatusCode, asked: &str, said: &str) -> Self {
        let usage = (Exit::Usage, "bad-request", "The request cannot be understood");
        let ((exit, kind, title), why) = match status {
            StatusCode::METHOD_NOT_ALLOWED => (
                (Exit::Usage, "method-not-allowed", "There is no such method here"),
                "the header `allow` says what this path takes, and /v1/openapi.json describes it",
            ),
            status if status.is_server_error() => ((Exit::Failed, "failed", "The request failed"), said),
            _ => (usage, said),
        };
        let why = if why.is_empty() { status.as_str() } else { why };
        Self::new(exit, kind, title, status, format!("{asked} cannot be answered: {why}"))
    }

    /// A file of teeterd's own that cannot be read.
    pub(super) fn unread(error: std::io::Error) -> Self {
        let detail = format!("the copy of the store cannot be read: {error}. Look at the disk that the store is on");
        Self::new(Exit::Failed, "store", "The store failed", StatusCode::INTERNAL_SERVER_ERROR, detail)
    }

    pub(super) fn long_head() -> Self {
        let detail = format!("the line and headers of a request have {LONGEST_HEAD} bytes at most: name fewer servers");
        let status = StatusCode::REQUEST_HEADER_FIELDS_TOO_LARGE;
        Self::new(Exit::Usage, "too-large", "The request is too large", status, detail)
    }

    pub(super) fn long_body() -> Self {
        let detail = format!("the body of a request has {LONGEST_BODY} bytes at most: send less at once");
        Self::new(Exit::Usage, "too-large", "The request is too large", StatusCode::PAYLOAD_TOO_LARGE, detail)
    }

    pub(super) fn slow_body() -> Self {
        let detail = format!("the body of the request did not come within {BODY_TAKES:?}; nothing was done");
        Self::new(Exit::TimedOut, "too-slow", "The request took too long", StatusCode::REQUEST_TIMEOUT, detail)
    }

    /// All of an answer, for a connection that is not read.
    pub(super) fn whole(&self) -> Vec<u8> {
        let body = serde_json::to_string(&self.0).unwrap_or_default();
        let (status, length) = (self.status(), body.len());
        format!(
            "HTTP/1.1 {status}\r\ncontent-type: {PROBLEM}\r\ncontent-length: {length}\r\nconnection: close\r\n\r\n{body}"
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
            exit: exit as u8,
        })
    }
}

impl From<EngineError> for Failure {
    fn from(error: EngineError) -> Self {
        let detail = chain(&error);
        let (exit, kind, title, status) = match &error {
            EngineError::Usage(_) => return Self::usage(detail),
            EngineError::NotFound(_) => return Self::not_found(detail),
            EngineError::NotPermitted(_) => {
                (Exit::NotPermitted, "not-permitted", "HAProxy does not permit it", StatusCode::FORBIDDEN)
            }
            EngineError::Vetoed(vetoes) if vetoes.iter().any(Veto::is_busy) => {
                (Exit::Busy, "busy", "Another run or hold is in the way", StatusCode::CONFLICT)
            }
            EngineError::Vetoed(_) | EngineError::Outage { .. } => {
                (Exit::Refused, "refused-by-guard", "A guard refused", StatusCode::CONFLICT)
            }
            EngineError::StillNeeded(_) => {
                (Exit::Refused, "still-needed", "What it would forget is still needed", StatusCode::CONFLICT)
            }
            EngineError::Busy(_) | EngineError::TakenBack => {
                (Exit::Busy, "busy", "Another run or hold is in the way", StatusCode::CONFLICT)
            }
            EngineError::Refused(_) => (Exit::Failed, "refused-by-haproxy", "HAProxy refused", StatusCode::BAD_GATEWAY),
            EngineError::Unreachable(_) => {
                (Exit::Unreachable, "unreachable", "HAProxy does not answer", StatusCode::BAD_GATEWAY)
            }
            EngineError::Illegal(_) => {
                (Exit::Refused, "not-now", "The run is not where it would have to be", StatusCode::CONFLICT)
            }
            EngineError::Store(_) => (Exit::Failed, "store", "The store failed", StatusCode::INTERNAL_SERVER_ERROR),
        };
        Self::new(exit, kind, title, status, detail)
    }
}

impl IntoResponse for Failure {
    fn into_response(self) -> Response {
        (self.status(), [(header::CONTENT_TYPE, PROBLEM)], Json(self.0)).into_response()
    }
}

pub(super) const PROBLEM: &str = "application/problem+json";
