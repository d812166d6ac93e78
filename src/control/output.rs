//! The handler of hook output.

use std::sync::Arc;

use axum::extract::{Extension, Path, State};
use axum::routing::post;
use axum::{Json, Router};

use super::answer::{Answer, Body, Shared, answer, ticks};
use super::harmless::harmless;
use super::permit::AuthorizedCaller;
use super::problem::Failure;
use super::read::{LONGEST_LIST, number};
use crate::api::{OutputRequest, OutputView, Problem};
use crate::engine::{Engine, HookLine};
use crate::farm::RunId;

pub(super) fn routes() -> Router<Arc<Engine>> {
    Router::new().route("/v1/runs/{id}/output", post(output))
}

#[utoipa::path(
    post,
    path = "/v1/runs/{id}/output",
    params(("id" = u64, Path)),
    request_body = OutputRequest,
    responses((status = 200, body = OutputView), (status = 404, body = Problem)),
)]
pub(super) async fn output(
    State(engine): Shared,
    Extension(caller): Extension<AuthorizedCaller>,
    Path(id): Path<String>,
    body: Body<OutputRequest>,
) -> Answer<OutputView> {
    let Json(request) = body.map_err(|error| Failure::usage(error.body_text()))?;
    if request.lines.len() > LONGEST_LIST {
        return Err(Failure::usage(format!(
            "{} lines of output: a request has at most {LONGEST_LIST}",
            request.lines.len()
        )));
    }
    let lines = request.lines.into_iter().map(|line| HookLine {
        from: harmless(line.from.as_bytes()).chars().take(LONGEST_NAME).collect(),
        text: harmless(line.text.as_bytes()),
    });
    let more = engine.keep_output(RunId(number(&id)?), lines.collect(), &caller.by.caller).await?;
    answer(ticks(&engine), OutputView { more })
}

/// The greatest length of the name of a line's source, in characters.
const LONGEST_NAME: usize = 100;
