//! How backends choose a server, and whether a backend accepts new weights at runtime.

use std::collections::BTreeMap;

use crate::haproxy::error::{CommandError, Refusal};
use crate::haproxy::line::Command;
use crate::haproxy::name::{BackendName, ServerRef};
use crate::haproxy::table::{Row, Separator, Table};

/// `show stat -1 2 -1`, read for the settings of every backend.
#[derive(Debug, Clone, Copy)]
pub struct ShowBackends;

/// The settings of a backend.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct BackendRow {
    /// `algo`: the balancing algorithm, by the word after `balance`. Empty without level operator; `unknown` where
    /// HAProxy has no word for it (`random`, in older versions).
    pub algo: String,
    /// `mode`: `http` or `tcp`.
    pub mode: String,
}

impl Command for ShowBackends {
    type Reply = BTreeMap<BackendName, BackendRow>;

    fn write(&self, line: &mut String) {
        line.push_str("show stat -1 2 -1");
    }

    fn quotes(&self) -> bool {
        true
    }

    fn parse(&self, reply: &[u8]) -> Result<BTreeMap<BackendName, BackendRow>, CommandError> {
        if let Some(refusal) = Refusal::recognise(self.text(), reply) {
            return Err(CommandError::Refused(refusal));
        }
        let mut table =
            Table::new(Separator::Comma, reply).ok_or_else(|| CommandError::unreadable(self.text(), reply))?;
        let [pxname, svname, algo, mode] = ["pxname", "svname", "algo", "mode"].map(|name| table.column(name));
        let (mut found, mut row) = (BTreeMap::new(), Row::default());
        while table.next(&mut row).is_some() {
            if let (Ok(backend), "BACKEND") = (row.text(pxname).parse(), row.text(svname)) {
                found.insert(backend, BackendRow { algo: row.text(algo).to_owned(), mode: row.text(mode).to_owned() });
            }
        }
        Ok(found)
    }
}

/// `add server BACKEND/SERVER` without an address, for a server that exists: the command never adds a server. HAProxy
/// first checks whether the backend balances dynamically, and parses the rest after that, so its refusal gives the
/// answer. `algo` does not: `balance source` is static or dynamic, depending on its `hash-type`. Needs level admin.
#[derive(Debug, Clone)]
pub struct TakesWeights {
    /// A server of the backend.
    pub server: ServerRef,
}

impl Command for TakesWeights {
    /// `None`: this HAProxy gives no answer (before 2.6 there is no such command, or only in an experimental mode).
    type Reply = Option<bool>;

    fn write(&self, line: &mut String) {
        line.push_str(&format!("add server {}", self.server));
    }

    fn parse(&self, reply: &[u8]) -> Result<Option<bool>, CommandError> {
        let refusal = Refusal::new(self.text(), &String::from_utf8_lossy(reply));
        Ok(match refusal.message.as_str() {
            message if message.contains("must use a dynamic load balancing") => Some(false),
            message if message.starts_with("'server' expects") => Some(true),
            // 3.4 has other messages and another order: it checks the backend, then the name, then the address.
            message if message.contains("uses a non dynamic load balancing method") => Some(false),
            message if message.starts_with("Already exists a server with the same name") => Some(true),
            _ => None,
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_refusal_shows_whether_weights_are_accepted() {
        let command = TakesWeights { server: "app/w1".parse().unwrap() };
        assert_eq!(command.text(), "add server app/w1");
        for (reply, takes) in [
            ("'server' expects <name> and <addr>[:<port>] as arguments.\n", Some(true)),
            ("Backend must use a dynamic load balancing to support dynamic servers.\n", Some(false)),
            ("Already exists a server with the same name in backend.\n", Some(true)),
            (
                "Backend does not support dynamic servers : backend 'app' uses a non dynamic load balancing method.\n",
                Some(false),
            ),
            ("This command is restricted to experimental mode only.\n", None),
            ("Unknown command: 'add server', but maybe one of the following ones is a better match:\n", None),
            ("Permission denied\n", None),
        ] {
            assert_eq!(command.parse(reply.as_bytes()).unwrap(), takes, "{reply}");
        }
    }

    #[test]
    fn the_algorithm_of_each_backend_is_read() {
        let reply = b"# pxname,svname,mode,algo,\napp,BACKEND,http,source,\nlow,BACKEND,tcp,,\n";
        let found = ShowBackends.parse(reply).unwrap();
        let found: Vec<_> = found.values().map(|row| (row.algo.as_str(), row.mode.as_str())).collect();
        assert_eq!(found, [("source", "http"), ("", "tcp")]);
    }
}
