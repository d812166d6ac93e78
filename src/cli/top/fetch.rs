//! Reads the status and the runs again and again, one request after the other.
//!
//! A status of all servers makes HAProxy print all of its tables. So it is read at the interval only while that takes
//! little time, and otherwise so seldom that it takes a twentieth of the time. In between only the backends that are on
//! the screen are read, by the same rule.

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
    /// The backends on the screen, as selectors.
    shown: watch::Receiver<Vec<String>>,
    /// The last status of all servers, and the last one of some.
    whole: Option<Took>,
    some: Option<Took>,
    /// How many of the backends on the screen were read before, if they are too many for one request.
    turn: usize,
}

/// When a request was sent, and how long its answer took.
#[derive(Debug, Clone, Copy)]
struct Took {
    began: Instant,
    took: Duration,
}

impl Took {
    fn since(began: Instant) -> Option<Self> {
        Some(Self { began, took: began.elapsed() })
    }

    /// Whether the same may be read again.
    fn is_due_again(self, now: Instant) -> bool {
        now.duration_since(self.began) >= self.took * RARELY
    }
}

impl Fetch {
    /// A reader of the backends on the screen every `interval`.
    pub(super) fn new(client: &Client, interval: Duration, shown: watch::Receiver<Vec<String>>) -> Self {
        Self { client: client.clone(), interval, shown, whole: None, some: None, turn: 0 }
    }

    /// Reads once; `None` if it is too early to read anything again.
    ///
    /// # Errors
    /// See [`ClientError`].
    pub(super) async fn read(&mut self) -> Result<Option<Snapshot>, ClientError> {
        let now = clock::mark();
        let shown = self.shown.borrow_and_update().clone();
        let mut some = None;
        if !shown.is_empty() && self.whole.is_some_and(|whole| !whole.is_due_again(now)) {
            if self.some.is_some_and(|some| !some.is_due_again(now)) {
                return Ok(None);
            }
            some = self.read_some(&shown, now).await?;
        }
        let whole = some.is_none();
        let status = match some {
            Some(status) => status,
            None => self.read_all(now).await?,
        };
        let (runs, _): (Runs, _) = self.client.get(&format!("/v1/runs?latest={RUNS}")).await?;
        Ok(Some(Snapshot { status, whole, runs: runs.runs }))
    }

    async fn read_all(&mut self, began: Instant) -> Result<StatusView, ClientError> {
        let (status, _) = self.client.get("/v1/status").await?;
        self.whole = Took::since(began);
        Ok(status)
    }

    /// The status of some backends; `None` if one of them does not exist any more.
    async fn read_some(&mut self, shown: &[String], began: Instant) -> Result<Option<StatusView>, ClientError> {
        let part: Vec<&String> =
            shown.iter().cycle().skip(self.turn % shown.len()).take(shown.len().min(MOST)).collect();
        self.turn = (self.turn + part.len()) % shown.len();
        match self.client.get(&queries::selecting("/v1/status", &part)).await {
            Ok((status, _)) => {
                self.some = Took::since(began);
                Ok(Some(status))
            }
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
            let answer = match self.read().await {
                Ok(None) => continue,
                Ok(Some(snapshot)) => Ok(snapshot),
                Err(error) => {
                    // After a restart of teeterd everything may be different.
                    self.whole = None;
                    Err(chain(&error))
                }
            };
            if answers.send(Fetched { at: clock::now(), answer }).await.is_err() {
                return;
            }
        }
    }
}

/// The same is read again after this many times the time that the last answer took.
const RARELY: u32 = 20;

/// The most backends in a request: with more selectors teeterd looks at all backends.
const MOST: usize = 16;

/// The runs to show beside the active ones.
const RUNS: usize = 10;
