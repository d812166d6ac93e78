//! The handler of the runs of one farm.

use std::sync::Arc;

use axum::Router;
use axum::extract::{Extension, Path, RawQuery, State};
use axum::routing::get;

use super::answer::{DeskAnswer, Shared, answer, ticks};
use super::answers::read;
use super::desk::{ReadKind, Reader};
use super::problem::Failure;
use super::read::Query;
use crate::api::{FarmRuns, Problem};
use crate::engine::Engine;

pub(super) fn routes() -> Router<Arc<Engine>> {
    Router::new().route("/v1/farms/{farm}/runs", get(farm_runs))
}

#[utoipa::path(
    get,
    path = "/v1/farms/{farm}/runs",
    params(
        ("farm" = String, Path),
        ("since" = Option<String>, Query, description = "Only runs that were started then or later, as in RFC 3339"),
    ),
    responses((status = 200, body = FarmRuns), (status = 400, body = Problem), (status = 404, body = Problem)),
)]
pub(super) async fn farm_runs(
    State(engine): Shared,
    reader: Extension<Reader>,
    Path(farm): Path<String>,
    RawQuery(query): RawQuery,
) -> DeskAnswer {
    let farm = farm.parse().map_err(Failure::usage)?;
    let since = Query::new(query).since()?;
    let runs = async move |engine: Arc<Engine>| answer(ticks(&engine), engine.farm_runs(farm, since).await?);
    read(engine, &reader, ReadKind::Cheap, runs).await
}
