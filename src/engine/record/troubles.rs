//! Troubles of teeterd itself, such as a full disk. Each is shown for as long as it lasts.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex};

use jiff::Timestamp;
use tokio::time::Instant;

use crate::platform::{Clock, chain, lock};
use crate::store::StoreError;

/// The current troubles, by subject. Clones share them.
#[derive(Debug, Clone, Default)]
pub struct Troubles(Arc<Mutex<BTreeMap<&'static str, Trouble>>>);

#[derive(Debug)]
struct Trouble {
    since: Timestamp,
    /// When it was last found.
    last: Instant,
    words: String,
}

impl Troubles {
    /// Notes that something is wrong, or still is.
    pub fn set(&self, about: &'static str, words: String, clock: &Clock) {
        let mut all = lock(&self.0);
        let last = clock.mark();
        let trouble = all.entry(about).or_insert_with(|| {
            tracing::error!("{about}: {words}");
            Trouble { since: clock.now(), last, words: String::new() }
        });
        (trouble.last, trouble.words) = (last, words);
    }

    /// Notes that something works. Logs that if it did not work before.
    pub fn clear(&self, about: &'static str) {
        if lock(&self.0).remove(about).is_some() {
            tracing::info!("{about}: works again");
        }
    }

    /// Each subject with its description and the time since when it has been wrong.
    pub(crate) fn all(&self) -> Vec<(&'static str, String)> {
        let all = lock(&self.0);
        let words = |trouble: &Trouble| format!("{} (since {})", trouble.words, trouble.since.strftime("%F %T UTC"));
        all.iter().map(|(about, trouble)| (*about, words(trouble))).collect()
    }

    /// When something was last found wrong. `None`: it is not wrong.
    pub(crate) fn last(&self, about: &str) -> Option<Instant> {
        lock(&self.0).get(about).map(|trouble| trouble.last)
    }

    /// Notes the result of an attempt to write to the store. `None`: no attempt was made.
    pub(crate) fn of_store<T>(&self, written: Option<Result<T, &StoreError>>, clock: &Clock) {
        match written {
            Some(Ok(_)) => self.clear(STORE),
            Some(Err(error)) if error.is_of_disk() => {
                let advice = error.advice().map(|advice| format!(". To do: {advice}")).unwrap_or_default();
                let words = format!(
                    "it cannot be written ({}): every change is refused, and what is due waits, until it can{advice}",
                    chain(error)
                );
                self.set(STORE, words, clock);
            }
            _ => {}
        }
    }
}

/// The subject of troubles with the store.
pub(crate) const STORE: &str = "the store";
