//! What is wrong with teeterd itself, told for as long as it is so.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use jiff::Timestamp;
use tokio::time::Instant;

use crate::engine::Engine;
use crate::platform::{Clock, chain};
use crate::store::StoreError;

/// What is wrong now, by what it is about. Clones are the same.
#[derive(Debug, Clone, Default)]
pub struct Troubles(Arc<Mutex<BTreeMap<&'static str, Trouble>>>);

#[derive(Debug)]
struct Trouble {
    since: Timestamp,
    last: Instant,
    words: String,
}

impl Troubles {
    /// Something is wrong, or still is.
    pub fn set(&self, about: &'static str, words: String, clock: &Clock) {
        let mut all = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let last = clock.mark();
        let trouble = all.entry(about).or_insert_with(|| {
            tracing::error!("{about}: {words}");
            Trouble { since: clock.now(), last, words: String::new() }
        });
        (trouble.last, trouble.words) = (last, words);
    }

    /// It works again, where it did not.
    pub fn clear(&self, about: &'static str) {
        if self.0.lock().unwrap_or_else(PoisonError::into_inner).remove(about).is_some() {
            tracing::info!("{about}: works again");
        }
    }

    /// What each is about, with the words and the time of its beginning, for people.
    pub(crate) fn all(&self) -> Vec<(&'static str, String)> {
        let all = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let words = |trouble: &Trouble| format!("{} (since {})", trouble.words, trouble.since.strftime("%F %T UTC"));
        all.iter().map(|(about, trouble)| (*about, words(trouble))).collect()
    }

    /// When something was last found wrong, where it is wrong.
    fn last(&self, about: &str) -> Option<Instant> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).get(about).map(|trouble| trouble.last)
    }

    /// What became of an attempt to write to the store; `None` where it was not made.
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

impl Engine {
    /// Something of teeterd itself is wrong, or, with `None`, is not wrong any more.
    pub fn set_trouble(&self, about: &'static str, words: Option<String>) {
        match words {
            Some(words) => self.troubles.set(about, words, &self.clock),
            None => self.troubles.clear(about),
        }
    }

    /// Finds out, every few seconds at most, whether the store can be written, as far as one page of it tells: what has just been refused counts for
    /// more.
    pub(crate) async fn try_the_store(&self) {
        let now = self.clock.mark();
        // It writes to the disk, and every caller who may look may ask for it at any rate.
        let before = self.memory().tried_store;
        if before.is_some_and(|before| now.duration_since(before) < REFUSED_LATELY) {
            return;
        }
        self.memory().tried_store = Some(now);
        let store = Arc::clone(&self.store);
        let tried = self.platform.on_disk(move || store.try_to_write());
        let Ok(Ok(tried)) = tokio::time::timeout(DISK_TAKES, tried).await else { return };
        let refused = self.troubles.last(STORE).is_some_and(|last| last.elapsed() < REFUSED_LATELY);
        if tried.is_err() || !refused {
            self.troubles.of_store(Some(tried.as_ref()), &self.clock);
        }
    }

    /// The same where it could not be written for a while and nothing else has tried.
    pub(crate) async fn try_the_store_again(&self) {
        if self.troubles.last(STORE).is_some_and(|last| last.elapsed() >= REFUSED_LATELY) {
            self.try_the_store().await;
        }
    }
}

const STORE: &str = "the store";

/// What waits is tried again several times a second.
const REFUSED_LATELY: Duration = Duration::from_secs(5);

/// A disk that takes longer than this has not said whether it can be written.
const DISK_TAKES: Duration = Duration::from_secs(5);
