//! A damaged store: its file is renamed, and teeterd uses a store without records that refuses every change. Servers
//! that are out stay out, because teeterd does not guess the reason.

use std::fs::File;
use std::io;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use rustix::fs::CWD;

use super::{
    DrainQuery, EventQuery, RunQuery, SQLITE_SUFFIXES, SqliteStore, Store, StoreError, Tally, Verified, rename_new,
    with_suffix,
};
use crate::farm::RunId;
use crate::plan::Run;
use crate::platform::chain;
use crate::state::{DrainRecord, Event, NewEvent, State, Transaction, WatchRecord};

/// Opens the store of a daemon. A damaged store is renamed, and the returned store refuses every change.
///
/// # Errors
/// The store cannot be opened for another reason than damage, or cannot be renamed.
pub fn open(path: &Path) -> Result<Arc<dyn Store>, StoreError> {
    // A record that cannot be read is damage, too: without this record teeter would silently forget a hold, a baseline,
    // a route or a run.
    let readable = |store: SqliteStore| store.load().map(|_| store);
    let error = match SqliteStore::open(path).and_then(readable) {
        Ok(store) => return Ok(Arc::new(store)),
        Err(error @ (StoreError::Corrupt { .. } | StoreError::Damaged { .. } | StoreError::Misfiled { .. })) => error,
        Err(error) => return Err(error),
    };
    let aside = set_aside(path).map_err(|source| StoreError::NotSetAside {
        problem: chain(&error),
        path: path.display().to_string(),
        source,
    })?;
    let problem = chain(&error);
    let reason = format!(
        "{problem}, and has been set aside as {0}. teeterd is now read-only: servers that are out stay out, with no \
         recorded reason. Run `teeter status` and `teeter store verify {0}`, then restart teeterd: it begins with an \
         empty store, or with a backup that you restore before",
        aside.display()
    );
    Ok(Arc::new(RefusingStore { reason }))
}

/// Renames a database, and the files that SQLite keeps beside it, to an unused name.
fn set_aside(path: &Path) -> io::Result<PathBuf> {
    let mut names = (1..=u32::MAX).map(|number| with_suffix(path, &format!(".damaged-{number}")));
    let aside = loop {
        let name = names.next().ok_or(io::ErrorKind::AlreadyExists)?;
        match rename_new(CWD, path, CWD, &name) {
            Err(error) if error.kind() == io::ErrorKind::AlreadyExists => {}
            renamed => break renamed.map(|()| name)?,
        }
    };
    for suffix in SQLITE_SUFFIXES {
        match rename_new(CWD, with_suffix(path, suffix), CWD, with_suffix(&aside, suffix)) {
            Err(error) if error.kind() != io::ErrorKind::NotFound => return Err(error),
            _ => {}
        }
    }
    Ok(aside)
}

struct RefusingStore {
    reason: String,
}

impl RefusingStore {
    fn refused<T>(&self) -> Result<T, StoreError> {
        Err(StoreError::SetAside { reason: self.reason.clone() })
    }
}

impl Store for RefusingStore {
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

    fn drains(&self, _: &DrainQuery) -> Result<Vec<DrainRecord>, StoreError> {
        Ok(Vec::new())
    }

    fn runs(&self, _: &RunQuery) -> Result<Vec<Run>, StoreError> {
        Ok(Vec::new())
    }

    fn watches(&self, _: RunId) -> Result<Vec<WatchRecord>, StoreError> {
        Ok(Vec::new())
    }

    fn run(&self, _: RunId) -> Result<Option<Run>, StoreError> {
        Ok(None)
    }

    fn verify(&self) -> Result<Verified, StoreError> {
        self.refused()
    }

    fn backup(&self) -> Result<File, StoreError> {
        self.refused()
    }

    fn holds_lease(&self) -> bool {
        false
    }

    fn trouble(&self) -> Option<&str> {
        Some(&self.reason)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::farm::Baseline;
    use crate::haproxy::AdminState;
    use crate::state::Change;

    /// Damages a store with one baseline by SQL, and opens the store like a daemon.
    fn opened_after(damage: &str) -> Arc<dyn Store> {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("t.db");
        let store = SqliteStore::open(&path).unwrap();
        let was = Baseline {
            down: false,
            state: AdminState::Ready,
            agent: false,
            agent_down: false,
            weight: 1,
            weighed: false,
            overruled: None,
            origin: None,
        };
        let changes = vec![Change::PutBaseline("edge:app/web01".to_owned().try_into().unwrap(), was)];
        store.commit(&Transaction { expect: 1, changes, events: Vec::new() }).unwrap();
        drop(store);
        rusqlite::Connection::open(&path).unwrap().execute_batch(damage).unwrap();
        open(&path).unwrap()
    }

    #[test]
    fn an_unreadable_or_misplaced_record_is_damage() {
        assert_eq!(opened_after("SELECT 1").trouble(), None);
        for (damage, problem) in [
            ("UPDATE baselines SET entry = 'app/web01'", "a baseline under the key \"app/web01\""),
            ("UPDATE baselines SET entry = 'edge:app/web 01'", "a baseline under the key \"edge:app/web 01\""),
            ("UPDATE baselines SET json = '{}'", "a baseline that cannot be read"),
            ("INSERT INTO routes VALUES ('shop', '{}')", "a route that cannot be read"),
            ("INSERT INTO holds VALUES (7, '')", "a hold that cannot be read"),
            ("INSERT INTO runs VALUES (7, 1, '{}')", "a run that cannot be read"),
        ] {
            let store = opened_after(damage);
            let trouble = store.trouble().unwrap_or_default();
            assert!(trouble.contains(problem) && trouble.contains("t.db.damaged-1"), "{damage}: {trouble}");
            assert_eq!(store.load().unwrap(), State::default());
        }
    }
}
