//! Keeps the files of maps up to date, without waiting for a disk that does not answer.
//!
//! A flush to a busy disk may take half a minute. Meanwhile the observer goes on looking at HAProxy; only the switches
//! that need the file first wait, with a visible reason.

use std::collections::{BTreeMap, BTreeSet};
use std::path::{Path, PathBuf};
use std::time::Duration;

use tokio::task::JoinHandle;
use tokio::time::{Instant, timeout};

use super::map_file::{self, Agreed, Failed, MapKeeper, MapWriters, Stamp, Wish};
use crate::farm::{SeenMaps, WantedMap, WantedMaps, file_of};
use crate::haproxy::MapName;

/// The function that brings one file up to date.
type Write = fn(&MapKeeper, &Path, &Wish) -> Result<Agreed, Failed>;

/// The known state of each file.
#[derive(Debug)]
pub(super) struct MapFiles {
    /// The entries that each file was last found to have, and its stamp at that time.
    known: BTreeMap<MapName, (Stamp, WantedMap)>,
    /// Files that have been up to date since the first order that contained them.
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

/// Why a file is not up to date.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Trouble {
    /// It cannot be written.
    Cannot(String),
    /// It waits for the disk, or for another program that writes it.
    Slow(String),
}

impl MapFiles {
    pub(super) fn new(maps: MapWriters) -> Self {
        let (known, watched, writing) = (BTreeMap::new(), BTreeSet::new(), BTreeMap::new());
        Self { known, watched, writing, write: MapKeeper::agree, maps }
    }

    /// Brings every file up to date that teeter keeps and that HAProxy reads. Returns notes about changes that other
    /// programs made, and the files that are not up to date. Takes a moment for each file at most, even if the disk
    /// hangs.
    pub(super) async fn agree(
        &mut self,
        revision: u64,
        wanted: &WantedMaps,
        seen: &SeenMaps,
    ) -> (Vec<(MapName, String)>, BTreeMap<MapName, Trouble>) {
        self.known.retain(|map, _| wanted.contains_key(map));
        self.watched.retain(|map| wanted.contains_key(map));
        let (mut all_notes, mut troubles) = (Vec::new(), BTreeMap::new());
        let is_read = |map: &MapName| seen.get(map).is_none_or(|seen| !seen.missing);
        for (map, wanted) in wanted.iter().filter(|(map, wanted)| wanted.write && is_read(map)) {
            match self.agree_on(map, wanted, revision).await {
                Ok(notes) => all_notes.extend(notes.into_iter().map(|note| (map.clone(), note))),
                Err(trouble) => {
                    troubles.insert(map.clone(), trouble);
                }
            }
        }
        (all_notes, troubles)
    }

    /// Brings one file up to date. Returns notes about changes that other programs made.
    async fn agree_on(&mut self, map: &MapName, wanted: &WantedMap, revision: u64) -> Result<Vec<String>, Trouble> {
        let Some(path) = file_of(map).map(PathBuf::from) else { return Ok(Vec::new()) };
        // A write of other entries ends first; then the file is read again, whether that write succeeded or not.
        if self.writing.get(map).is_some_and(|writing| writing.wanted != *wanted) {
            let _ = self.finish(map, &path).await?;
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
            notes.push("another program wrote it: teeter has put its entries into it again".to_owned());
        }
        Ok(notes)
    }

    /// Reads every file again: a new HAProxy process may have read another content.
    pub(super) fn forget(&mut self) {
        self.known.clear();
    }

    /// Waits a moment for the write of a file. `None`: there is no such write.
    async fn finish(&mut self, map: &MapName, path: &Path) -> Result<Option<Result<Agreed, Failed>>, Trouble> {
        let Some(writing) = self.writing.get_mut(map) else { return Ok(None) };
        match timeout(MOMENT, &mut writing.task).await {
            Ok(written) => {
                self.writing.remove(map);
                Ok(Some(written.unwrap_or_else(|error| Err(Failed::Cannot(std::io::Error::other(error))))))
            }
            Err(_) => Err(Trouble::Slow(format!(
                "waiting for the disk: the write of the map file {} has taken {} s, and teeter changes the map in \
                 HAProxy only after it",
                path.display(),
                writing.since.elapsed().as_secs(),
            ))),
        }
    }
}

/// A healthy disk takes milliseconds; after this time the observer goes on with other work, and comes back later.
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
    async fn a_slow_disk_blocks_nothing_and_gets_the_last_wanted_entries_in_the_end() {
        let mut files = MapFiles { write: gated, ..MapFiles::new(MapWriters::default()) };
        let slow = |(_, troubles): (_, BTreeMap<MapName, Trouble>)| match troubles.into_values().next() {
            Some(Trouble::Slow(words)) => words,
            other => panic!("not slow: {other:?}"),
        };
        let seen = SeenMaps::new();
        assert!(slow(files.agree(1, &wanted("web_a"), &seen).await).contains("the write of the map file /m has taken"));
        // Other entries wait for the first write to end: there are never two writes at once.
        slow(files.agree(1, &wanted("web_b"), &seen).await);
        slow(files.agree(1, &wanted("web_b"), &seen).await);
        assert!(WRITTEN.lock().unwrap().is_empty());
        let opened = tokio::task::spawn_blocking(|| (GATE.wait(), GATE.wait()));
        assert_eq!(files.agree(1, &wanted("web_b"), &seen).await, (Vec::new(), BTreeMap::new()));
        assert_eq!(*WRITTEN.lock().unwrap(), ["web_a", "web_b"]);
        opened.await.unwrap();
    }
}
