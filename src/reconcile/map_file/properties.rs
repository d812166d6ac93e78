//! No entry of another program is lost, whatever happens between the steps of writers.

use std::collections::BTreeSet;
use std::fs;
use std::io::Write as _;
use std::path::{Path, PathBuf};

use proptest::prelude::*;

use super::attempt::{Attempt, Failed, Progress};
use super::place::Place;
use super::{check, sweep};
use crate::farm::WantedMap;

/// Something that happens.
#[derive(Debug, Clone, Copy)]
enum Happens {
    /// A writer takes its next step. The writers are of different teeterds, which no lock keeps apart.
    Step(usize),
    /// A writer's teeterd is killed between two steps, and another one is started.
    Kill(usize),
    /// Another program puts in an entry, and renames what it wrote over the file.
    Rename,
    /// Another program puts in an entry where the file is.
    Append,
    /// A teeterd that starts removes the files of killed ones.
    Sweep,
    /// A doctor looks, or a run is only planned.
    Check,
    /// HAProxy reads the file.
    Reload,
}

fn happens() -> impl Strategy<Value = Happens> {
    prop_oneof![
        12 => (0..WRITERS).prop_map(Happens::Step),
        1 => (0..WRITERS).prop_map(Happens::Kill),
        2 => Just(Happens::Rename),
        1 => Just(Happens::Append),
        1 => Just(Happens::Sweep),
        1 => Just(Happens::Check),
        1 => Just(Happens::Reload),
    ]
}

struct World<'a> {
    place: &'a Place,
    wishes: &'a [WantedMap],
    path: PathBuf,
    writers: Vec<(u32, Option<Attempt<'a>>)>,
    pids: u32,
    /// How many entries other programs have put in.
    put_in: usize,
}

impl<'a> World<'a> {
    fn take(&mut self, happens: Happens) {
        match happens {
            Happens::Step(writer) => {
                self.step(writer);
            }
            Happens::Kill(writer) => {
                self.pids += 1;
                self.writers[writer] = (self.pids, None);
            }
            Happens::Rename => {
                let content = fs::read_to_string(&self.path).unwrap() + &self.entry();
                let new = self.path.with_extension("new");
                fs::write(&new, content).unwrap();
                fs::rename(&new, &self.path).unwrap();
            }
            Happens::Append => {
                let entry = self.entry();
                fs::File::options().append(true).open(&self.path).unwrap().write_all(entry.as_bytes()).unwrap();
            }
            Happens::Sweep => self.sweep(),
            Happens::Check => check::check(&self.path).unwrap(),
            Happens::Reload => {
                let content = fs::read_to_string(&self.path).unwrap();
                assert!(content.starts_with("# head\n") && content.contains("\nshop x\n"), "{content:?}");
                for key in ["web", "ws"] {
                    assert_eq!(
                        content.lines().filter(|line| line.starts_with(&format!("{key} "))).count(),
                        1,
                        "{content}"
                    );
                }
            }
        }
    }

    /// Whether the writer goes on.
    fn step(&mut self, writer: usize) -> bool {
        let (place, wishes) = (self.place, self.wishes);
        let (pid, attempt) = &mut self.writers[writer];
        let under_way = attempt.get_or_insert_with(|| Attempt::new(place, &wishes[writer % wishes.len()], *pid));
        let goes_on = match under_way.step() {
            Ok(Progress::Differs | Progress::More) => return true,
            Ok(Progress::Done(_)) => false,
            Err(Failed::NotYet(_)) => {
                under_way.give_up();
                false
            }
            Err(Failed::Cannot(error)) => panic!("{error}"),
        };
        *attempt = None;
        goes_on
    }

    fn sweep(&mut self) {
        let alive: BTreeSet<u32> =
            self.writers.iter().filter(|(_, attempt)| attempt.is_some()).map(|(pid, _)| *pid).collect();
        sweep::sweep(self.place, |pid| alive.contains(&pid)).unwrap();
    }

    fn entry(&mut self) -> String {
        self.put_in += 1;
        format!("e{} x\n", self.put_in)
    }
}

/// The contents of the files whose names contain `part`.
fn contents(dir: &Path, part: &str) -> Vec<String> {
    let all = fs::read_dir(dir).unwrap().map(|entry| entry.unwrap().path());
    all.filter(|path| path.to_string_lossy().contains(part)).map(|path| fs::read_to_string(path).unwrap()).collect()
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 192, ..ProptestConfig::default() })]

    #[test]
    fn no_entry_is_lost(events in proptest::collection::vec(happens(), 1..160)) {
        // In memory, where there is such a directory: thousands of files are flushed.
        let dir = tempfile::tempdir_in("/dev/shm").or_else(|_| tempfile::tempdir()).unwrap();
        let path = dir.path().join("live.map");
        fs::write(&path, "# head\nweb web_all\nws ws_all\nshop x\n").unwrap();
        let place = Place::of(&path).unwrap();
        let wishes: Vec<WantedMap> = [("web", "web_a"), ("ws", "ws_b")].map(|(key, value)| WantedMap {
            live: [(key.parse().unwrap(), value.parse().unwrap())].into(),
            ..WantedMap::default()
        }).into();
        let writers = (0..WRITERS).map(|writer| (writer as u32, None)).collect();
        let pids = WRITERS as u32;
        let mut world = World { place: &place, wishes: &wishes, path, writers, pids, put_in: 0 };
        for event in events {
            world.take(event);
            let all = contents(dir.path(), "live.map");
            for entry in 1..=world.put_in {
                let line = format!("e{entry} x\n");
                prop_assert!(all.iter().any(|content| content.contains(&line)), "{line} is lost after {event:?}");
            }
        }
        // Everything ends, and one writer after the other has its entry in.
        for writer in 0..WRITERS {
            while world.step(writer) {}
        }
        world.sweep();
        for writer in 0..wishes.len() {
            while world.step(writer) {}
        }
        let map = fs::read_to_string(&world.path).unwrap();
        prop_assert!(map.starts_with("# head\n") && map.contains("\nshop x\n"), "{}", map);
        prop_assert!(map.contains("\nweb web_a\n") && map.contains("\nws ws_b\n"), "{}", map);
        let kept = contents(dir.path(), ".teeter-kept-");
        prop_assert_eq!(kept.len(), sweep::kept(&place).unwrap().len(), "what was kept is not told");
        for entry in 1..=world.put_in {
            let line = format!("e{entry} x\n");
            prop_assert!(map.contains(&line) || kept.iter().any(|kept| kept.contains(&line)), "{line} is lost");
        }
        prop_assert_eq!(contents(dir.path(), ".live.map.teeter-").len(), 0, "something is left over");
    }
}

const WRITERS: usize = 4;
