//! The part of the server that is about the store as a whole.

use std::sync::Arc;

use axum::Router;
use axum::extract::State;
use axum::http::header;
use axum::response::{IntoResponse, Response};
use axum::routing::get;

use super::api::{Problem, StoreView};
use super::problem::Failure;
use super::server::{Answer, Shared, answer, ticks};
use crate::engine::Engine;

pub(super) fn routes() -> Router<Arc<Engine>> {
    Router::new().route("/v1/store", get(store)).route("/v1/store/backup", get(backup))
}

#[utoipa::path(get, path = "/v1/store", responses((status = 200, body = StoreView), (status = 500, body = Problem)))]
pub(super) async fn store(State(engine): Shared) -> Answer<StoreView> {
    answer(ticks(&engine), engine.verify_store().await?)
}

#[utoipa::path(get, path = "/v1/store/backup", responses((status = 200, content_type = "application/vnd.sqlite3"), (status = 500, body = Problem)))]
pub(super) async fn backup(State(engine): Shared) -> Result<Response, Failure> {
    let kind = [(header::CONTENT_TYPE, "application/vnd.sqlite3")];
    Ok((kind, engine.backup().await?).into_response())
}
