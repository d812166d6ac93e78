//! Maps: a list of entries for each version that is being prepared. Lookups use one version.

use std::collections::BTreeMap;
use std::io;
use std::path::Path;

#[derive(Debug)]
pub(super) struct Map {
    /// The version that lookups see.
    current: u32,
    /// The last version that was prepared.
    next: u32,
    versions: BTreeMap<u32, Vec<Entry>>,
    entries: u64,
}

/// The identity of an entry, its key and its value.
pub(super) type Entry = (u64, String, String);

impl Map {
    /// Reads the file of a map: a key and a value on a line, and comments that begin with `#`.
    pub(super) fn read(file: &Path) -> io::Result<Self> {
        let text = std::fs::read_to_string(file)
            .map_err(|error| io::Error::new(error.kind(), format!("{}: {error}", file.display())))?;
        let mut map = Self { current: 0, next: 0, versions: BTreeMap::from([(0, Vec::new())]), entries: 0 };
        for line in text.lines().map(str::trim).filter(|line| !line.is_empty() && !line.starts_with('#')) {
            let (key, value) = line.split_once([' ', '\t']).unwrap_or((line, ""));
            map.push(0, key, value.trim_start());
        }
        Ok(map)
    }

    /// The entries that lookups see, in order.
    pub(super) fn entries(&self) -> &[Entry] {
        self.versions.get(&self.current).map_or(&[], Vec::as_slice)
    }

    /// The value of a key. If several entries have the key, the first one counts.
    pub(super) fn look_up(&self, key: &str) -> Option<&str> {
        self.entries().iter().find(|(_, one, _)| one == key).map(|(_, _, value)| value.as_str())
    }

    pub(super) fn numbers(&self) -> (u32, u32, usize) {
        (self.current, self.next, self.versions.values().map(Vec::len).sum())
    }

    fn push(&mut self, version: u32, key: &str, value: &str) {
        self.entries += 1;
        self.versions.entry(version).or_default().push((self.entries, key.to_owned(), value.to_owned()));
    }

    pub(super) fn set(&mut self, key: &str, value: &str) -> Result<(), &'static str> {
        let mut found = false;
        // This changes versions that are not committed yet, too.
        for (_, _, old) in self.versions.values_mut().flatten().filter(|(_, one, _)| one == key) {
            value.clone_into(old);
            found = true;
        }
        if found { Ok(()) } else { Err("entry not found.\n") }
    }

    pub(super) fn add(&mut self, version: Option<u32>, key: &str, value: &str) -> Result<(), &'static str> {
        let version = version.unwrap_or(self.current);
        if !(self.current..=self.next).contains(&version) {
            return Err(OUT_OF_RANGE);
        }
        self.push(version, key, value);
        Ok(())
    }

    /// Deletes every entry of a key. Later series delete the first one only.
    pub(super) fn delete(&mut self, key: &str, first_only: bool) -> Result<(), &'static str> {
        let entries = self.versions.entry(self.current).or_default();
        let first = entries.iter().position(|(_, one, _)| one == key).ok_or("Key not found.\n")?;
        entries.remove(first);
        if !first_only {
            entries.retain(|(_, one, _)| one != key);
        }
        Ok(())
    }

    pub(super) fn clear(&mut self) {
        self.versions.insert(self.current, Vec::new());
    }

    pub(super) fn prepare(&mut self) -> u32 {
        self.next += 1;
        self.next
    }

    /// Commits a version. If nothing was added to it, the map is empty afterwards.
    pub(super) fn commit(&mut self, version: u32) -> Result<(), &'static str> {
        if version <= self.current || version > self.next {
            return Err(OUT_OF_RANGE);
        }
        self.current = version;
        self.versions.retain(|number, _| *number >= version);
        Ok(())
    }
}

const OUT_OF_RANGE: &str = "Version number out of range.\n";
