//! Handlers of runs.

use std::collections::BTreeSet;
use std::convert::Infallible;
use std::sync::Arc;

use axum::extract::{Extension, Path, RawQuery, State};
use axum::http::StatusCode;
use axum::response::sse::{self, KeepAlive, Sse};
use axum::routing::{get, post};
use axum::{Json, Router};
use futures_util::{Stream, StreamExt as _};

use super::answer::{Answer, Body, DeskAnswer, Shared, answer, ticks, wait};
use super::answers::read;
use super::desk::{ReadKind, Reader};
use super::harmless::harmless;
use super::permit::{AuthorizedCaller, OUTAGE};
use super::problem::Failure;
use super::read::{LONGEST_TEXT, Query, haproxies, number};
use crate::api::{AdvanceRequest, IdleView, Problem, RollbackRequest, RunRequest, RunView, Runs};
use crate::engine::{Claim, DrainChange, Engine, Introduction, RollingChange, RunOrder};
use crate::farm::{OnStall, RunId, StallAction};
use crate::haproxy::controls_terminal;
use crate::plan::Phase;
use crate::plan::machine::WorkReport;

pub(super) fn routes() -> Router<Arc<Engine>> {
    Router::new()
        .route("/v1/runs", get(runs).post(begin))
        .route("/v1/runs/{id}", get(run))
        .route("/v1/runs/{id}/advance", post(advance))
        .route("/v1/runs/{id}/abort", post(abort))
        .route("/v1/runs/{id}/rollback", post(rollback))
        .route("/v1/runs/{id}/pause", post(pause))
        .route("/v1/runs/{id}/resume", post(resume))
        .route("/v1/runs/{id}/retry", post(retry))
        .route("/v1/runs/{id}/attend", get(attend))
        .route("/v1/farms/{farm}/idle", get(idle))
}

#[utoipa::path(
    get,
    path = "/v1/runs",
    params(("latest" = Option<u64>, Query)),
    responses((status = 200, body = Runs)),
)]
pub(super) async fn runs(State(engine): Shared, reader: Extension<Reader>, RawQuery(query): RawQuery) -> DeskAnswer {
    let query = Query::new(query);
    let latest = query.value("latest").map(number).transpose()?;
    let latest = latest.and_then(|latest| usize::try_from(latest).ok()).unwrap_or(usize::MAX);
    let tick = wait(&engine, &query).await?;
    let runs = async move |engine: Arc<Engine>| answer(tick, Runs { runs: engine.run_views(latest).await });
    read(engine, &reader, ReadKind::Cheap, runs).await
}

#[utoipa::path(
    get,
    path = "/v1/runs/{id}",
    params(("id" = u64, Path)),
    responses((status = 200, body = RunView), (status = 404, body = Problem)),
)]
pub(super) async fn run(State(engine): Shared, Path(id): Path<String>, RawQuery(query): RawQuery) -> Answer<RunView> {
    let id = RunId(number(&id)?);
    let tick = wait(&engine, &Query::new(query)).await?;
    answer(tick, engine.run_view(id).await?)
}

#[utoipa::path(
    post,
    path = "/v1/runs",
    request_body = RunRequest,
    responses((status = 201, body = RunView), (status = 409, body = Problem)),
)]
pub(super) async fn begin(
    State(engine): Shared,
    Extension(caller): Extension<AuthorizedCaller>,
    body: Body<RunRequest>,
) -> Answer<RunView> {
    let Json(request) = body.map_err(|error| Failure::usage(error.body_text()))?;
    if request.allow_outage {
        caller.may(OUTAGE)?;
    }
    let dry_run = request.dry_run;
    let run = engine.begin(order(request)?, dry_run, &caller.by).await?;
    if dry_run {
        return answer(ticks(&engine), engine.plan_view(&run));
    }
    let (_, tick, view) = answer(ticks(&engine), engine.run_view(run.id).await?)?;
    Ok((StatusCode::CREATED, tick, view))
}

#[utoipa::path(
    post,
    path = "/v1/runs/{id}/advance",
    params(("id" = u64, Path)),
    request_body = AdvanceRequest,
    responses((status = 200, body = RunView), (status = 409, body = Problem)),
)]
pub(super) async fn advance(
    State(engine): Shared,
    Extension(caller): Extension<AuthorizedCaller>,
    Path(id): Path<String>,
    body: Body<AdvanceRequest>,
) -> Answer<RunView> {
    let Json(request) = body.map_err(|error| Failure::usage(error.body_text()))?;
    let id = RunId(number(&id)?);
    let report = match request.failed {
        Some(why) => WorkReport::Failed(plain(&why)),
        None => WorkReport::Done,
    };
    let claim = Claim { key: request.key, force: request.force };
    engine.advance(id, request.step, report, &claim, &caller.by).await?;
    answer(ticks(&engine), engine.run_view(id).await?)
}

#[utoipa::path(
    post,
    path = "/v1/runs/{id}/abort",
    params(("id" = u64, Path)),
    responses((status = 200, body = RunView), (status = 404, body = Problem)),
)]
pub(super) async fn abort(
    State(engine): Shared,
    Extension(caller): Extension<AuthorizedCaller>,
    Path(id): Path<String>,
) -> Answer<RunView> {
    let id = RunId(number(&id)?);
    engine.abort(id, &caller.by).await?;
    answer(ticks(&engine), engine.run_view(id).await?)
}

#[utoipa::path(
    post,
    path = "/v1/runs/{id}/pause",
    params(("id" = u64, Path)),
    responses((status = 200, body = RunView), (status = 409, body = Problem)),
)]
pub(super) async fn pause(
    State(engine): Shared,
    Extension(caller): Extension<AuthorizedCaller>,
    Path(id): Path<String>,
) -> Answer<RunView> {
    let id = RunId(number(&id)?);
    engine.pause(id, true, &caller.by).await?;
    answer(ticks(&engine), engine.run_view(id).await?)
}

#[utoipa::path(
    post,
    path = "/v1/runs/{id}/resume",
    params(("id" = u64, Path)),
    responses((status = 200, body = RunView), (status = 409, body = Problem)),
)]
pub(super) async fn resume(
    State(engine): Shared,
    Extension(caller): Extension<AuthorizedCaller>,
    Path(id): Path<String>,
) -> Answer<RunView> {
    let id = RunId(number(&id)?);
    engine.pause(id, false, &caller.by).await?;
    answer(ticks(&engine), engine.run_view(id).await?)
}

#[utoipa::path(
    post,
    path = "/v1/runs/{id}/retry",
    params(("id" = u64, Path)),
    responses((status = 200, body = RunView), (status = 409, body = Problem)),
)]
pub(super) async fn retry(
    State(engine): Shared,
    Extension(caller): Extension<AuthorizedCaller>,
    Path(id): Path<String>,
) -> Answer<RunView> {
    let id = RunId(number(&id)?);
    engine.retry(id, &caller.by).await?;
    answer(ticks(&engine), engine.run_view(id).await?)
}

#[utoipa::path(
    post,
    path = "/v1/runs/{id}/rollback",
    params(("id" = u64, Path)),
    request_body = RollbackRequest,
    responses((status = 200, body = RunView), (status = 409, body = Problem)),
)]
pub(super) async fn rollback(
    State(engine): Shared,
    Extension(caller): Extension<AuthorizedCaller>,
    Path(id): Path<String>,
    body: Body<RollbackRequest>,
) -> Answer<RunView> {
    let Json(request) = body.map_err(|error| Failure::usage(error.body_text()))?;
    let id = RunId(number(&id)?);
    let why = request.reason.unwrap_or_else(|| format!("requested by {}", caller.by.caller.person()));
    engine.rollback(id, &plain(&why), &caller.by).await?;
    answer(ticks(&engine), engine.run_view(id).await?)
}

/// A stream without events that is open while the caller works: its end shows teeterd that the caller has disconnected.
/// Until then only this caller may report on the run. teeterd recognises the caller by its `key` or, without a key, by
/// its process.
#[utoipa::path(
    get,
    path = "/v1/runs/{id}/attend",
    params(
        ("id" = u64, Path),
        ("key" = Option<String>, Query),
        ("place" = Option<String>, Query),
        ("what" = Option<String>, Query),
    ),
    responses((status = 200, content_type = "text/event-stream"), (status = 409, body = Problem)),
)]
pub(super) async fn attend(
    State(engine): Shared,
    Extension(caller): Extension<AuthorizedCaller>,
    Path(id): Path<String>,
    RawQuery(query): RawQuery,
) -> Result<Sse<impl Stream<Item = Result<sse::Event, Infallible>>>, Failure> {
    let query = Query::new(query);
    let given = |name| query.value(name).filter(|text| !text.is_empty()).map(ToOwned::to_owned);
    let shown = |name| given(name).map(|text| harmless(text.as_bytes()).chars().take(LONGEST_NAME).collect());
    let introduction = Introduction { key: given("key"), place: shown("place"), what: shown("what") };
    let attendance = engine.attend(RunId(number(&id)?), introduction, &caller.by).await?;
    let silence = futures_util::stream::pending().inspect(move |_: &Result<_, _>| {
        let _ = &attendance;
    });
    Ok(Sse::new(silence).keep_alive(KeepAlive::default()))
}

#[utoipa::path(
    get,
    path = "/v1/farms/{farm}/idle",
    params(
        ("farm" = String, Path),
        ("without_haproxy" = Vec<String>, Query, description = "HAProxy instances that may be unreachable"),
    ),
    responses((status = 200, body = IdleView), (status = 404, body = Problem), (status = 409, body = Problem)),
)]
pub(super) async fn idle(
    State(engine): Shared,
    reader: Extension<Reader>,
    Path(farm): Path<String>,
    RawQuery(query): RawQuery,
) -> DeskAnswer {
    let farm = farm.parse().map_err(Failure::usage)?;
    let without = haproxies(Query::new(query).values("without_haproxy"))?;
    let idle = async move |engine: Arc<Engine>| answer(ticks(&engine), engine.idle(&farm, &without).await?);
    read(engine, &reader, ReadKind::Cheap, idle).await
}

/// The order for the engine.
fn order(request: RunRequest) -> Result<RunOrder, Failure> {
    let version = request.version.filter(|version| !version.is_empty());
    if version.as_ref().is_some_and(|version| version.len() > 200 || version.chars().any(controls_terminal)) {
        return Err(Failure::usage("a version has at most 200 characters, none of them a control character"));
    }
    let phases: BTreeSet<Phase> = request.phases.into_iter().collect();
    if phases.contains(&Phase::Deploy) {
        return Err(Failure::usage(
            "the phases of a request are before-out, after-out and after-in; every run has the phase deploy",
        ));
    }
    Ok(RunOrder {
        farm: request.farm,
        strategy: request.strategy.unwrap_or_default(),
        to: request.to,
        version,
        order: request.order,
        drain: DrainChange { grace: request.grace, deadline: request.deadline, on_deadline: request.on_deadline },
        rolling: RollingChange { batch: request.batch, settle: request.settle, max_failed: request.max_failed },
        steps: request.steps,
        pause: request.pause,
        on_stall: match (request.stall_after, request.on_stall) {
            (Some(after), action) => Some(OnStall { after, action: action.unwrap_or_default() }),
            (None, Some(StallAction::Restore)) => {
                return Err(Failure::usage(
                    "on_stall = restore needs stall_after, the time without a caller after which teeterd restores",
                ));
            }
            (None, _) => None,
        },
        phases,
        without: request.without.into_vec(),
        allow_outage: request.allow_outage,
        without_haproxy: request.without_haproxy,
    })
}

/// A text of the caller as one short line, for the events.
fn plain(text: &str) -> String {
    text.chars().filter(|c| !controls_terminal(*c)).take(LONGEST_TEXT).collect()
}

/// The greatest length of a caller's description of itself, in characters.
const LONGEST_NAME: usize = 200;
