//! Attending to a run: teeterd notices when this process ends, however it does.

use serde_json::Value;
use tokio::task::AbortHandle;

use super::watch::PAUSE;
use crate::control::client::Client;

/// Attends to a run until it is dropped, over restarts of teeterd.
#[derive(Debug)]
pub(super) struct Attend(AbortHandle);

impl Attend {
    /// From now on.
    pub(super) fn to(client: &Client, run: u64) -> Self {
        let client = client.clone();
        let attending = tokio::spawn(async move {
            loop {
                if let Ok(mut stream) = client.stream::<Value>(&format!("/v1/runs/{run}/attend")).await {
                    while let Some(Ok(_)) = stream.next().await {}
                }
                tokio::time::sleep(PAUSE).await;
            }
        });
        Self(attending.abort_handle())
    }
}

impl Drop for Attend {
    fn drop(&mut self) {
        self.0.abort();
    }
}
