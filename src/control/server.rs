//! The server: its routes, and the handlers that do not belong to runs, hook output or the store.

use std::convert::Infallible;
use std::path::PathBuf;
use std::sync::Arc;

use axum::extract::{Extension, Path, RawQuery, State};
use axum::http::StatusCode;
use axum::response::sse::{self, KeepAlive, Sse};
use axum::response::{IntoResponse, Response};
use axum::routing::{get, post};
use axum::{Json, Router};
use futures_util::Stream;
use tokio::sync::watch;
use utoipa::OpenApi;

use super::answer::{Answer, Body, DeskAnswer, Shared, answer, ticks, wait};
use super::answers::read;

use super::bounds::Bounds;
use super::desk::{Desk, ReadKind, Reader};
use super::gate::{Gate, gate};
use super::permit::{Access, AuthorizedCaller, OTHERS_HOLD, OUTAGE};
use super::problem::Failure;
use super::read::{Query, number, reason};
use super::{farm_runs, metrics, output, runs, store};
use crate::api::{
    EventView, Events, Findings, HoldRequest, HoldView, Holds, NamesView, Problem, ReleaseRequest, Sessions, StatusView,
};
use crate::engine::{Engine, EngineError, HoldOrder, OutagePolicy, ReleaseOrder};
use crate::farm::HoldId;
use crate::store::EventQuery;

/// Every path with its handler, without access rules. Requests have [`Peer`](super::Peer) as their `ConnectInfo`.
pub fn router(engine: Arc<Engine>) -> Router {
    let access = watch::Sender::new(Access { roles: None, config: PathBuf::new() });
    gated(Gate { engine, access: access.subscribe(), bounds: Bounds::new(), desk: Desk::new() })
}

/// Every path with its handler, behind the gate.
pub(super) fn gated(checks: Gate) -> Router {
    let engine = Arc::clone(&checks.engine);
    Router::new()
        .route("/v1/status", get(status))
        .route("/v1/holds", get(holds).post(create_hold))
        .route("/v1/holds/{id}", get(hold))
        .route("/v1/release", post(release))
        .route("/v1/names", get(names))
        .route("/v1/sessions", get(sessions))
        .merge(runs::routes())
        .merge(farm_runs::routes())
        .merge(output::routes())
        .merge(store::routes())
        .merge(metrics::routes())
        .route("/v1/doctor", get(doctor))
        .route("/v1/events", get(events))
        .route("/v1/events/stream", get(stream))
        .route("/v1/openapi.json", get(openapi))
        .fallback(|| async { Failure::not_found("there is no such path; /v1/openapi.json lists all paths") })
        .layer(axum::middleware::from_fn_with_state(Arc::new(checks), gate))
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
        names,
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
        farm_runs::farm_runs,
        store::store,
        store::backup,
        store::forget,
        metrics::metrics,
        doctor,
        events,
        stream
    )
)]
struct Document;

#[utoipa::path(
    get,
    path = "/v1/status",
    params(("sel" = Option<Vec<String>>, Query)),
    responses((status = 200, body = StatusView), (status = 404, body = Problem)),
)]
async fn status(State(engine): Shared, reader: Extension<Reader>, RawQuery(query): RawQuery) -> DeskAnswer {
    let query = Query::new(query);
    let tick = wait(&engine, &query).await?;
    let status = async move |engine: Arc<Engine>| answer(tick, engine.status(&query.selectors()?).await?);
    read(engine, &reader, ReadKind::Cheap, status).await
}

#[utoipa::path(get, path = "/v1/holds", responses((status = 200, body = Holds)))]
async fn holds(State(engine): Shared, reader: Extension<Reader>, RawQuery(query): RawQuery) -> DeskAnswer {
    let tick = wait(&engine, &Query::new(query)).await?;
    read(engine, &reader, ReadKind::Cheap, async move |engine| answer(tick, Holds { holds: engine.hold_views().await }))
        .await
}

#[utoipa::path(
    get,
    path = "/v1/holds/{id}",
    params(("id" = u64, Path)),
    responses((status = 200, body = HoldView), (status = 404, body = Problem)),
)]
async fn hold(State(engine): Shared, Path(id): Path<String>, RawQuery(query): RawQuery) -> Answer<HoldView> {
    let id = HoldId(number(&id)?);
    let tick = wait(&engine, &Query::new(query)).await?;
    answer(tick, engine.hold_view(id).await?)
}

#[utoipa::path(
    post,
    path = "/v1/holds",
    request_body = HoldRequest,
    responses((status = 201, body = HoldView), (status = 409, body = Problem)),
)]
async fn create_hold(
    State(engine): Shared,
    Extension(caller): Extension<AuthorizedCaller>,
    body: Body<HoldRequest>,
) -> Answer<HoldView> {
    let Json(request) = body.map_err(|error| Failure::usage(error.body_text()))?;
    if request.allow_outage {
        caller.may(OUTAGE)?;
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
        outage: match (request.allow_outage, request.all_but_min) {
            (true, true) => return Err(Failure::usage("allow_outage and all_but_min exclude each other")),
            (true, false) => OutagePolicy::Nothing,
            (false, true) => OutagePolicy::AllButMin,
            (false, false) => OutagePolicy::NotWorse,
        },
        without: request.without_haproxy,
    };
    let id = engine.hold(order, &caller.by).await?;
    let (_, tick, view) = answer(ticks(&engine), confirmed(id, engine.hold_view(id).await)?)?;
    Ok((StatusCode::CREATED, tick, view))
}

/// The view of a hold that HAProxy has confirmed. A hold that does not exist any more was ended by another request.
fn confirmed(id: HoldId, view: Result<HoldView, EngineError>) -> Result<HoldView, Failure> {
    view.map_err(|error| if matches!(error, EngineError::NotFound(_)) { Failure::ended(id) } else { error.into() })
}

#[utoipa::path(
    post,
    path = "/v1/release",
    request_body = ReleaseRequest,
    responses((status = 200, body = Holds), (status = 409, body = Problem)),
)]
async fn release(
    State(engine): Shared,
    Extension(caller): Extension<AuthorizedCaller>,
    body: Body<ReleaseRequest>,
) -> Answer<Holds> {
    let Json(request) = body.map_err(|error| Failure::usage(error.body_text()))?;
    if request.take_over || request.owner.as_ref().is_some_and(|owner| owner != caller.by.caller.person()) {
        caller.may(OTHERS_HOLD)?;
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
    let ids = engine.release(order, &caller.by).await?;
    let mut holds = engine.hold_views().await;
    holds.retain(|hold| ids.contains(&HoldId(hold.id)));
    answer(ticks(&engine), Holds { holds })
}

#[utoipa::path(get, path = "/v1/names", responses((status = 200, body = NamesView)))]
async fn names(State(engine): Shared, reader: Extension<Reader>) -> DeskAnswer {
    let names = async |engine: Arc<Engine>| answer(ticks(&engine), engine.names());
    read(engine, &reader, ReadKind::Cheap, names).await
}

#[utoipa::path(
    get,
    path = "/v1/sessions",
    params(("sel" = Vec<String>, Query)),
    responses((status = 200, body = Sessions)),
)]
async fn sessions(State(engine): Shared, reader: Extension<Reader>, RawQuery(query): RawQuery) -> DeskAnswer {
    let query = Query::new(query);
    let sessions = async move |engine: Arc<Engine>| {
        let sessions = engine.sessions(&query.selectors()?).await?;
        answer(ticks(&engine), Sessions { sessions })
    };
    read(engine, &reader, ReadKind::Cheap, sessions).await
}

#[utoipa::path(get, path = "/v1/doctor", responses((status = 200, body = Findings)))]
async fn doctor(State(engine): Shared, reader: Extension<Reader>) -> DeskAnswer {
    let findings = async |engine: Arc<Engine>| answer(ticks(&engine), Findings { findings: engine.doctor().await });
    read(engine, &reader, ReadKind::Expensive, findings).await
}

#[utoipa::path(
    get,
    path = "/v1/events",
    params(
        ("run" = Option<u64>, Query),
        ("since" = Option<String>, Query),
        ("after" = Option<u64>, Query),
        ("limit" = Option<usize>, Query),
        ("output" = Option<bool>, Query),
    ),
    responses((status = 200, body = Events)),
)]
async fn events(State(engine): Shared, reader: Extension<Reader>, RawQuery(query): RawQuery) -> DeskAnswer {
    let query = Query::new(query);
    let tick = wait(&engine, &query).await?;
    let query = query.events()?;
    let events = async move |engine: Arc<Engine>| {
        let events = engine.events(query).await?;
        answer(tick, Events { events: events.into_iter().map(EventView::from).collect() })
    };
    read(engine, &reader, ReadKind::Cheap, events).await
}

#[utoipa::path(
    get,
    path = "/v1/events/stream",
    params(("run" = Option<u64>, Query), ("after" = Option<u64>, Query), ("output" = Option<bool>, Query)),
    responses((status = 200, content_type = "text/event-stream")),
)]
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
    let batches =
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
    Ok(Sse::new(futures_util::StreamExt::flatten(batches)).keep_alive(KeepAlive::default()))
}

async fn openapi() -> Response {
    Json(openapi_document()).into_response()
}

/// The number of events that a stream reads at once. The stream reads more when these are sent, so a slow client does
/// not fill the memory.
const STREAMED: usize = 100;

#[cfg(test)]
mod tests {
    use super::*;
    use crate::engine::Message;

    #[test]
    fn a_hold_that_ended_before_the_answer_is_reported_as_ended() {
        let status = |error| {
            let answer = confirmed(HoldId(7), Err(error)).unwrap_err();
            (String::from_utf8(answer.whole()).unwrap(), answer.into_response().status())
        };
        let (ended, code) = status(EngineError::NotFound(Message::new("there is no hold 7")));
        assert_eq!(code, StatusCode::GONE);
        assert!(
            ended.contains("urn:teeter:ended") && ended.contains("\"exit\":7") && ended.contains("hold 7"),
            "{ended}"
        );
        assert_eq!(status(EngineError::Unreachable("away".to_owned())).1, StatusCode::BAD_GATEWAY);
    }
}
