//! Changing maps: `set map`, `add map`, `del map`, and the transaction `prepare map`, `add map @N`, `commit map`
//! (management guide, section 9.3; transactions since 2.4).
//!
//! All but `prepare map` reply nothing on success.

use crate::haproxy::error::{CommandError, Refusal};
use crate::haproxy::line::{Command, silent};
use crate::haproxy::name::{MapKey, MapName, MapValue};

/// `set map PATH KEY VALUE`: replaces the value of an entry that exists. A lookup gets the old or the new value, never
/// anything else.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SetMap {
    /// The path of the map's file, as HAProxy lists it.
    pub map: MapName,
    /// The key, which must exist.
    pub key: MapKey,
    /// The value that replaces the present one.
    pub value: MapValue,
}

/// `add map PATH KEY VALUE`. HAProxy adds a second entry for a key that exists, and lookups find the first one.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct AddMap {
    /// The path of the map's file, as HAProxy lists it.
    pub map: MapName,
    /// The version that gets the entry, in a transaction.
    pub version: Option<MapVersion>,
    /// The key, which should not exist yet.
    pub key: MapKey,
    /// The value that lookups of the key find.
    pub value: MapValue,
}

/// `del map PATH KEY`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct DelMap {
    /// The path of the map's file, as HAProxy lists it.
    pub map: MapName,
    /// The key, which must exist.
    pub key: MapKey,
}

/// The number of a version of a map in preparation.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct MapVersion(u32);

/// `prepare map PATH`: begins a new version of a map, which is empty and which no lookup sees.
#[derive(Debug, Clone)]
pub struct PrepareMap {
    /// The path of the map's file, as HAProxy lists it.
    pub map: MapName,
}

/// `commit map @N PATH`: from then on every lookup sees the new version and nothing of the old one. HAProxy refuses to
/// commit a version after a later version.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct CommitMap {
    /// The path of the map's file, as HAProxy lists it.
    pub map: MapName,
    /// The version to commit.
    pub version: MapVersion,
}

impl Command for SetMap {
    type Reply = ();

    fn write(&self, line: &mut String) {
        line.push_str(&format!("set map {} {} {}", self.map, self.key, self.value));
    }

    fn parse(&self, reply: &[u8]) -> Result<(), CommandError> {
        silent(self, reply)
    }
}

impl Command for AddMap {
    type Reply = ();

    fn write(&self, line: &mut String) {
        line.push_str("add map ");
        if let Some(MapVersion(number)) = self.version {
            line.push_str(&format!("@{number} "));
        }
        line.push_str(&format!("{} {} {}", self.map, self.key, self.value));
    }

    fn parse(&self, reply: &[u8]) -> Result<(), CommandError> {
        silent(self, reply)
    }
}

impl Command for DelMap {
    type Reply = ();

    fn write(&self, line: &mut String) {
        line.push_str(&format!("del map {} {}", self.map, self.key));
    }

    fn parse(&self, reply: &[u8]) -> Result<(), CommandError> {
        silent(self, reply)
    }
}

impl Command for PrepareMap {
    type Reply = MapVersion;

    fn write(&self, line: &mut String) {
        line.push_str(&format!("prepare map {}", self.map));
    }

    fn parse(&self, reply: &[u8]) -> Result<MapVersion, CommandError> {
        let text = String::from_utf8_lossy(reply);
        let number = text.trim().strip_prefix("New version created:").and_then(|number| number.trim().parse().ok());
        match number {
            Some(number) => Ok(MapVersion(number)),
            None => Err(CommandError::Refused(Refusal::new(self.text(), text.trim()))),
        }
    }
}

impl Command for CommitMap {
    type Reply = ();

    fn write(&self, line: &mut String) {
        line.push_str(&format!("commit map @{} {}", self.version.0, self.map));
    }

    fn parse(&self, reply: &[u8]) -> Result<(), CommandError> {
        silent(self, reply)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_transaction_uses_the_number_of_its_version() {
        let map: MapName = "/m".parse().unwrap();
        let version = PrepareMap { map: map.clone() }.parse(b"New version created: 7\n").unwrap();
        let add = AddMap {
            map: map.clone(),
            version: Some(version),
            key: "web".parse().unwrap(),
            value: "web_a".parse().unwrap(),
        };
        assert_eq!(add.text(), "add map @7 /m web web_a");
        assert_eq!(CommitMap { map: map.clone(), version }.text(), "commit map @7 /m");
        assert!(PrepareMap { map }.parse(b"Unknown map identifier. Please use #<id> or <file>.\n").is_err());
    }
}
