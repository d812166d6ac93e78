//! What every handler shares: the shape of its arguments and of its answer, and the long poll.

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

/// Waits, if the query asks for a long poll, until something may have changed since the tick in the query. Returns the
/// tick that the answer belongs to.
pub(super) async fn wait(engine: &Engine, query: &Query) -> Result<u64, Failure> {
    let mut ticks = engine.ticks();
    if let (Some(tick), Some(wait)) = (query.one("tick"), query.one("wait")) {
        let (tick, wait) = (number(tick)?, span(Some(wait))?.unwrap_or_default().duration().min(LONGEST_WAIT));
        // A timeout is a normal end of a long poll.
        let _ = tokio::time::timeout(wait, ticks.wait_for(|now| *now > tick)).await;
    }
    let tick = *ticks.borrow();
    Ok(tick)
}

/// The current count of changes.
pub(super) fn ticks(engine: &Engine) -> u64 {
    *engine.ticks().borrow()
}

/// An answer with the tick that it belongs to.
pub(super) fn answer<T>(tick: u64, value: T) -> Answer<T> {
    Ok((StatusCode::OK, [(HeaderName::from_static("teeter-tick"), tick.to_string())], Json(value)))
}

const LONGEST_WAIT: Duration = Duration::from_secs(30);
