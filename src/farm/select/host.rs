//! A host by its IP address, which selects the servers that HAProxy reaches there.

use std::fmt;
use std::str::FromStr;
// Addresses are plain values here: `core` has them without the sockets of `std`.
use core::net::{IpAddr, SocketAddr};

use thiserror::Error;

use crate::farm::seen::server::SeenServer;

/// An IP address, with a port or without. Each spelling gives the same value: `::ffff:10.0.0.7` is `10.0.0.7`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Host {
    address: IpAddr,
    port: Option<u16>,
}

/// The error for a text that is not an address.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Error)]
#[error("a host is an IP address, such as 10.0.0.7 or 2001:db8::7, or with a port 10.0.0.7:8080 or [2001:db8::7]:8080")]
pub struct HostError;

impl Host {
    /// Whether HAProxy reaches this server at the address.
    pub fn has(&self, server: &SeenServer) -> bool {
        let is_same_address =
            server.address.parse().is_ok_and(|address: IpAddr| address.to_canonical() == self.address);
        is_same_address && self.port.is_none_or(|port| port == server.port)
    }
}

impl FromStr for Host {
    type Err = HostError;

    fn from_str(text: &str) -> Result<Self, HostError> {
        let bare = text.strip_prefix('[').and_then(|rest| rest.strip_suffix(']')).filter(|bare| bare.contains(':'));
        if let Ok(address) = bare.unwrap_or(text).parse::<IpAddr>() {
            return Ok(Self { address: address.to_canonical(), port: None });
        }
        // HAProxy does not accept zones (`%1`) in the addresses of servers.
        let with_port = text.parse::<SocketAddr>().ok().filter(|_| !text.contains('%')).ok_or(HostError)?;
        // HAProxy reports port 0 for a server without a port, such as one on a UNIX socket.
        let with_port = (with_port.port() > 0).then_some(with_port).ok_or(HostError)?;
        Ok(Self { address: with_port.ip().to_canonical(), port: Some(with_port.port()) })
    }
}

impl fmt::Display for Host {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.port {
            Some(port) => SocketAddr::new(self.address, port).fmt(f),
            None => self.address.fmt(f),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_spelling_of_an_address_gives_one_value() {
        for (text, normal) in [
            ("10.0.0.7", "10.0.0.7"),
            ("10.0.0.7:8080", "10.0.0.7:8080"),
            ("::ffff:10.0.0.7", "10.0.0.7"),
            ("[::ffff:10.0.0.7]:8080", "10.0.0.7:8080"),
            ("2001:DB8:0:0::7", "2001:db8::7"),
            ("[2001:db8::7]", "2001:db8::7"),
            ("[2001:db8:0::7]:80", "[2001:db8::7]:80"),
        ] {
            let host: Host = text.parse().unwrap();
            assert_eq!(host.to_string(), normal, "{text}");
            assert_eq!(normal.parse(), Ok(host));
        }
    }

    #[test]
    fn a_text_that_is_not_an_address_is_refused() {
        for text in [
            "",
            "web01",
            "10.0.0",
            "10.0.0.07",
            "10.0.0.*",
            "10.0.0.7:",
            "10.0.0.7:65536",
            "10.0.0.7:0",
            "[10.0.0.7]",
            "[fe80::1%1]:80",
        ] {
            assert_eq!(text.parse::<Host>(), Err(HostError), "{text}");
        }
    }
}
