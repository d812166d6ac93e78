//! A store that was damaged: set aside under another name, and in its place one that remembers nothing and refuses
//! every change. Whoever is out stays out; what was meant to become of them is not guessed.

use std::fs;
use std::io;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use tokio::sync::watch;

use super::{
    BESIDE, Event, EventQuery, NewEvent, SqliteStore, State, Store, StoreError, Tally, Transaction, Verified, beside,
};
use crate::farm::RunId;

/// Opens the store of a daemon. One that is damaged is set aside, and what is given then changes nothing.
///
/// # Errors
/// It cannot be opened for another reason, or cannot be set aside.
pub fn open(path: &Path) -> Result<Arc<dyn Store>, StoreError> {
    let error = match SqliteStore::open(path) {
        Ok(store) => return Ok(Arc::new(store)),
        Err(error @ StoreError::Corrupt { .. }) => error,
        Err(error) => return Err(error),
    };
    let aside = set_aside(path).map_err(|source| StoreError::NotAside {
        problem: error.to_string(),
        path: path.display().to_string(),
        source,
    })?;
    let reason = format!(
        "{error}, and has been set aside as {}. teeterd only observes: nothing is changed, and whoever is out stays out, \
         unexplained. Look at `teeter status`, then restart teeterd: it begins with an empty store",
        aside.display()
    );
    Ok(Arc::new(Aside { reason, revision: watch::Sender::new(0) }))
}

/// Gives a file, and what SQLite keeps beside it, a name that nothing has yet.
fn set_aside(path: &Path) -> io::Result<PathBuf> {
    let names = (1..).map(|number: u32| beside(path, &format!(".damaged-{number}")));
    let aside = names.into_iter().find(|name| !name.exists()).ok_or(io::ErrorKind::AlreadyExists)?;
    fs::rename(path, &aside)?;
    for end in BESIDE {
        match fs::rename(beside(path, end), beside(&aside, end)) {
            Err(error) if error.kind() != io::ErrorKind::NotFound => return Err(error),
            _ => {}
        }
    }
    Ok(aside)
}

struct Aside {
    reason: String,
    revision: watch::Sender<u64>,
}

impl Aside {
    fn refused<T>(&self) -> Result<T, StoreError> {
        Err(StoreError::Aside { reason: self.reason.clone() })
    }
}

impl Store for Aside {
    fn load(&self) -> Result<State, StoreError> {
        Ok(State::default())
    }

    fn commit(&self, _: &Transaction) -> Result<u64, StoreError> {
        self.refused()
    }

    fn record(&self, _: &[NewEvent]) -> Result<(), StoreError> {
        self.refused()
    }

    fn tally(&self, _: RunId, _: &str) -> Result<Tally, StoreError> {
        self.refused()
    }

    fn events(&self, _: EventQuery) -> Result<Vec<Event>, StoreError> {
        Ok(Vec::new())
    }

    fn verify(&self) -> Result<Verified, StoreError> {
        self.refused()
    }

    fn backup(&self) -> Result<Vec<u8>, StoreError> {
        self.refused()
    }

    fn watch(&self) -> watch::Receiver<u64> {
        self.revision.subscribe()
    }

    fn holds_lease(&self) -> bool {
        false
    }

    fn trouble(&self) -> Option<&str> {
        Some(&self.reason)
    }
}
