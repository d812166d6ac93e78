//! Where a stats socket is.

use std::fmt;
use std::path::PathBuf;
use std::str::FromStr;

use serde::{Deserialize, Serialize};
use thiserror::Error;

/// The address of a stats socket: a path, or `tcp://host:port`.
#[derive(Debug, Clone, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub enum Address {
    /// A UNIX socket in the file system.
    Unix(PathBuf),
    /// A TCP listener, as `host:port`.
    Tcp(String),
}

/// A text that is no address of a stats socket.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
#[error("{0:?} is not a socket address: give an absolute path or tcp://HOST:PORT")]
pub struct AddressError(String);

impl FromStr for Address {
    type Err = AddressError;

    fn from_str(text: &str) -> Result<Self, AddressError> {
        let path = text.strip_prefix("unix@").or_else(|| text.strip_prefix("unix://")).unwrap_or(text);
        if path.starts_with('/') {
            return Ok(Self::Unix(path.into()));
        }
        match text.strip_prefix("tcp://").map(|rest| (rest, rest.rsplit_once(':'))) {
            Some((rest, Some((host, port)))) if !host.is_empty() && port.parse::<u16>().is_ok() => {
                Ok(Self::Tcp(rest.to_owned()))
            }
            _ => Err(AddressError(text.to_owned())),
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
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn paths_and_tcp_are_addresses() {
        for text in ["/run/haproxy/admin.sock", "tcp://127.0.0.1:9999", "tcp://[::1]:9999"] {
            assert_eq!(text.parse::<Address>().unwrap().to_string(), text);
        }
        for text in ["", "admin.sock", "tcp://", "tcp://host", "tcp://host:port", "http://a:1"] {
            assert!(text.parse::<Address>().is_err(), "{text:?}");
        }
    }
}
