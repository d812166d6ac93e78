//! `show table` (management guide, since 1.5): the servers that stick tables bind clients to.

use std::collections::BTreeSet;

use crate::haproxy::error::{CommandError, Refusal};
use crate::haproxy::line::Command;
use crate::haproxy::name::TableName;

/// `show table`: the names of all tables.
#[derive(Debug, Clone, Copy)]
pub struct ShowTables;

/// `show table NAME data.server_id gt 0`: the entries that name a server. HAProxy refuses it for a table without
/// servers, such as one that counts requests.
#[derive(Debug, Clone)]
pub struct ShowStuck {
    /// The name of the table to read.
    pub table: TableName,
}

/// The servers that a table has entries for.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Stuck {
    /// The table was read.
    To {
        /// Its servers, by name, or by address and port.
        servers: BTreeSet<String>,
        /// Whether some entries have only the number of a server.
        unnamed: bool,
    },
    /// The table is too long: teeter did not read the rest.
    Many,
}

impl Command for ShowTables {
    type Reply = Vec<TableName>;

    fn write(&self, line: &mut String) {
        line.push_str("show table");
    }

    fn parse(&self, reply: &[u8]) -> Result<Vec<TableName>, CommandError> {
        if let Some(refusal) = Refusal::recognise(self.text(), reply) {
            return Err(CommandError::Refused(refusal));
        }
        let text = String::from_utf8_lossy(reply);
        let unreadable = |line: &str| CommandError::unreadable(self.text(), line.as_bytes());
        let mut tables = Vec::new();
        for line in text.lines().filter(|line| !line.trim().is_empty()) {
            let name = head(line).and_then(|name| name.parse().ok());
            tables.push(name.ok_or_else(|| unreadable(line))?);
        }
        Ok(tables)
    }
}

impl Command for ShowStuck {
    type Reply = Stuck;

    fn write(&self, line: &mut String) {
        line.push_str(&format!("show table {} data.server_id gt 0", self.table));
    }

    fn parse(&self, reply: &[u8]) -> Result<Stuck, CommandError> {
        let text = String::from_utf8_lossy(reply);
        let mut lines = text.lines().filter(|line| !line.trim().is_empty());
        if lines.next().is_none_or(|line| head(line).is_none()) {
            return Err(CommandError::refused(&self.text(), reply));
        }
        let (mut servers, mut unnamed) = (BTreeSet::new(), false);
        for line in lines {
            // HAProxy escapes a blank in a key, so a key that a client sent is one word.
            let fields = || line.split(' ').skip_while(|field| !field.starts_with("key="));
            // A dash stands for a missing key.
            let value = |key: &str| {
                fields()
                    .skip(1)
                    .find_map(|field| field.strip_prefix(key))
                    .filter(|value| !value.is_empty() && *value != "-")
            };
            match value("server_key=").or_else(|| value("server_name=")) {
                Some(server) => {
                    servers.insert(server.to_owned());
                }
                None => unnamed |= value("server_id=").is_some(),
            }
        }
        Ok(Stuck::To { servers, unnamed })
    }
}

/// The name in the head of a table: `# table: NAME, type: …, size:…, used:…`.
fn head(line: &str) -> Option<&str> {
    line.strip_prefix("# table: ")?.split(',').next()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn stuck(reply: &str) -> Stuck {
        ShowStuck { table: "app".parse().unwrap() }.parse(reply.as_bytes()).unwrap()
    }

    #[test]
    fn entries_name_their_servers() {
        let head = "# table: app, type: string, size:10240, used:5\n";
        for entry in [
            "0x55: key=u1 use=0 exp=1799993 server_id=1 server_name=w1\n",
            "0x55: key=u1 use=0 exp=1799993 server_id=1 server_key=w1\n",
            "0x7f: key=u2\\ server_key\\=w9\\ x use=0 exp=1799994 shard=0 server_id=1 server_key=w1\n",
            "0x7f: key=server_key=w9 use=0 exp=1799994 shard=0 server_id=1 server_key=w1\n",
        ] {
            let expected = Stuck::To { servers: BTreeSet::from(["w1".to_owned()]), unnamed: false };
            assert_eq!(stuck(&format!("{head}{entry}")), expected, "{entry}");
        }
        assert_eq!(stuck(head), Stuck::To { servers: BTreeSet::new(), unnamed: false });
        for key in ["", " server_key=-"] {
            let by_number = format!("{head}0x55: key=u1 use=0 exp=1799993 server_id=1{key}\n");
            assert_eq!(stuck(&by_number), Stuck::To { servers: BTreeSet::new(), unnamed: true });
        }
        let command = ShowStuck { table: "rates".parse().unwrap() };
        let refused = command.parse(b"Filter entry #1: Data type not stored in this table\n");
        assert!(matches!(refused, Err(CommandError::Refused(_))));
    }

    #[test]
    fn tables_are_named() {
        let reply =
            b"# table: empty, type: ip, size:10240, used:0\n# table: mine/shared, type: string, size:10240, used:1\n";
        assert_eq!(ShowTables.parse(reply).unwrap(), ["empty", "mine/shared"].map(|name| name.parse().unwrap()));
        assert!(ShowTables.parse(b"something else\n").is_err() && ShowTables.parse(b"\n").unwrap().is_empty());
    }
}
