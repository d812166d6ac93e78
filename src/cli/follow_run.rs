//! `teeter show --follow`: shows a run until it ends or stops, for viewers.

use tokio::task::AbortHandle;

use super::error::CliError;
use super::follow::{Awaiting, Follow};
use super::interrupt::{self, Interrupt};
use super::live::HookState;
use super::{Context, print, queries, result};
use crate::api::{EventView, Exit};
use crate::control::client::{Client, with_query};

/// `teeter show --follow`.
///
/// # Errors
/// There is no such run; teeterd is away for too long, or refuses.
pub(super) async fn follow_run(context: &Context, run: Option<u64>) -> Result<Exit, CliError> {
    let mut interrupt = Interrupt::listen()?;
    let mut run = queries::run_or_latest(context, run).await?;
    let mut follow = Follow::new(context, &run);
    let _lines = HookLines::read(&context.client, run.id, follow.display.hook.clone());
    follow.display.progress.line(&queries::header(&run));
    loop {
        follow.show(&run);
        if matches!(Awaiting::by(&run), Awaiting::Ended) {
            break;
        }
        run = tokio::select! {
            biased;
            () = interrupt.received() => {
                follow.display.progress.clear();
                print::err(&format!("run {0} goes on without this view\nnext: teeter show {0}", run.id));
                return Ok(interrupt::exit());
            }
            next = follow.next() => next?,
        };
    }
    follow.display.progress.clear();
    result::conclude(context, &run).await
}

/// Reads the output of the run's hooks until it is dropped.
struct HookLines(AbortHandle);

impl HookLines {
    fn read(client: &Client, run: u64, state: HookState) -> Self {
        let client = client.clone();
        let path = with_query("/v1/events/stream", [("run", run.to_string())]);
        let reading = tokio::spawn(async move {
            loop {
                if let Ok(stream) = client.stream::<EventView>(&path).await {
                    let mut stream = stream.failing_on_silence();
                    while let Some(Ok(event)) = stream.next().await {
                        if event.kind == "hook.output" {
                            state.line(event.at, &event.text);
                        }
                    }
                }
                tokio::time::sleep(super::watch::PAUSE).await;
            }
        });
        Self(reading.abort_handle())
    }
}

impl Drop for HookLines {
    fn drop(&mut self) {
        self.0.abort();
    }
}
