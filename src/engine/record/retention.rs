//! Deletes old records from the store in the background, in steps so short that changes hardly wait for them.

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

/// How long, and how much of, the records are kept. `Display` shows the setting.
pub trait Retention: Display + Send + Sync {
    /// The bounds of what the store keeps at this time.
    fn at(&self, now: Timestamp) -> Keep;
}

/// The current setting. `None`: not known yet, so nothing is deleted.
pub(crate) type RetentionSetting = watch::Sender<Option<Arc<dyn Retention>>>;

impl Record {
    /// Sets what the store keeps from now on.
    pub(crate) fn set_retention(&self, retention: Arc<dyn Retention>) {
        self.retention.send_replace(Some(retention));
    }

    /// Deletes all records that need not be kept. An event is recorded together with the first deletion, and a summary
    /// after the last.
    async fn prune(&self, retention: &dyn Retention) -> Result<(), EngineError> {
        let keep = retention.at(self.platform.clock.now());
        let text = format!("old records are being deleted from the store: it keeps {retention}");
        let mut announcement = Some(event(self.platform.clock.now(), "store.pruning", text, None, None));
        let mut deleted = Pruned::default();
        loop {
            let before = self.platform.clock.mark();
            let first_event = announcement.clone();
            let step = self.read(move |store| store.prune(&keep, ROWS, first_event.as_ref())).await?;
            if step.is_empty() {
                break;
            }
            announcement = None;
            if !step.runs.is_empty() {
                self.lock().await.forget_runs(&step.runs);
            }
            deleted.extend(step);
            tokio::time::sleep((before.elapsed() * 4).max(PAUSE)).await;
        }
        if deleted.is_empty() {
            return Ok(());
        }
        let Pruned { runs, events, hook_output, drains, thinned } = deleted;
        let text = format!(
            "deleted from the store, because of their age or its size: {} runs, {events} events, {hook_output} pieces of \
             hooks' output and {drains} drains by hand; of {thinned} drains and watches it keeps fewer points",
            runs.len()
        );
        self.lock().await.record(vec![event(self.platform.clock.now(), "store.pruned", text, None, None)]).await
    }
}

/// Prunes every hour, and whenever the setting changes, until the record is dropped.
pub(crate) async fn prune_hourly(record: Weak<Record>) {
    let Some(mut setting) = record.upgrade().map(|record| record.retention.subscribe()) else { return };
    loop {
        let retention = setting.borrow_and_update().clone();
        if let Some(retention) = retention {
            let Some(record) = record.upgrade() else { return };
            if let Err(error) = record.prune(&*retention).await {
                tracing::warn!("old records cannot be deleted from the store: {}", chain(&error));
            }
        }
        if let Ok(Err(_)) = tokio::time::timeout(INTERVAL, setting.changed()).await {
            return;
        }
    }
}

/// How many events one transaction deletes: the disk writes that in some milliseconds.
const ROWS: usize = 500;

/// The shortest pause between two steps, in which changes can use the store. A pause is four times as long as the step
/// before took, and at least this long.
const PAUSE: Duration = Duration::from_millis(50);

/// The time between two prunings while the setting does not change.
const INTERVAL: Duration = Duration::from_secs(3600);
