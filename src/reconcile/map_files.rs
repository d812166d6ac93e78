//! Keeping the files behind maps in step, without waiting for a disk that does not answer.
//!
//! A flush to a busy disk may take half a minute. Meanwhile HAProxy goes on being looked at; only what the file must
//! say first waits, and says so.

use std::collections::{BTreeMap, BTreeSet};
use std::path::{Path, PathBuf};
use std::time::Duration;

use tokio::task::JoinHandle;
use tokio::time::{Instant, timeout};

use super::map_file::{self, Agreed, Failed, MapKeeper, MapWriters, Stamp, Wish};
use crate::farm::{SeenMaps, WantedMap, WantedMaps, file_of};
use crate::haproxy::MapName;

/// Makes one file agree.
type Write = fn(&MapKeeper, &Path, &Wish) -> Result<Agreed, Failed>;

/// What was last found in, or written to, each file.
#[derive(Debug)]
pub(super) struct MapFiles {
    known: BTreeMap<MapName, (Stamp, WantedMap)>,
    /// Files that have agreed since they are to.
    watched: BTreeSet<MapName>,
    writing: BTreeMap<MapName, Writing>,
    write: Write,
    maps: MapWriters,
}

/// A file that is being written.
#[derive(Debug)]
struct Writing {
    since: Instant,
    wanted: WantedMap,
    task: JoinHandle<Result<Agreed, Failed>>,
}

/// Why a file is not in step.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Trouble {
    /// It cannot be written.
    Cannot(String),
    /// It waits: for the disk, or for another program that writes it.
    Slow(String),
}

impl MapFiles {
    pub(super) fn new(maps: MapWriters) -> Self {
        let (known, watched, writing) = (BTreeMap::new(), BTreeSet::new(), BTreeMap::new());
        Self { known, watched, writing, write: MapKeeper::agree, maps }
    }

    /// Makes every file agree that is to be kept in step, and that HAProxy reads. Gives what is to be told of them, and
    /// those that are not in step. Returns within a moment for each file, whatever the disk does.
    pub(super) async fn agree(
        &mut self,
        revision: u64,
        wanted: &WantedMaps,
        seen: &SeenMaps,
    ) -> (Vec<(MapName, String)>, BTreeMap<MapName, Trouble>) {
        self.known.retain(|map, _| wanted.contains_key(map));
        self.watched.retain(|map| wanted.contains_key(map));
        let (mut told, mut troubles) = (Vec::new(), BTreeMap::new());
        let is_read = |map: &MapName| seen.get(map).is_none_or(|seen| !seen.missing);
        for (map, wanted) in wanted.iter().filter(|(map, wanted)| wanted.write && is_read(map)) {
            match self.agree_on(map, wanted, revision).await {
                Ok(notes) => told.extend(notes.into_iter().map(|note| (map.clone(), note))),
                Err(trouble) => drop(troubles.insert(map.clone(), trouble)),
            }
        }
        (told, troubles)
    }

    /// Makes one file agree. Gives what is to be told.
    async fn agree_on(&mut self, map: &MapName, wanted: &WantedMap, revision: u64) -> Result<Vec<String>, Trouble> {
        let Some(path) = file_of(map).map(PathBuf::from) else { return Ok(Vec::new()) };
        // What was begun for another wish ends first: what it wrote is looked at again, whatever became of it.
        if self.writing.get(map).is_some_and(|writing| writing.wanted != *wanted) {
            drop(self.finish(map, &path).await?);
            self.known.remove(map);
        }
        let known = self.known.get(map).filter(|(_, known)| known == wanted).map(|(stamp, _)| *stamp);
        let (write, MapWriters { keeper, platform }, watched) = (self.write, &self.maps, self.watched.contains(map));
        self.writing.entry(map.clone()).or_insert_with(|| {
            let now = platform.clock.mark();
            let wish = Wish { wanted: wanted.clone(), revision, known, watched, now };
            let (keeper, path) = (keeper.clone(), path.clone());
            let task = platform.on_disk(move || write(&keeper, &path, &wish));
            Writing { since: now, wanted: wanted.clone(), task }
        });
        let Some(agreed) = self.finish(map, &path).await? else { return Ok(Vec::new()) };
        let shown = path.display();
        let agreed = agreed.map_err(|failed| match failed {
            Failed::Cannot(error) => Trouble::Cannot(map_file::cannot(&shown.to_string(), &error)),
            Failed::NotYet(why) => Trouble::Slow(format!("waiting for the map file {shown}: {why}")),
        })?;
        self.known.insert(map.clone(), (agreed.stamp, wanted.clone()));
        self.watched.insert(map.clone());
        let mut notes = agreed.notes;
        if agreed.written && known.is_some() {
            notes.push("another program wrote it: teeter's entries are in it again".to_owned());
        }
        Ok(notes)
    }

    /// Looks at every file again: another process may have read another content.
    pub(super) fn forget(&mut self) {
        self.known.clear();
    }

    /// Waits a moment until a file is written. `None`: nothing is being written.
    async fn finish(&mut self, map: &MapName, path: &Path) -> Result<Option<Result<Agreed, Failed>>, Trouble> {
        let Some(writing) = self.writing.get_mut(map) else { return Ok(None) };
        match timeout(MOMENT, &mut writing.task).await {
            Ok(written) => {
                self.writing.remove(map);
                Ok(Some(written.unwrap_or_else(|error| Err(Failed::Cannot(std::io::Error::other(error))))))
            }
            Err(_) => Err(Trouble::Slow(format!(
                "waiting for the disk: the map file {} has been being written for {} s, and HAProxy is told only \
                 when it is safe there",
                path.display(),
                writing.since.elapsed().as_secs(),
            ))),
        }
    }
}

/// Files are in memory or on a disk that takes milliseconds; past this, others are looked after meanwhile.
const MOMENT: Duration = Duration::from_millis(300);

#[cfg(test)]
mod tests {
    use super::*;
    use std::sync::{Barrier, LazyLock, Mutex};

    fn wanted(live: &str) -> WantedMaps {
        let map = WantedMap {
            live: [("web".parse().unwrap(), live.parse().unwrap())].into(),
            write: true,
            ..WantedMap::default()
        };
        WantedMaps::from([("/m".parse().unwrap(), map)])
    }

    /// A disk that writes nothing until the test opens the gate.
    fn gated(_: &MapKeeper, _: &Path, Wish { wanted, .. }: &Wish) -> Result<Agreed, Failed> {
        let live = wanted.live.values().next().map(|value| value.as_str().to_owned()).unwrap_or_default();
        GATE.wait();
        WRITTEN.lock().unwrap().push(live);
        Ok(Agreed { stamp: (1, 2, 3, 4), written: true, notes: Vec::new() })
    }

    static GATE: LazyLock<Barrier> = LazyLock::new(|| Barrier::new(2));
    static WRITTEN: Mutex<Vec<String>> = Mutex::new(Vec::new());

    #[tokio::test]
    async fn a_slow_disk_is_not_waited_for_and_has_the_last_wish_in_the_end() {
        let mut files = MapFiles { write: gated, ..MapFiles::new(MapWriters::default()) };
        let slow = |(_, troubles): (_, BTreeMap<MapName, Trouble>)| match troubles.into_values().next() {
            Some(Trouble::Slow(words)) => words,
            other => panic!("not slow: {other:?}"),
        };
        let seen = SeenMaps::new();
        assert!(slow(files.agree(1, &wanted("web_a"), &seen).await).contains("/m has been being written"));
        // Another wish waits for the first to end, and nothing is written twice at once.
        slow(files.agree(1, &wanted("web_b"), &seen).await);
        slow(files.agree(1, &wanted("web_b"), &seen).await);
        assert!(WRITTEN.lock().unwrap().is_empty());
        let opened = tokio::task::spawn_blocking(|| (GATE.wait(), GATE.wait()));
        assert_eq!(files.agree(1, &wanted("web_b"), &seen).await, (Vec::new(), BTreeMap::new()));
        assert_eq!(*WRITTEN.lock().unwrap(), ["web_a", "web_b"]);
        opened.await.unwrap();
    }
}
