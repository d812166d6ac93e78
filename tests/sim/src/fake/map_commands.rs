//! The commands about maps.

use std::fmt::Write as _;

use super::commands::Reply;
use super::maps::Map;
use super::setup::Series;
use super::worker::Worker;

impl Worker {
    fn map(&self, name: &str) -> Result<&Map, &'static str> {
        let map = match name.strip_prefix('#') {
            Some(number) => number.parse().ok().and_then(|number| self.maps.values().nth(number)),
            None => self.maps.get(name),
        };
        map.ok_or(UNKNOWN)
    }

    fn map_mut(&mut self, name: &str) -> Result<&mut Map, &'static str> {
        self.maps.get_mut(name).ok_or(UNKNOWN)
    }

    pub(super) fn show_maps(&self, out: &mut String) -> Reply {
        out.push_str("# id (file) description\n");
        for (number, (file, map)) in self.maps.iter().enumerate() {
            let _ = write!(
                out,
                "{number} ({file}) pattern loaded from file '{file}' used by map at file 'haproxy.cfg' line 1"
            );
            if self.setup.series >= Series::V2_6 {
                let (current, next, entries) = map.numbers();
                let _ = write!(out, ". curr_ver={current} next_ver={next} entry_cnt={entries}");
            }
            out.push('\n');
        }
        Ok(())
    }

    pub(super) fn show_map(&self, name: &str, out: &mut String) -> Reply {
        for (id, key, value) in self.map(name)?.entries() {
            let _ = writeln!(out, "0x{:x} {key} {value}", 0x55d0_0000_0000 + id * 0x90);
        }
        Ok(())
    }

    pub(super) fn get_map(&self, name: &str, key: &str, out: &mut String) -> Reply {
        let map = self.map(name)?;
        out.push_str("type=str, case=sensitive, found=");
        match map.look_up(key) {
            Some(value) => {
                let _ = writeln!(out, "yes, idx=tree, key=\"{key}\", value=\"{value}\", type=\"str\"");
            }
            None => out.push_str("no\n"),
        }
        Ok(())
    }

    pub(super) fn change_map(&mut self, words: &[&str]) -> Reply {
        let (versions, first_only) = (self.setup.series >= Series::V2_6, self.setup.series >= Series::V3_4);
        let (verb, mut rest) = (words[0], &words[2..]);
        let mut version = None;
        if let Some(number) = rest.first().and_then(|word| word.strip_prefix('@')).filter(|_| versions) {
            version = number.parse().ok();
            rest = &rest[1..];
        }
        let word = |at: usize| rest.get(at).copied().unwrap_or_default();
        let map = self.map_mut(word(0))?;
        match verb {
            "set" => map.set(word(1), word(2)),
            "add" => map.add(version, word(1), word(2)),
            "del" => map.delete(word(1), first_only),
            _ => {
                map.clear();
                Ok(())
            }
        }
    }

    /// `prepare map` and `commit map`.
    pub(super) fn version_map(&mut self, words: &[&str], out: &mut String) -> Reply {
        match words {
            ["prepare", _, map] => {
                let version = self.map_mut(map)?.prepare();
                let _ = writeln!(out, "New version created: {version}");
                Ok(())
            }
            ["commit", _, version, map] => match version.strip_prefix('@').map(str::parse) {
                Some(Ok(version)) => self.map_mut(map)?.commit(version),
                _ => Err("Missing version number.\n"),
            },
            ["commit", ..] => Err("Missing version number.\n"),
            _ => Err(UNKNOWN),
        }
    }
}

const UNKNOWN: &str = "Unknown map identifier. Please use #<id> or <file>.\n";
