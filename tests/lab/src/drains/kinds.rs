//! The kinds of traffic that drains are tested under, and the configuration of HAProxy, with a backend for each.

use std::fmt::{self, Write as _};
use std::net::SocketAddr;
use std::path::Path;

use crate::config_head::config_head;
use crate::haproxy::Haproxy;

/// A kind of traffic.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Kind {
    /// HTTP/1 on kept connections.
    Http1,
    /// HTTP/2 from the client and to the server, several requests at once on a connection.
    Http2,
    /// Upgraded connections.
    WebSocket,
    /// Connections without HTTP, silent most of the time.
    Tcp,
    /// Servers that take one request at a time, while others wait for the same server.
    Queue,
    /// As [`Kind::Queue`], but waiting requests may go to another server.
    QueueRedispatch,
    /// Servers that refuse connections for a while, with retries on the same server.
    Retry,
    /// As [`Kind::Retry`], but the last retry goes to another server.
    RetryRedispatch,
    /// Requests whose server is chosen after their body has arrived.
    Body,
}

impl Kind {
    /// Every kind.
    pub const ALL: [Self; 9] = [
        Self::Http1,
        Self::Http2,
        Self::WebSocket,
        Self::Tcp,
        Self::Queue,
        Self::QueueRedispatch,
        Self::Retry,
        Self::RetryRedispatch,
        Self::Body,
    ];

    /// The name of the backend of this kind.
    pub fn backend(self) -> &'static str {
        match self {
            Self::Http1 => "http1",
            Self::Http2 => "http2",
            Self::WebSocket => "websocket",
            Self::Tcp => "tcp",
            Self::Queue => "queue",
            Self::QueueRedispatch => "queue-redispatch",
            Self::Retry => "retry",
            Self::RetryRedispatch => "retry-redispatch",
            Self::Body => "body",
        }
    }

    /// Whether its servers refuse connections now and then, so that requests may fail.
    pub fn refuses(self) -> bool {
        matches!(self, Self::Retry | Self::RetryRedispatch)
    }

    fn settings(self, old: bool) -> &'static str {
        match self {
            Self::Http1 | Self::WebSocket | Self::Retry => "    balance roundrobin\n",
            Self::Http2 => "    balance roundrobin\n    http-reuse always\n",
            Self::Tcp => "    mode tcp\n    balance roundrobin\n",
            // With a hash, a request waits for its own server only.
            Self::Queue => "    balance uri whole\n    hash-type consistent\n",
            Self::QueueRedispatch => "    balance uri whole\n    hash-type consistent\n    option redispatch 1\n",
            Self::RetryRedispatch => "    balance roundrobin\n    option redispatch\n",
            Self::Body if old => "    balance roundrobin\n    option http-buffer-request\n",
            Self::Body => "    balance roundrobin\n    http-request wait-for-body time 5s\n",
        }
    }

    fn server(self) -> &'static str {
        match self {
            Self::Http2 => " proto h2",
            Self::Queue | Self::QueueRedispatch => " maxconn 1",
            _ => "",
        }
    }
}

impl fmt::Display for Kind {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(self.backend())
    }
}

/// The number of servers of each kind.
pub(super) const SERVERS: usize = 3;

/// The name of a server of every backend.
pub(super) fn name(number: usize) -> String {
    format!("s{}", number + 1)
}

/// The configuration of HAProxy: for each kind the address for clients and the addresses of its servers. No server is
/// checked, because a drain must not depend on checks.
pub(super) fn config(dir: &Path, kinds: &[(Kind, SocketAddr, Vec<SocketAddr>)]) -> String {
    // A refused connection is tried again after a second, three times.
    let mut text = config_head(dir, &[], &["retries 3", "timeout queue 30s", "timeout tunnel 1h"]);
    // `http-request wait-for-body` came with 2.4.
    let old = Haproxy::version().is_ok_and(|version| version.starts_with("2.2") || version.starts_with("2.3"));
    for (kind, front, servers) in kinds {
        let (mode, proto) = match kind {
            Kind::Tcp => ("    mode tcp\n", ""),
            Kind::Http2 => ("", " proto h2"),
            _ => ("", ""),
        };
        let _ = write!(
            text,
            "\nfrontend to-{kind}\n{mode}    bind {front}{proto}\n    default_backend {kind}\n\nbackend {kind}\n{}",
            kind.settings(old)
        );
        for (number, server) in servers.iter().enumerate() {
            let _ = writeln!(text, "    server {} {server}{}", name(number), kind.server());
        }
    }
    text
}
