//! The server: routes, and from a request's text to an order of typed values.

use std::convert::Infallible;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use axum::extract::rejection::JsonRejection;
use axum::extract::{Extension, Path, RawQuery, State};
use axum::http::{HeaderName, StatusCode};
use axum::response::sse::{self, KeepAlive, Sse};
use axum::response::{IntoResponse, Response};
use axum::routing::{get, post};
use axum::{Json, Router};
use futures_util::Stream;
use tokio::sync::watch;
use utoipa::OpenApi;

use super::answers::read;

use super::bounds::Bounds;
use super::desk::{Desk, Reader, Window};
use super::gate::{Gate, gate};
use super::permit::{Access, Asker, OTHERS_HOLD, OUTAGE};
use super::problem::Failure;
use super::read::{Query, number, reason, span};
use super::{output, runs, store};
use crate::api::{
    EventView, Events, Findings, HoldRequest, HoldView, Holds, Problem, ReleaseRequest, Sessions, StatusView,
};
use crate::engine::{Engine, EngineError, Guarding, HoldOrder, ReleaseOrder};
use crate::farm::HoldId;
use crate::store::EventQuery;

pub(super) type Shared = State<Arc<Engine>>;
pub(super) type Answer<T> = Result<(StatusCode, [(HeaderName, String); 1], Json<T>), Failure>;
/// The answer to a reader.
pub(super) type Read = Result<Response, Failure>;
pub(super) type Body<T> = Result<Json<T>, JsonRejection>;

/// Every path and what answers it, to whoever asks. Requests come with [`Peer`](super::Peer) as their `ConnectInfo`.
pub fn router(engine: Arc<Engine>) -> Router {
    let everything = watch::Sender::new(Access { roles: None, config: PathBuf::new() });
    gated(Gate { engine, access: everything.subscribe(), bounds: Bounds::new(), desk: Desk::new() })
}

/// The same behind a gate.
pub(super) fn gated(at: Gate) -> Router {
    let engine = Arc::clone(&at.engine);
    Router::new()
        .route("/v1/status", get(status))
        .route("/v1/holds", get(holds).post(create_hold))
        .route("/v1/holds/{id}", get(hold))
        .route("/v1/release", post(release))
        .route("/v1/sessions", get(sessions))
        .merge(runs::routes())
        .merge(output::routes())
        .merge(store::routes())
        .route("/v1/doctor", get(doctor))
        .route("/v1/events", get(events))
        .route("/v1/events/stream", get(stream))
        .route("/v1/openapi.json", get(openapi))
        .fallback(|| async { Failure::not_found("there is no such path; /v1/openapi.json describes those there are") })
        .layer(axum::middleware::from_fn_with_state(Arc::new(at), gate))
        .with_state(engine)
}

/// The OpenAPI document.
pub fn openapi_document() -> utoipa::openapi::OpenApi {
    Document::openapi()
}

#[derive(OpenApi)]
#[openapi(
    info(title = "teeter", description = "Takes servers out of HAProxy and brings them back."),
    paths(
        status,
        holds,
        hold,
        create_hold,
        release,
        sessions,
        runs::runs,
        runs::run,
        runs::begin,
        runs::advance,
        runs::abort,
        runs::rollback,
        runs::pause,
        runs::resume,
        runs::retry,
        runs::attend,
        output::output,
        runs::idle,
        store::store,
        store::backup,
        store::forget,
        doctor,
        events,
        stream
    )
)]
struct Document;

#[utoipa::path(get, path = "/v1/status", params(("sel" = Option<Vec<String>>, Query)), responses((status = 200, body = StatusView), (status = 404, body = Problem)))]
async fn status(State(engine): Shared, reader: Extension<Reader>, RawQuery(query): RawQuery) -> Read {
    let query = Query::new(query);
    let tick = wait(&engine, &query).await?;
    let status = async move |engine: Arc<Engine>| answer(tick, engine.status(&query.selectors()?).await?);
    read(engine, &reader, Window::Reads, status).await
}

#[utoipa::path(get, path = "/v1/holds", responses((status = 200, body = Holds)))]
async fn holds(State(engine): Shared, reader: Extension<Reader>, RawQuery(query): RawQuery) -> Read {
    let tick = wait(&engine, &Query::new(query)).await?;
    read(engine, &reader, Window::Reads, async move |engine| answer(tick, Holds { holds: engine.hold_views().await }))
        .await
}

#[utoipa::path(get, path = "/v1/holds/{id}", params(("id" = u64, Path)), responses((status = 200, body = HoldView), (status = 404, body = Problem)))]
async fn hold(State(engine): Shared, Path(id): Path<String>, RawQuery(query): RawQuery) -> Answer<HoldView> {
    let id = HoldId(number(&id)?);
    let tick = wait(&engine, &Query::new(query)).await?;
    answer(tick, engine.hold_view(id).await?)
}

#[utoipa::path(post, path = "/v1/holds", request_body = HoldRequest, responses((status = 201, body = HoldView), (status = 409, body = Problem)))]
async fn create_hold(
    State(engine): Shared,
    Extension(asker): Extension<Asker>,
    body: Body<HoldRequest>,
) -> Answer<HoldView> {
    let Json(request) = body.map_err(|error| Failure::usage(error.body_text()))?;
    if request.allow_outage {
        asker.may(OUTAGE)?;
    }
    let order = HoldOrder {
        selectors: request.selectors.into_vec(),
        reason: reason(&request.reason)?,
        expires_in: request.expires_in,
        mode: request.mode.into(),
        grace: request.grace,
        deadline: request.deadline,
        on_deadline: request.on_deadline,
        idle: request.idle,
        guard: match (request.allow_outage, request.all_but_min) {
            (true, true) => return Err(Failure::usage("allow_outage and all_but_min exclude each other")),
            (true, false) => Guarding::Nothing,
            (false, true) => Guarding::AllButMin,
            (false, false) => Guarding::NotWorse,
        },
        without: request.without_haproxy,
    };
    let id = engine.hold(order, &asker.by).await?;
    let (_, tick, view) = answer(ticks(&engine), carried_out(id, engine.hold_view(id).await)?)?;
    Ok((StatusCode::CREATED, tick, view))
}

/// A hold that HAProxy has confirmed. One that is not there any more by then was ended by another request meanwhile.
fn carried_out(id: HoldId, view: Result<HoldView, EngineError>) -> Result<HoldView, Failure> {
    view.map_err(|error| if matches!(error, EngineError::NotFound(_)) { Failure::ended(id) } else { error.into() })
}

#[utoipa::path(post, path = "/v1/release", request_body = ReleaseRequest, responses((status = 200, body = Holds), (status = 409, body = Problem)))]
async fn release(
    State(engine): Shared,
    Extension(asker): Extension<Asker>,
    body: Body<ReleaseRequest>,
) -> Answer<Holds> {
    let Json(request) = body.map_err(|error| Failure::usage(error.body_text()))?;
    if request.take_over || request.owner.as_ref().is_some_and(|owner| owner != asker.by.caller.person()) {
        asker.may(OTHERS_HOLD)?;
    }
    let order = ReleaseOrder {
        selectors: request.selectors.into_vec(),
        verify: request.verify,
        deadline: request.deadline,
        force: request.force,
        take_over: request.take_over,
        owner: request.owner,
        without: request.without_haproxy,
    };
    let ids = engine.release(order, &asker.by).await?;
    let mut holds = engine.hold_views().await;
    holds.retain(|hold| ids.contains(&HoldId(hold.id)));
    answer(ticks(&engine), Holds { holds })
}

#[utoipa::path(get, path = "/v1/sessions", params(("sel" = Vec<String>, Query)), responses((status = 200, body = Sessions)))]
async fn sessions(State(engine): Shared, reader: Extension<Reader>, RawQuery(query): RawQuery) -> Read {
    let query = Query::new(query);
    let sessions = async move |engine: Arc<Engine>| {
        let sessions = engine.sessions(&query.selectors()?).await?;
        answer(ticks(&engine), Sessions { sessions })
    };
    read(engine, &reader, Window::Reads, sessions).await
}

#[utoipa::path(get, path = "/v1/doctor", responses((status = 200, body = Findings)))]
async fn doctor(State(engine): Shared, reader: Extension<Reader>) -> Read {
    let findings = async |engine: Arc<Engine>| answer(ticks(&engine), Findings { findings: engine.doctor().await });
    read(engine, &reader, Window::Dear, findings).await
}

#[utoipa::path(get, path = "/v1/events", params(("run" = Option<u64>, Query), ("since" = Option<String>, Query), ("after" = Option<u64>, Query), ("limit" = Option<usize>, Query), ("output" = Option<bool>, Query)), responses((status = 200, body = Events)))]
async fn events(State(engine): Shared, reader: Extension<Reader>, RawQuery(query): RawQuery) -> Read {
    let query = Query::new(query);
    let tick = wait(&engine, &query).await?;
    let query = query.events()?;
    let events = async move |engine: Arc<Engine>| {
        let events = engine.events(query).await?;
        answer(tick, Events { events: events.into_iter().map(EventView::from).collect() })
    };
    read(engine, &reader, Window::Reads, events).await
}

#[utoipa::path(get, path = "/v1/events/stream", params(("run" = Option<u64>, Query), ("after" = Option<u64>, Query), ("output" = Option<bool>, Query)), responses((status = 200, content_type = "text/event-stream")))]
async fn stream(
    State(engine): Shared,
    RawQuery(query): RawQuery,
) -> Result<Sse<impl Stream<Item = Result<sse::Event, Infallible>>>, Failure> {
    let mut query = Query::new(query).events()?;
    if query.after.is_none() {
        let last = engine.events(EventQuery { limit: 1, ..EventQuery::default() }).await?;
        query.after = Some(last.last().map_or(0, |event| event.id));
    }
    query.limit = STREAMED;
    let news =
        futures_util::stream::unfold((engine.ticks(), engine, query), |(mut ticks, engine, mut query)| async move {
            loop {
                ticks.borrow_and_update();
                let events = engine.events(query).await.ok()?;
                if let Some(last) = events.last() {
                    query.after = Some(last.id);
                    let text = |event| serde_json::to_string(&EventView::from(event)).unwrap_or_default();
                    let batch: Vec<_> = events
                        .into_iter()
                        .map(|event| Ok(sse::Event::default().id(event.id.to_string()).data(text(event))))
                        .collect();
                    return Some((futures_util::stream::iter(batch), (ticks, engine, query)));
                }
                ticks.changed().await.ok()?;
            }
        });
    Ok(Sse::new(futures_util::StreamExt::flatten(news)).keep_alive(KeepAlive::default()))
}

async fn openapi() -> Response {
    Json(openapi_document()).into_response()
}

/// Waits, where the query asks for it, until something may have changed since the tick that it names. Gives the tick
/// that the answer will be about.
pub(super) async fn wait(engine: &Engine, query: &Query) -> Result<u64, Failure> {
    let mut ticks = engine.ticks();
    if let (Some(tick), Some(wait)) = (query.one("tick"), query.one("wait")) {
        let (tick, wait) = (number(tick)?, span(Some(wait))?.unwrap_or_default().duration().min(LONGEST_WAIT));
        // Running out of time is the ordinary end of a wait.
        tokio::time::timeout(wait, ticks.wait_for(|now| *now > tick)).await.map(drop).unwrap_or_default();
    }
    let tick = *ticks.borrow();
    Ok(tick)
}

pub(super) fn ticks(engine: &Engine) -> u64 {
    *engine.ticks().borrow()
}

pub(super) fn answer<T>(tick: u64, value: T) -> Answer<T> {
    Ok((StatusCode::OK, [(HeaderName::from_static("teeter-tick"), tick.to_string())], Json(value)))
}

const LONGEST_WAIT: Duration = Duration::from_secs(30);

/// A stream reads so many events at once, and the next when these have been sent: what a slow reader has not taken
/// waits in the store.
const STREAMED: usize = 100;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_hold_that_was_ended_as_soon_as_it_was_there_says_so() {
        let status = |error| {
            let answer = carried_out(HoldId(7), Err(error)).unwrap_err();
            (String::from_utf8(answer.whole()).unwrap(), answer.into_response().status())
        };
        let (ended, code) = status(EngineError::NotFound("there is no hold 7".to_owned()));
        assert_eq!(code, StatusCode::GONE);
        assert!(
            ended.contains("urn:teeter:ended") && ended.contains("\"exit\":7") && ended.contains("hold 7"),
            "{ended}"
        );
        assert_eq!(status(EngineError::Unreachable("away".to_owned())).1, StatusCode::BAD_GATEWAY);
    }
}
