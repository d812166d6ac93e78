//! Errors as RFC 9457 problem documents, with the exit code that the command line ends with.

use axum::Json;
use axum::http::{StatusCode, header};
use axum::response::{IntoResponse, Response};

use super::api::{Exit, Problem};
use crate::engine::EngineError;
use crate::plan::Veto;

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
        let detail = error.to_string();
        let (exit, kind, title, status) = match &error {
            EngineError::Usage(_) => return Self::usage(detail),
            EngineError::NotFound(_) => return Self::not_found(detail),
            EngineError::NotPermitted(_) => {
                (Exit::NotPermitted, "not-permitted", "HAProxy does not permit it", StatusCode::FORBIDDEN)
            }
            EngineError::Vetoed(vetoes) if vetoes.iter().any(Veto::is_busy) => {
                (Exit::Busy, "busy", "Another run or hold is in the way", StatusCode::CONFLICT)
            }
            EngineError::Vetoed(_) => (Exit::Refused, "refused-by-guard", "A guard refused", StatusCode::CONFLICT),
            EngineError::Busy(_) => (Exit::Busy, "busy", "Another run or hold is in the way", StatusCode::CONFLICT),
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
        let status = StatusCode::from_u16(self.0.status).unwrap_or(StatusCode::INTERNAL_SERVER_ERROR);
        let kind = [(header::CONTENT_TYPE, "application/problem+json")];
        (status, kind, Json(self.0)).into_response()
    }
}
