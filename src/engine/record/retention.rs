//! What the store does not keep for ever is taken away in the background, in steps that no change waits for.

use std::fmt::Display;
use std::sync::{Arc, Weak};
use std::time::Duration;

use jiff::Timestamp;
use tokio::sync::watch;

use crate::engine::error::EngineError;
use crate::engine::record::Record;
use crate::platform::chain;
use crate::state::event;
use crate::store::{Keep, Pruned};

/// What is kept.
pub trait Retention: Display + Send + Sync {
    /// What is kept at this time.
    fn at(&self, now: Timestamp) -> Keep;
}

/// Nothing goes before it is known what is to be kept.
pub(crate) type Known = watch::Sender<Option<Arc<dyn Retention>>>;

impl Record {
    /// From now on this is kept, and no more.
    pub(crate) fn set_retention(&self, retention: Arc<dyn Retention>) {
        self.retention.send_replace(Some(retention));
    }

    /// Takes away all that may go now. What is to go is recorded with the first of it, and what has gone at the end.
    async fn prune(&self, retention: &dyn Retention) -> Result<(), EngineError> {
        let keep = retention.at(self.platform.clock.now());
        let begun = format!("records that may go are taken out of the store: it keeps {retention}");
        let mut begun = Some(event(self.platform.clock.now(), "store.pruning", begun, None, None));
        let mut gone = Pruned::default();
        loop {
            let before = self.platform.clock.mark();
            let (told, keep) = (begun.clone(), keep);
            let step = self.read(move |store| store.prune(&keep, ROWS, told.as_ref())).await?;
            if step.is_empty() {
                break;
            }
            begun = None;
            if !step.runs.is_empty() {
                self.lock().await.forget_runs(&step.runs);
            }
            gone.extend(step);
            tokio::time::sleep((before.elapsed() * 4).max(PAUSE)).await;
        }
        if gone.is_empty() {
            return Ok(());
        }
        let Pruned { runs, events, hook_output } = gone;
        let text = format!(
            "taken out of the store, by their age or for its size: {} runs, {events} events and {hook_output} pieces of \
             hooks' output",
            runs.len()
        );
        self.lock().await.record(vec![event(self.platform.clock.now(), "store.pruned", text, None, None)]).await
    }
}

/// Looks every hour, and whenever something else is to be kept, until the record is dropped.
pub(crate) async fn tend(record: Weak<Record>) {
    let Some(mut known) = record.upgrade().map(|record| record.retention.subscribe()) else { return };
    loop {
        let retention = known.borrow_and_update().clone();
        if let Some(retention) = retention {
            let Some(record) = record.upgrade() else { return };
            if let Err(error) = record.prune(&*retention).await {
                tracing::warn!("what may go cannot be taken out of the store: {}", chain(&error));
            }
        }
        if let Ok(Err(_)) = tokio::time::timeout(AGAIN, known.changed()).await {
            return;
        }
    }
}

/// So many events go in one transaction: the disk has it in some milliseconds.
const ROWS: usize = 500;

/// Between two steps changes have the store, for four times as long as a step took, and at least for this long.
const PAUSE: Duration = Duration::from_millis(50);

const AGAIN: Duration = Duration::from_secs(3600);
