//! Reads the status and the runs again and again, one request after the other.
//!
//! A status of all servers makes HAProxy print all of its tables. So it is read at the interval only while that takes
//! little time, and otherwise so seldom that it takes a twentieth of the time. In between only the servers that are on
//! the screen are read.

use std::time::Duration;

use jiff::Timestamp;
use tokio::sync::{mpsc, watch};
use tokio::time::Instant;

use super::state::Snapshot;
use crate::api::{Runs, StatusView};
use crate::cli::{clock, queries};
use crate::control::client::{Client, ClientError};
use crate::platform::chain;

/// An answer, or why there is none, and when it came.
#[derive(Debug)]
pub(super) struct Fetched {
    pub(super) at: Timestamp,
    pub(super) answer: Result<Snapshot, String>,
}

/// The reader.
pub(super) struct Fetch {
    client: Client,
    interval: Duration,
    /// The servers on the screen, as selectors.
    shown: watch::Receiver<Vec<String>>,
    /// When the last status of all servers was read, and how long that took.
    whole: Option<(Instant, Duration)>,
}

impl Fetch {
    /// A reader of the servers on the screen every `interval`.
    pub(super) fn new(client: &Client, interval: Duration, shown: watch::Receiver<Vec<String>>) -> Self {
        Self { client: client.clone(), interval, shown, whole: None }
    }

    /// Reads once.
    ///
    /// # Errors
    /// See [`ClientError`].
    pub(super) async fn read(&mut self) -> Result<Snapshot, ClientError> {
        let began = mark();
        let shown: Vec<String> = self.shown.borrow_and_update().iter().take(MOST_SHOWN).cloned().collect();
        let whole = shown.is_empty() || self.whole.is_none_or(|(at, took)| began - at >= took * RARELY);
        let some = if whole { None } else { self.read_some(&shown).await? };
        let whole = some.is_none();
        let status = match some {
            Some(status) => status,
            None => self.read_all(began).await?,
        };
        let (runs, _): (Runs, _) = self.client.get(&format!("/v1/runs?latest={RUNS}")).await?;
        Ok(Snapshot { status, whole, runs: runs.runs })
    }

    async fn read_all(&mut self, began: Instant) -> Result<StatusView, ClientError> {
        let (status, _) = self.client.get("/v1/status").await?;
        self.whole = Some((began, began.elapsed()));
        Ok(status)
    }

    /// The status of some servers; `None` if one of them does not exist any more.
    async fn read_some(&self, shown: &[String]) -> Result<Option<StatusView>, ClientError> {
        match self.client.get(&queries::selecting("/v1/status", shown)).await {
            Ok((status, _)) => Ok(Some(status)),
            Err(error) if error.is_not_found() => Ok(None),
            Err(error) => Err(error),
        }
    }

    /// Reads again and again, until the receiver of the answers is gone.
    pub(super) async fn run(mut self, answers: mpsc::Sender<Fetched>) {
        let mut due = tokio::time::interval(self.interval);
        due.set_missed_tick_behavior(tokio::time::MissedTickBehavior::Delay);
        due.tick().await;
        loop {
            due.tick().await;
            let answer = self.read().await.map_err(|error| chain(&error));
            if answer.is_err() {
                // After a restart of teeterd everything may be different.
                self.whole = None;
            }
            if answers.send(Fetched { at: clock::now(), answer }).await.is_err() {
                return;
            }
        }
    }
}

#[allow(clippy::disallowed_methods, reason = "the length of a request decides only when the next one is sent")]
fn mark() -> Instant {
    Instant::now()
}

/// A status of all servers is read again after this many times the time that the last one took.
const RARELY: u32 = 20;

/// The most servers that are read by their names: a request has at most a thousand selectors, and 64 KiB.
const MOST_SHOWN: usize = 300;

/// The runs to show beside the active ones.
const RUNS: usize = 10;
