//! The types of the handlers' arguments and answers, and the long poll.

use std::sync::Arc;
use std::time::Duration;

use axum::Json;
use axum::extract::State;
use axum::extract::rejection::JsonRejection;
use axum::http::{HeaderName, StatusCode};
use axum::response::Response;

use super::problem::Failure;
use super::read::{Query, number, span};
use crate::engine::Engine;

pub(super) type Shared = State<Arc<Engine>>;
pub(super) type Answer<T> = Result<(StatusCode, [(HeaderName, String); 1], Json<T>), Failure>;
/// The answer of a handler that passes the desk.
pub(super) type DeskAnswer = Result<Response, Failure>;
pub(super) type Body<T> = Result<Json<T>, JsonRejection>;

/// If the query asks for a long poll, waits until the count of changes is higher than the tick in the query. Returns
/// the tick of the answer.
pub(super) async fn wait(engine: &Engine, query: &Query) -> Result<u64, Failure> {
    let mut ticks = engine.ticks();
    if let (Some(tick), Some(wait)) = (query.value("tick"), query.value("wait")) {
        let (tick, wait) = (number(tick)?, span(Some(wait))?.unwrap_or_default().duration().min(LONGEST_WAIT));
        // A timeout is a normal end of a long poll.
        let _ = tokio::time::timeout(wait, ticks.wait_for(|count| *count > tick)).await;
    }
    let tick = *ticks.borrow();
    Ok(tick)
}

/// The current count of changes.
pub(super) fn ticks(engine: &Engine) -> u64 {
    *engine.ticks().borrow()
}

/// An answer with its tick.
pub(super) fn answer<T>(tick: u64, value: T) -> Answer<T> {
    Ok((StatusCode::OK, [(HeaderName::from_static("teeter-tick"), tick.to_string())], Json(value)))
}

/// The longest wait of a long poll.
const LONGEST_WAIT: Duration = Duration::from_secs(30);
