//! Reading maps: `show map`, `get map` (management guide, section 9.3).

use nom::bytes::complete::{tag, take_until};
use nom::sequence::{delimited, preceded};
use nom::{IResult, Parser};

use crate::haproxy::error::{CommandError, Refusal};
use crate::haproxy::line::Command;
use crate::haproxy::name::{MapKey, MapName};

/// `show map PATH`: every entry of one map.
#[derive(Debug, Clone)]
pub struct ShowMap {
    /// The path of the map's file, as HAProxy lists it.
    pub map: MapName,
}

/// `get map PATH KEY`: the result of a lookup of the key.
#[derive(Debug, Clone)]
pub struct GetMap {
    /// The path of the map's file, as HAProxy lists it.
    pub map: MapName,
    /// The key to look up.
    pub key: MapKey,
}

/// One entry of a map.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct MapEntry {
    /// The key, as in the file.
    pub key: String,
    /// The value; empty where the entry has none.
    pub value: String,
}

impl Command for ShowMap {
    type Reply = Vec<MapEntry>;

    fn write(&self, line: &mut String) {
        line.push_str("show map ");
        line.push_str(self.map.as_str());
    }

    fn parse(&self, reply: &[u8]) -> Result<Vec<MapEntry>, CommandError> {
        let text = readable(self, reply)?;
        let entry = |line: &str| {
            let mut fields = line.splitn(3, ' ');
            fields.next().filter(|pointer| pointer.starts_with("0x"))?;
            Some(MapEntry { key: fields.next()?.to_owned(), value: fields.next().unwrap_or_default().to_owned() })
        };
        let lines = text.lines().filter(|line| !line.trim().is_empty());
        lines.map(|line| entry(line).ok_or_else(|| CommandError::unreadable(self.text(), reply))).collect()
    }
}

impl Command for GetMap {
    type Reply = Option<String>;

    fn write(&self, line: &mut String) {
        line.push_str(&format!("get map {} {}", self.map, self.key));
    }

    fn parse(&self, reply: &[u8]) -> Result<Option<String>, CommandError> {
        let text = readable(self, reply)?;
        if text.contains("found=no") {
            return Ok(None);
        }
        match quoted_value(&text) {
            Ok((_, value)) => Ok(Some(value.to_owned())),
            Err(_) => Err(CommandError::unreadable(self.text(), reply)),
        }
    }
}

fn readable(command: &impl Command, reply: &[u8]) -> Result<String, CommandError> {
    match Refusal::recognise(command.text(), reply) {
        Some(refusal) => Err(CommandError::Refused(refusal)),
        None => Ok(String::from_utf8_lossy(reply).into_owned()),
    }
}

/// `… found=yes, … val="web_a", type="str"`; 2.2 and 2.6 write `value=`.
fn quoted_value(text: &str) -> IResult<&str, &str> {
    let named =
        |name: &'static str| preceded((take_until(name), tag(name)), delimited(tag("\""), take_until("\""), tag("\"")));
    nom::branch::alt((named(" value="), named(" val="))).parse(text)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_lookup_is_read() {
        let command = GetMap { map: "/m".parse().unwrap(), key: "web".parse().unwrap() };
        let found = b"type=str, case=sensitive, found=yes, idx=tree, key=\"web\", value=\"web_all\", type=\"str\"\n";
        assert_eq!(command.parse(found).unwrap().as_deref(), Some("web_all"));
        assert_eq!(command.parse(b"type=str, case=sensitive, found=no\n").unwrap(), None);
        assert!(command.parse(b"Unknown map identifier. Please use #<id> or <file>.\n").is_err());
    }

    #[test]
    fn entries_are_listed() {
        let command = ShowMap { map: "/etc/haproxy/live.map".parse().unwrap() };
        let entries = command.parse(b"0x55 web web_all\n0x56 empty\n").unwrap();
        assert_eq!((entries[0].key.as_str(), entries[0].value.as_str()), ("web", "web_all"));
        assert_eq!(entries[1].value, "");
    }
}
