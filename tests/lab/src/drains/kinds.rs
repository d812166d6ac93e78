//! The kinds of traffic that drains are tried under, and the HAProxy that carries them: a backend for each.

use std::fmt::{self, Write as _};
use std::net::SocketAddr;
use std::path::Path;

use crate::haproxy::Haproxy;

/// A kind of traffic.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Kind {
    /// HTTP/1 on kept connections.
    Http1,
    /// HTTP/2 from the client and to the server, several requests at once on a connection.
    Http2,
    /// Connections that were upgraded.
    WebSocket,
    /// Connections without HTTP, silent most of the time.
    Tcp,
    /// Servers that take one request at a time, with others waiting for each.
    Queue,
    /// The same, where waiting requests may go elsewhere.
    QueueRedispatch,
    /// Servers that refuse connections for a while, and clients that are tried again on the same one.
    Retry,
    /// The same, where the last try goes elsewhere.
    RetryRedispatch,
    /// Requests whose server is chosen only after their body has come.
    Body,
}

impl Kind {
    /// All of them.
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

    /// The name of its backend.
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
            // By a hash, so that a request waits for its server and for no other.
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

/// Servers that each kind has.
pub(super) const SERVERS: usize = 3;

/// The name of a server of every backend.
pub(super) fn name(number: usize) -> String {
    format!("s{}", number + 1)
}

/// The configuration of HAProxy: for each kind where its clients go and where its servers are. No server is checked:
/// what a drain does must not depend on it.
pub(super) fn config(dir: &Path, kinds: &[(Kind, SocketAddr, Vec<SocketAddr>)]) -> String {
    let mut text = HEAD.replace("@DIR@", &dir.display().to_string());
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

/// A refused connection is tried again after a second, three times.
const HEAD: &str = "global
    nbthread 2
    maxconn 4000
    stats socket @DIR@/admin.sock mode 600 level admin expose-fd listeners
    stats timeout 30s

defaults
    mode http
    retries 3
    timeout connect 2s
    timeout client 30s
    timeout server 30s
    timeout queue 30s
    timeout tunnel 1h
";
