//! Keeping the files behind maps in step, without waiting for a disk that does not answer.
//!
//! A flush to a busy disk may take half a minute. Meanwhile HAProxy goes on being looked at; only what the file must
//! say first waits, and says so.

use std::collections::BTreeMap;
use std::io;
use std::path::{Path, PathBuf};
use std::time::Duration;

use tokio::task::JoinHandle;
use tokio::time::{Instant, timeout};

use super::map_file::{self, Stamp};
use super::platform::Platform;
use crate::farm::{SeenMaps, WantedMap, WantedMaps, file_of};
use crate::haproxy::MapName;

/// Makes one file agree: whether it had to be written, and what it is known by then.
type Write = fn(&Path, Option<Stamp>, &WantedMap) -> io::Result<(Stamp, bool)>;

/// What was last found in, or written to, each file.
#[derive(Debug)]
pub(super) struct MapFiles {
    known: BTreeMap<MapName, (Stamp, WantedMap)>,
    writing: BTreeMap<MapName, Writing>,
    write: Write,
    platform: Platform,
}

/// A file that is being written.
#[derive(Debug)]
struct Writing {
    since: Instant,
    wanted: WantedMap,
    task: JoinHandle<io::Result<(Stamp, bool)>>,
}

/// Why a file is not in step.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Trouble {
    /// It cannot be written.
    Cannot(String),
    /// The disk has not taken it yet.
    Slow(String),
}

impl MapFiles {
    pub(super) fn new(platform: Platform) -> Self {
        Self { known: BTreeMap::new(), writing: BTreeMap::new(), write: map_file::agree, platform }
    }

    /// Makes every file agree that is to be kept in step, and that HAProxy reads. Gives those that somebody else had
    /// changed meanwhile, and those that are not in step. Returns within a moment for each file, whatever the disk does.
    pub(super) async fn agree(
        &mut self,
        wanted: &WantedMaps,
        seen: &SeenMaps,
    ) -> (Vec<MapName>, BTreeMap<MapName, Trouble>) {
        self.known.retain(|map, _| wanted.contains_key(map));
        let (mut changed, mut troubles) = (Vec::new(), BTreeMap::new());
        let is_read = |map: &MapName| seen.get(map).is_none_or(|seen| !seen.missing);
        for (map, wanted) in wanted.iter().filter(|(map, wanted)| wanted.write && is_read(map)) {
            match self.agree_on(map, wanted).await {
                Ok(false) => {}
                Ok(true) => changed.push(map.clone()),
                Err(trouble) => drop(troubles.insert(map.clone(), trouble)),
            }
        }
        (changed, troubles)
    }

    /// Makes one file agree. Whether somebody else had changed it meanwhile.
    async fn agree_on(&mut self, map: &MapName, wanted: &WantedMap) -> Result<bool, Trouble> {
        let Some(path) = file_of(map).map(PathBuf::from) else { return Ok(false) };
        // What was begun for another wish ends first: two writers would race for the file.
        if self.writing.get(map).is_some_and(|writing| writing.wanted != *wanted) {
            // Whatever became of it, the file is looked at again.
            drop(self.finish(map, &path).await?);
            self.known.remove(map);
        }
        let known = self.known.get(map).filter(|(_, known)| known == wanted).map(|(stamp, _)| *stamp);
        self.writing.entry(map.clone()).or_insert_with(|| {
            let (write, path, entries) = (self.write, path.clone(), wanted.clone());
            let task = self.platform.on_disk(move || write(&path, known, &entries));
            Writing { since: self.platform.clock.mark(), wanted: wanted.clone(), task }
        });
        let written = self.finish(map, &path).await?;
        let (stamp, rewritten) =
            written.map_err(|error| Trouble::Cannot(map_file::cannot(&path.display().to_string(), &error)))?;
        self.known.insert(map.clone(), (stamp, wanted.clone()));
        Ok(rewritten && known.is_some())
    }

    /// Looks at every file again: another process may have read another content.
    pub(super) fn forget(&mut self) {
        self.known.clear();
    }

    /// Waits a moment until a file is written.
    async fn finish(&mut self, map: &MapName, path: &Path) -> Result<io::Result<(Stamp, bool)>, Trouble> {
        let Some(writing) = self.writing.get_mut(map) else { return Ok(Err(io::Error::other("nobody writes it"))) };
        match timeout(MOMENT, &mut writing.task).await {
            Ok(written) => {
                self.writing.remove(map);
                Ok(written.map_err(io::Error::other).and_then(|written| written))
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

    /// A disk that takes nothing until somebody comes to the gate.
    fn gated(_: &Path, _: Option<Stamp>, wanted: &WantedMap) -> io::Result<(Stamp, bool)> {
        let live = wanted.live.values().next().map(|value| value.as_str().to_owned()).unwrap_or_default();
        GATE.wait();
        WRITTEN.lock().unwrap().push(live);
        Ok(((1, 2, 3, 4), true))
    }

    static GATE: LazyLock<Barrier> = LazyLock::new(|| Barrier::new(2));
    static WRITTEN: Mutex<Vec<String>> = Mutex::new(Vec::new());

    #[tokio::test]
    async fn a_slow_disk_is_not_waited_for_and_has_the_last_wish_in_the_end() {
        let mut files = MapFiles { write: gated, ..MapFiles::new(Platform::default()) };
        let slow = |(_, troubles): (_, BTreeMap<MapName, Trouble>)| match troubles.into_values().next() {
            Some(Trouble::Slow(words)) => words,
            other => panic!("not slow: {other:?}"),
        };
        let seen = SeenMaps::new();
        assert!(slow(files.agree(&wanted("web_a"), &seen).await).contains("/m has been being written"));
        // Another wish waits for the first to end, and nothing is written twice at once.
        slow(files.agree(&wanted("web_b"), &seen).await);
        slow(files.agree(&wanted("web_b"), &seen).await);
        assert!(WRITTEN.lock().unwrap().is_empty());
        let opened = tokio::task::spawn_blocking(|| (GATE.wait(), GATE.wait()));
        assert_eq!(files.agree(&wanted("web_b"), &seen).await, (Vec::new(), BTreeMap::new()));
        assert_eq!(*WRITTEN.lock().unwrap(), ["web_a", "web_b"]);
        opened.await.unwrap();
    }
}
