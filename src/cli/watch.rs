//! Follows one document of the API by long polls, over restarts of teeterd.

use std::time::Duration;

use serde::de::DeserializeOwned;

use super::progress::Progress;
use crate::control::client::{Client, ClientError, Tick};

/// One document, again and again.
pub(super) struct Watch<'a> {
    client: &'a Client,
    path: String,
    tick: Option<Tick>,
    patient: bool,
}

impl<'a> Watch<'a> {
    /// Of something that may not exist: a daemon that is away at first is an error at once.
    pub(super) fn new(client: &'a Client, path: impl Into<String>) -> Self {
        Self { client, path: path.into(), tick: None, patient: false }
    }

    /// Of what teeterd has just answered with: if it goes away now, it is waited for.
    pub(super) fn known(client: &'a Client, path: impl Into<String>) -> Self {
        Self { patient: true, ..Self::new(client, path) }
    }

    /// The document now, the first time; after that, once something has changed or some seconds have passed.
    ///
    /// # Errors
    /// See [`ClientError`]; that teeterd is away only after [`PATIENCE`].
    pub(super) async fn next<T: DeserializeOwned>(&mut self, progress: &mut Progress) -> Result<T, ClientError> {
        let error = match self.attempt().await {
            Err(error) if error.is_away() && self.patient => error,
            answer => return answer,
        };
        // Another process may count its ticks from the start.
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

/// How long a daemon that is away is waited for: a restart takes seconds, systemd's default start limit a minute.
pub(super) const PATIENCE: Duration = Duration::from_secs(60);

/// Between two attempts to reach it.
pub(super) const PAUSE: Duration = Duration::from_millis(500);
