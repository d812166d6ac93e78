//! Follows one document of the API by long polls, across restarts of teeterd.

use std::time::Duration;

use serde::de::DeserializeOwned;

use super::progress::Progress;
use crate::control::client::{Client, ClientError, Tick};

/// A document that is read again whenever something changes.
pub(super) struct Watch<'a> {
    client: &'a Client,
    path: String,
    tick: Option<Tick>,
    patient: bool,
}

impl<'a> Watch<'a> {
    /// Watches a document that may not exist: if teeterd is away at first, that is an error at once.
    pub(super) fn new(client: &'a Client, path: impl Into<String>) -> Self {
        Self { client, path: path.into(), tick: None, patient: false }
    }

    /// Watches a document that teeterd has just sent: if teeterd goes away now, waits for it.
    pub(super) fn known(client: &'a Client, path: impl Into<String>) -> Self {
        Self { patient: true, ..Self::new(client, path) }
    }

    /// The first time, the current document; after that, the document once something has changed or after some seconds.
    ///
    /// # Errors
    /// See [`ClientError`]; if teeterd is away, only after [`PATIENCE`].
    pub(super) async fn next<T: DeserializeOwned>(&mut self, progress: &Progress) -> Result<T, ClientError> {
        let error = match self.attempt().await {
            Err(error) if error.is_away() && self.patient => error,
            answer => return answer,
        };
        // A restarted teeterd counts its ticks from the start.
        self.tick = None;
        progress.line(&format!("teeterd does not answer; trying again for {} s", PATIENCE.as_secs()));
        let again = async {
            loop {
                tokio::time::sleep(PAUSE).await;
                match self.attempt().await {
                    Err(error) if error.is_away() => {}
                    answer => return answer,
                }
            }
        };
        let answer = tokio::time::timeout(PATIENCE, again).await.unwrap_or(Err(error))?;
        progress.line("teeterd answers again");
        Ok(answer)
    }

    async fn attempt<T: DeserializeOwned>(&mut self) -> Result<T, ClientError> {
        let (value, tick) = match self.tick {
            Some(tick) => self.client.poll(&self.path, tick).await?,
            None => self.client.get(&self.path).await?,
        };
        self.tick = Some(tick);
        self.patient = true;
        Ok(value)
    }
}

/// The longest wait for a teeterd that is away: a restart takes seconds, systemd's default start limit is a minute.
pub(super) const PATIENCE: Duration = Duration::from_secs(60);

/// The pause between two attempts to reach it.
pub(super) const PAUSE: Duration = Duration::from_millis(500);
