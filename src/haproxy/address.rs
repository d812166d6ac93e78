//! The address of a stats socket.

use std::fmt;
use std::path::PathBuf;
use std::str::FromStr;

use serde::{Deserialize, Serialize};
use thiserror::Error;

/// The address of a stats socket, written as `/path`, `tcp://host:port`, `tls://host:port` or `abns@name`.
#[derive(Debug, Clone, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub enum Address {
    /// A UNIX socket in the file system.
    Unix(PathBuf),
    /// A TCP listener, as `host:port`.
    Tcp(String),
    /// A TCP listener that speaks TLS (`stats socket ipv4@… ssl crt …`), as `host:port`.
    Tls(String),
    /// A UNIX socket in Linux's abstract namespace, which has no file (configuration manual, `bind`, `abns@`).
    Abstract(AbstractName),
}

/// The name of an abstract socket.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct AbstractName {
    name: String,
    /// Whether zero bytes fill the name up and belong to it: true for `abns@`, false for `abnsz@` (since HAProxy 3.1).
    filled: bool,
}

/// The error for a text that is not the address of a stats socket.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
#[error(
    "{0:?} is not a socket address: give an absolute path, tcp://HOST:PORT, tls://HOST:PORT, abns@NAME or abnsz@NAME"
)]
pub struct AddressError(String);

impl AbstractName {
    /// The name in the form that the kernel expects instead of a path: after a zero byte.
    pub(super) fn path(&self) -> Vec<u8> {
        let mut path = vec![0];
        path.extend_from_slice(self.name.as_bytes());
        if self.filled {
            path.resize(SUN_PATH, 0);
        }
        path
    }
}

impl FromStr for Address {
    type Err = AddressError;

    fn from_str(text: &str) -> Result<Self, AddressError> {
        let error = || AddressError(text.to_owned());
        let path = text.strip_prefix("unix@").or_else(|| text.strip_prefix("unix://")).unwrap_or(text);
        if path.starts_with('/') {
            return Ok(Self::Unix(path.into()));
        }
        for (prefix, filled) in [("abns@", true), ("abnsz@", false)] {
            if let Some(name) = text.strip_prefix(prefix) {
                let fits =
                    !name.is_empty() && name.len() < SUN_PATH && name.bytes().all(|byte| byte.is_ascii_graphic());
                let name = AbstractName { name: name.to_owned(), filled };
                return if fits { Ok(Self::Abstract(name)) } else { Err(error()) };
            }
        }
        let tcp = text.strip_prefix("tcp://").map(|rest| (rest, Self::Tcp as fn(String) -> Self));
        let (rest, kind) = tcp.or_else(|| Some((text.strip_prefix("tls://")?, Self::Tls as _))).ok_or_else(error)?;
        match rest.rsplit_once(':') {
            Some((host, port)) if !host.is_empty() && port.parse::<u16>().is_ok_and(|port| port > 0) => {
                Ok(kind(rest.to_owned()))
            }
            _ => Err(error()),
        }
    }
}

impl TryFrom<String> for Address {
    type Error = AddressError;

    fn try_from(text: String) -> Result<Self, AddressError> {
        text.parse()
    }
}

impl From<Address> for String {
    fn from(address: Address) -> String {
        address.to_string()
    }
}

impl fmt::Display for Address {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Unix(path) => write!(f, "{}", path.display()),
            Self::Tcp(host) => write!(f, "tcp://{host}"),
            Self::Tls(host) => write!(f, "tls://{host}"),
            Self::Abstract(AbstractName { name, filled: true }) => write!(f, "abns@{name}"),
            Self::Abstract(AbstractName { name, filled: false }) => write!(f, "abnsz@{name}"),
        }
    }
}

/// The size in bytes that Linux has for the path of a UNIX socket (unix(7)), with the zero byte before an abstract
/// name.
const SUN_PATH: usize = 108;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_the_documented_forms_are_addresses() {
        for text in [
            "/run/haproxy/admin.sock",
            "tcp://127.0.0.1:9999",
            "tcp://[::1]:9999",
            "tls://lb1.example.net:9998",
            "abns@haproxy",
            "abnsz@haproxy",
        ] {
            assert_eq!(text.parse::<Address>().unwrap().to_string(), text);
        }
        let long = format!("abns@{}", "n".repeat(108));
        for text in [
            "",
            "admin.sock",
            "tcp://",
            "tcp://host",
            "tcp://host:port",
            "tcp://host:0",
            "tls://host:0",
            "tls://:1",
            "http://a:1",
            "abns@",
            "abnsz@a b",
            &long,
        ] {
            assert!(text.parse::<Address>().is_err(), "{text:?}");
        }
    }

    #[test]
    fn only_abns_names_are_filled_with_zeros() {
        let path = |text: &str| match text.parse().unwrap() {
            Address::Abstract(name) => name.path(),
            other => panic!("{other}"),
        };
        assert_eq!(path("abnsz@a"), b"\0a");
        assert_eq!((path("abns@a").len(), &path("abns@a")[..3]), (108, b"\0a\0".as_slice()));
    }
}
