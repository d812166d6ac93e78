//! What haproxy.cfg says beyond the Runtime API: the requests of health checks, TLS to servers, addresses as written,
//! stick rules, and the maps that choose a backend.
//!
//! It reads the directives that `teeter init` uses and skips the others: HAProxy has accepted the file already.

mod check;
mod words;

use std::collections::{BTreeMap, BTreeSet};
use std::sync::LazyLock;

use regex::Regex;

use self::check::Checks;
pub(crate) use self::check::HttpCheck;
use self::words::words;

/// What haproxy.cfg says.
#[derive(Debug, Clone, Default)]
pub(crate) struct Cfg {
    /// Backends and `listen` sections, by name.
    pub(crate) backends: BTreeMap<String, CfgBackend>,
    /// The lookups in maps that choose a backend.
    pub(crate) lookups: BTreeSet<Lookup>,
}

/// A backend, or a `listen` section.
#[derive(Debug, Clone, Default)]
pub(crate) struct CfgBackend {
    /// The request of its health check; `None` if the check is another one.
    pub(crate) http_check: Option<HttpCheck>,
    /// Its servers, by name.
    pub(crate) servers: BTreeMap<String, CfgServer>,
    /// Whether a stick table binds clients to its servers.
    pub(crate) sticks: bool,
    /// Whether its check asks for the role of a server, so that only a leader passes it.
    pub(crate) checks_role: bool,
}

/// A `server` line.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(crate) struct CfgServer {
    /// Its address, as written.
    pub(crate) address: String,
    /// Whether its check uses TLS: `check-ssl`, or `ssl` without `no-check-ssl`.
    pub(crate) tls: bool,
    /// Whether HAProxy accepts any certificate: `verify none`.
    pub(crate) verify_none: bool,
    /// `ca-file`.
    pub(crate) ca: Option<String>,
    /// `port`: where its check connects to.
    pub(crate) check_port: Option<u16>,
}

/// A lookup in a map that chooses a backend.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) struct Lookup {
    /// The map, as written.
    pub(crate) map: String,
    /// The key, if it is always the same. `None`: it comes from the request, so every key of the map may be looked up.
    pub(crate) key: Option<String>,
}

/// What a section passes on if it is a `defaults` section.
#[derive(Debug, Clone, Default)]
struct Inherited {
    checks: Checks,
    server: CfgServer,
}

impl Cfg {
    /// Reads the text of a file, or of several files one after the other.
    pub(crate) fn parse(text: &str) -> Self {
        let mut cfg = Self::default();
        let (mut defaults, mut latest) = (BTreeMap::<String, Inherited>::new(), Inherited::default());
        let (mut kind, mut name, mut is) = (String::new(), String::new(), Inherited::default());
        for line in text.lines() {
            let words = words(line);
            let Some((first, rest)) = words.split_first() else { continue };
            if SECTIONS.contains(&first.as_str()) {
                kind.clone_from(first);
                name = rest.first().cloned().unwrap_or_default();
                let from = rest.iter().position(|word| word == "from").and_then(|at| defaults.get(rest.get(at + 1)?));
                is = match kind.as_str() {
                    "defaults" => from.cloned().unwrap_or_default(),
                    _ => from.unwrap_or(&latest).clone(),
                };
                if has_servers(&kind) {
                    cfg.backends.entry(name.clone()).or_default().http_check = is.checks.http().cloned();
                }
                continue;
            }
            is.read(first, rest);
            match kind.as_str() {
                "defaults" => {
                    latest = is.clone();
                    defaults.insert(name.clone(), is.clone());
                }
                kind if has_servers(kind) => {
                    let backend = cfg.backends.entry(name.clone()).or_default();
                    backend.http_check = is.checks.http().cloned();
                    backend.read(first, rest, &is.server);
                }
                _ => {}
            }
            if first == "use_backend" || rest.first().is_some_and(|verb| verb.starts_with("set-var(")) {
                cfg.lookups.extend(lookups(line));
            }
        }
        cfg
    }

    /// The server line of this name.
    pub(crate) fn server(&self, backend: &str, server: &str) -> Option<&CfgServer> {
        self.backends.get(backend)?.servers.get(server)
    }
}

impl Inherited {
    fn read(&mut self, first: &str, rest: &[String]) {
        match (first, rest) {
            ("option", words) => self.checks.option(words, true),
            ("no", [option, words @ ..]) if option == "option" => self.checks.option(words, false),
            ("http-check", words) => self.checks.http_check(words),
            ("default-server", words) => self.server.read(words),
            _ => {}
        }
    }
}

impl CfgBackend {
    fn read(&mut self, first: &str, rest: &[String], default: &CfgServer) {
        match (first, rest) {
            ("server", [name, address, words @ ..]) => {
                let mut server = CfgServer { address: address.clone(), ..default.clone() };
                server.read(words);
                self.servers.insert(name.clone(), server);
            }
            ("stick", [verb, ..]) => self.sticks |= verb == "on" || verb == "match",
            ("tcp-check", words) => self.checks_role |= words.iter().any(|word| word.contains("role:master")),
            ("option" | "http-check", words) => {
                self.checks_role |= words.iter().any(|word| ROLE_PATHS.contains(&word.as_str()));
            }
            _ => {}
        }
    }
}

impl CfgServer {
    fn read(&mut self, words: &[String]) {
        let mut words = words.iter();
        let mut check_ssl = None;
        let mut ssl = None;
        while let Some(word) = words.next() {
            match word.as_str() {
                "ssl" => ssl = Some(true),
                "no-ssl" => ssl = Some(false),
                "check-ssl" => check_ssl = Some(true),
                "no-check-ssl" => check_ssl = Some(false),
                "verify" => self.verify_none = words.next().is_some_and(|how| how == "none"),
                "ca-file" => self.ca = words.next().cloned(),
                "port" => self.check_port = words.next().and_then(|port| port.parse().ok()),
                _ => {}
            }
        }
        if let Some(is) = check_ssl.or(ssl) {
            self.tls = is;
        }
    }
}

fn has_servers(kind: &str) -> bool {
    matches!(kind, "backend" | "listen")
}

/// The lookups in maps in a rule.
fn lookups(line: &str) -> Vec<Lookup> {
    let lookup = |found: regex::Captures<'_>| Lookup {
        map: found["map"].to_owned(),
        key: found.name("key").map(|key| key.as_str().to_owned()),
    };
    LOOKUP.captures_iter(line).map(lookup).collect()
}

/// `str(KEY),map(FILE…)` or `map(FILE…)`, with any of the ways in which a map compares keys.
static LOOKUP: LazyLock<Regex> = LazyLock::new(|| {
    let pattern = r#"(?:\bstr\((?<key>[^()\s]+)\),)?\bmap(?:_[a-z]+)*\((?<map>[^,()\s"']+)"#;
    Regex::new(pattern).unwrap_or_else(|error| unreachable!("{error}"))
});

/// The words that begin a section.
const SECTIONS: [&str; 18] = [
    "global",
    "defaults",
    "frontend",
    "backend",
    "listen",
    "peers",
    "mailers",
    "resolvers",
    "userlist",
    "program",
    "http-errors",
    "ring",
    "log-forward",
    "cache",
    "fcgi-app",
    "crt-store",
    "traces",
    "log-profile",
];

/// The paths at which Patroni and its like answer with 200 on the leader only.
const ROLE_PATHS: [&str; 6] = ["/master", "/primary", "/leader", "/read-write", "OPTIONS/master", "OPTIONS/primary"];

#[cfg(test)]
mod tests;
