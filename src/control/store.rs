//! Handlers of the whole store.

use std::sync::Arc;

use axum::extract::{Extension, State};
use axum::http::header;
use axum::routing::{get, post};
use axum::{Json, Router};

use super::answer::{Answer, Body, DeskAnswer, Shared, answer, ticks};
use super::answers::{contents, read};
use super::desk::{ReadKind, Reader};
use super::permit::AuthorizedCaller;
use super::problem::Failure;
use crate::api::{ForgetRequest, ForgottenView, Problem, StoreView};
use crate::engine::{Engine, Retired};

pub(super) fn routes() -> Router<Arc<Engine>> {
    Router::new()
        .route("/v1/store", get(store))
        .route("/v1/store/backup", get(backup))
        .route("/v1/forget", post(forget))
}

#[utoipa::path(get, path = "/v1/store", responses((status = 200, body = StoreView), (status = 500, body = Problem)))]
pub(super) async fn store(State(engine): Shared, reader: Extension<Reader>) -> DeskAnswer {
    let verified = async |engine: Arc<Engine>| answer(ticks(&engine), engine.verify_store().await?);
    read(engine, &reader, ReadKind::Expensive, verified).await
}

#[utoipa::path(
    get,
    path = "/v1/store/backup",
    responses((status = 200, content_type = "application/vnd.sqlite3"), (status = 500, body = Problem)),
)]
pub(super) async fn backup(State(engine): Shared, reader: Extension<Reader>) -> DeskAnswer {
    let kind = [(header::CONTENT_TYPE, "application/vnd.sqlite3")];
    let backup = async move |engine: Arc<Engine>| {
        let copy = engine.backup().await?;
        Ok::<_, Failure>((kind, contents(copy).map_err(Failure::unread)?))
    };
    read(engine, &reader, ReadKind::Backup, backup).await
}

#[utoipa::path(
    post,
    path = "/v1/forget",
    request_body = ForgetRequest,
    responses((status = 200, body = ForgottenView), (status = 404, body = Problem), (status = 409, body = Problem)),
)]
pub(super) async fn forget(
    State(engine): Shared,
    Extension(caller): Extension<AuthorizedCaller>,
    body: Body<ForgetRequest>,
) -> Answer<ForgottenView> {
    let Json(request) = body.map_err(|error| Failure::usage(error.body_text()))?;
    let retired = match (request.farm, request.haproxy) {
        (Some(farm), None) => Retired::Farm(farm),
        (None, Some(name)) => Retired::Haproxy(name),
        _ => return Err(Failure::usage("the request needs exactly one of `farm` and `haproxy`")),
    };
    let forgotten = engine.forget(&retired, &caller.by).await?;
    answer(ticks(&engine), ForgottenView { forgotten })
}
