//! Follows a run: prints its steps as they are done, and says when it wants something of the caller.

use jiff::Timestamp;

use super::error::CliError;
use super::limit::{self, Limit};
use super::progress::Progress;
use super::watch::{PAUSE, Watch};
use super::{Context, clock};
use crate::api::{AdvanceRequest, RunStatus, RunView, StepStatus, WorkView};

/// What a run wants of its caller.
pub(super) enum Standing {
    /// To wait.
    Going,
    /// To work.
    Work(WorkView),
    /// Nothing more: it is done, failed or aborted.
    Ended,
}

impl Standing {
    /// Of this run.
    pub(super) fn of(run: &RunView) -> Self {
        match (&run.state, &run.work) {
            (RunStatus::Done | RunStatus::Failed | RunStatus::Aborted | RunStatus::RolledBack, _) => Self::Ended,
            (RunStatus::Running, Some(work)) => Self::Work(work.clone()),
            _ => Self::Going,
        }
    }
}

/// One run as it goes on.
pub(super) struct Follow<'a> {
    context: &'a Context,
    id: u64,
    watch: Watch<'a>,
    started: Timestamp,
    shown: usize,
    /// How many of its remarks have been shown.
    remarked: usize,
    /// How long what it waits for may take.
    limit: Limit,
    /// What it waits for.
    waiting: String,
    /// Where to show it.
    pub(super) progress: Progress,
}

impl<'a> Follow<'a> {
    /// From here on: steps that are done already are not shown.
    pub(super) fn new(context: &'a Context, run: &RunView) -> Self {
        Self {
            context,
            id: run.id,
            watch: Watch::known(&context.client, format!("/v1/runs/{}", run.id)),
            started: run.started,
            shown: done(run),
            remarked: run.remarks.len(),
            limit: Limit::default(),
            waiting: String::new(),
            progress: Progress::new(),
        }
    }

    /// Shows what is new.
    pub(super) fn show(&mut self, run: &RunView) {
        let now = clock::now();
        for step in run.steps.get(self.shown..done(run)).unwrap_or_default() {
            let how = match step.state {
                StepStatus::Skipped => continue,
                StepStatus::Failed => " failed",
                _ => "",
            };
            self.progress.line(&format!("{}  {}{how}", clock::elapsed(self.started, now), step.text));
        }
        for remark in run.remarks.get(self.remarked..).unwrap_or_default() {
            self.progress.line(&format!("{}  note: {remark}", clock::elapsed(self.started, now)));
        }
        self.remarked = self.remarked.max(run.remarks.len());
        self.shown = self.shown.max(done(run));
        match Standing::of(run) {
            Standing::Going => self.going(run),
            Standing::Work(_) | Standing::Ended => self.limit.none(),
        }
    }

    /// Shows what it waits for, and counts the time of that.
    pub(super) fn going(&mut self, run: &RunView) {
        let step = run.steps.get(run.cursor).map(|step| format!("{}: ", step.text)).unwrap_or_default();
        let waiting = run.waiting.as_deref().unwrap_or("waiting for what teeterd makes of it");
        let (cursor, state, paused) = (run.cursor, &run.state, run.paused);
        let own = if paused { limit::PAUSED } else { limit::OWN };
        let until = self.limit.waits(format!("{state} {cursor} {paused}"), run.within_s, own);
        self.waiting = format!("{step}{waiting}");
        // Until then it is only seen that nothing is wrong.
        if run.waiting.is_some() {
            self.progress.waiting(&format!("{step}{waiting} ({until})"));
        }
    }

    /// The run once something has changed.
    ///
    /// # Errors
    /// teeterd is away for good, or refuses, or what the run waits for takes too long.
    pub(super) async fn next(&mut self) -> Result<RunView, CliError> {
        let next = tokio::select! {
            biased;
            next = self.watch.next(&mut self.progress) => next,
            after = self.limit.passed() => {
                let after = clock::seconds(after.as_secs());
                return Err(CliError::Overdue { run: self.id, after, what: self.waiting.clone() });
            }
        };
        next.map_err(|source| if source.is_away() { CliError::Lost { run: self.id, source } } else { source.into() })
    }

    /// The run as it is.
    ///
    /// # Errors
    /// teeterd is away, or refuses.
    pub(super) async fn now(&self) -> Result<RunView, CliError> {
        Ok(self.context.client.get(&format!("/v1/runs/{}", self.id)).await?.0)
    }

    /// Ends when the run is no longer at the work of this step. A teeterd that is away says nothing about that.
    pub(super) async fn left(&mut self, step: usize) {
        loop {
            match self.next().await {
                Ok(run) if matches!(Standing::of(&run), Standing::Work(work) if work.step == step) => {}
                Ok(_) => return,
                Err(_) => std::future::pending().await,
            }
        }
    }

    /// The run once it wants something of the caller.
    ///
    /// # Errors
    /// As [`Follow::next`].
    pub(super) async fn until_wanted(&mut self, mut run: RunView) -> Result<RunView, CliError> {
        loop {
            self.show(&run);
            if !matches!(Standing::of(&run), Standing::Going) {
                return Ok(run);
            }
            run = self.next().await?;
        }
    }

    /// Reports how the work on a step went, as the caller of this key. When teeterd goes away over it, the report is made again, unless the run
    /// shows that it arrived; when the run has ended meanwhile, that is the answer.
    ///
    /// # Errors
    /// As [`Follow::next`].
    pub(super) async fn report(&mut self, step: usize, failed: Option<String>, key: &str) -> Result<RunView, CliError> {
        let request = AdvanceRequest { step: Some(step), failed, key: Some(key.to_owned()), force: false };
        let path = format!("/v1/runs/{}/advance", self.id);
        let mut attempts = 0;
        loop {
            let error = match self.context.client.post(&path, &request).await {
                Ok(run) => return Ok(run),
                Err(error) => error,
            };
            let run = self.next().await?;
            let wanted = matches!(Standing::of(&run), Standing::Work(work) if work.step == step);
            attempts += 1;
            match (wanted, error.is_away()) {
                (false, _) => return Ok(run),
                (true, true) if attempts < ATTEMPTS => tokio::time::sleep(PAUSE).await,
                (true, _) => return Err(error.into()),
            }
        }
    }
}

fn done(run: &RunView) -> usize {
    run.cursor.min(run.steps.len())
}

/// How often a report is made when teeterd answers all else; with the pauses, as long as it is waited for.
const ATTEMPTS: u32 = 120;
