//! Follows a run: prints its steps as they are done, and tells the command when the run waits for its caller.

use std::pin::pin;
use std::time::Duration;

use super::display::Display;
use super::error::CliError;
use super::limit::{self, Limit};
use super::watch::{PAUSE, Watch};
use super::{Context, clock};
use crate::api::{AdvanceRequest, RunStatus, RunView, StepStatus, WorkView};

/// What a run expects of its caller.
pub(super) enum Awaiting {
    /// To wait.
    Nothing,
    /// To work.
    Work(WorkView),
    /// Nothing more: the run is done, failed, aborted or rolled back.
    Ended,
}

impl Awaiting {
    /// The expectation of this run.
    pub(super) fn by(run: &RunView) -> Self {
        match (&run.state, &run.work) {
            (RunStatus::Done | RunStatus::Failed | RunStatus::Aborted | RunStatus::RolledBack, _) => Self::Ended,
            (RunStatus::Running, Some(work)) => Self::Work(work.clone()),
            _ => Self::Nothing,
        }
    }
}

/// A run that a command follows.
pub(super) struct Follow<'a> {
    context: &'a Context,
    id: u64,
    watch: Watch<'a>,
    shown: usize,
    /// The number of its remarks shown so far.
    remarked: usize,
    /// The limit of its current wait.
    limit: Limit,
    /// What is shown of it.
    pub(super) display: Display,
}

impl<'a> Follow<'a> {
    /// Follows from here on: steps that are done already are not shown.
    pub(super) fn new(context: &'a Context, run: &RunView) -> Self {
        Self {
            context,
            id: run.id,
            watch: Watch::known(&context.client, format!("/v1/runs/{}", run.id)),
            shown: done(run),
            remarked: run.remarks.len(),
            limit: Limit::default(),
            display: Display::new(run),
        }
    }

    /// Shows new steps and remarks.
    pub(super) fn show(&mut self, run: &RunView) {
        let now = clock::now();
        for step in run.steps.get(self.shown..done(run)).unwrap_or_default() {
            let how = match step.state {
                StepStatus::Skipped => continue,
                StepStatus::Failed => " failed",
                _ => "",
            };
            self.display.progress.line(&format!("{}  {}{how}", clock::elapsed(run.started, now), step.text));
        }
        for remark in run.remarks.get(self.remarked..).unwrap_or_default() {
            self.display.progress.line(&format!("{}  note: {remark}", clock::elapsed(run.started, now)));
        }
        self.remarked = self.remarked.max(run.remarks.len());
        self.shown = self.shown.max(done(run));
        self.going(run);
    }

    /// Shows the current wait, and counts its time.
    pub(super) fn going(&mut self, run: &RunView) {
        let until = match Awaiting::by(run) {
            Awaiting::Nothing => {
                // An operator decides about a watch without a verdict, as about a paused run.
                let by_operator = run.paused || run.watches.iter().any(|watch| watch.waits);
                let own = if by_operator { limit::PAUSED } else { limit::OWN };
                let wait = format!("{} {} {by_operator}", run.state, run.cursor);
                self.limit.waits(wait, run.within_s, own)
            }
            Awaiting::Work(_) | Awaiting::Ended => {
                self.limit.none();
                String::new()
            }
        };
        self.display.update(run, until);
    }

    /// The run once something has changed.
    ///
    /// # Errors
    /// teeterd is away for too long, or refuses, or the wait of the run takes too long.
    pub(super) async fn next(&mut self) -> Result<RunView, CliError> {
        let Self { id, watch, limit, display, .. } = self;
        let next = {
            let mut next = pin!(watch.next(&display.progress));
            let mut passed = pin!(limit.passed());
            let mut second = tokio::time::interval(A_SECOND);
            loop {
                tokio::select! {
                    biased;
                    next = &mut next => break next,
                    after = &mut passed => {
                        let after = clock::seconds(after.as_secs());
                        return Err(CliError::Overdue { run: *id, after, what: display.wait() });
                    }
                    _ = second.tick() => display.refresh(),
                }
            }
        };
        next.map_err(|source| if source.is_away() { CliError::Lost { run: *id, source } } else { source.into() })
    }

    /// The run at present.
    ///
    /// # Errors
    /// teeterd is away, or refuses.
    pub(super) async fn now(&self) -> Result<RunView, CliError> {
        Ok(self.context.client.get(&format!("/v1/runs/{}", self.id)).await?.0)
    }

    /// Returns when the run is no longer at the work of this step. Goes on while teeterd is away.
    pub(super) async fn left_step(&mut self, step: usize) {
        loop {
            match self.next().await {
                Ok(run) if matches!(Awaiting::by(&run), Awaiting::Work(work) if work.step == step) => {}
                Ok(_) => return,
                Err(_) => std::future::pending().await,
            }
        }
    }

    /// The run once it waits for its caller, or has ended.
    ///
    /// # Errors
    /// As [`Follow::next`].
    pub(super) async fn until_awaiting(&mut self, mut run: RunView) -> Result<RunView, CliError> {
        loop {
            self.show(&run);
            if !matches!(Awaiting::by(&run), Awaiting::Nothing) {
                return Ok(run);
            }
            run = self.next().await?;
        }
    }

    /// Reports the result of the work on a step, as the caller with this key. If teeterd goes away meanwhile, sends the
    /// report again, unless the run shows that the report has arrived. Returns the run, also if it has ended meanwhile.
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
            let wanted = matches!(Awaiting::by(&run), Awaiting::Work(work) if work.step == step);
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

/// The time between two pictures while nothing changes.
const A_SECOND: Duration = Duration::from_secs(1);

/// The most attempts to report while teeterd answers other requests; with the pauses, as long as the wait for teeterd.
const ATTEMPTS: u32 = 120;
