//! `[metrics]`: the sockets and the file for the metrics, beside the control socket.

use std::net::SocketAddr;
use std::path::PathBuf;

use serde::Deserialize;

use super::settings::{absolute_or_none, octal};
use crate::farm::Span;

/// `[metrics]`.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct MetricsSettings {
    /// The path of a UNIX socket; none where unset.
    #[serde(deserialize_with = "absolute_or_none")]
    pub socket: Option<PathBuf>,
    /// The mode of `socket`, in octal digits as a string.
    #[serde(deserialize_with = "octal")]
    pub mode: u32,
    /// The group of `socket`; the daemon's own group where unset.
    pub group: Option<String>,
    /// The address and port of a TCP listener; none where unset.
    pub listen: Option<SocketAddr>,
    /// Whether other machines may reach `listen`.
    pub allow_remote: bool,
    /// The path of a file for the textfile collector of node_exporter; none where unset.
    #[serde(deserialize_with = "absolute_or_none")]
    pub textfile: Option<PathBuf>,
    /// The interval at which `textfile` is written.
    pub interval: Span,
}

impl Default for MetricsSettings {
    fn default() -> Self {
        Self {
            socket: None,
            mode: 0o660,
            group: None,
            listen: None,
            allow_remote: false,
            textfile: None,
            interval: Span::from_secs(15),
        }
    }
}

impl MetricsSettings {
    /// The first key that contradicts another one, and why.
    pub(super) fn problem(&self, control: &std::path::Path) -> Option<(&'static str, String)> {
        if let Some(socket) = self.socket.as_ref().filter(|socket| *socket == control) {
            return Some(("socket", format!("{} is teeterd's own control socket", socket.display())));
        }
        if let Some(listen) = self.listen {
            if listen.port() == 0 {
                return Some(("listen", "port 0 is another port at each start: give a port".to_owned()));
            }
            if !listen.ip().to_canonical().is_loopback() && !self.allow_remote {
                let problem = format!(
                    "other machines may reach {listen}, and every client that reaches it can read the metrics: set \
                     allow_remote = true, too, or listen on 127.0.0.1"
                );
                return Some(("listen", problem));
            }
        }
        if let Some(file) = self.textfile.as_ref().filter(|file| file.extension().is_none_or(|end| end != "prom")) {
            return Some((
                "textfile",
                format!("{} must end in .prom: node_exporter reads no other file", file.display()),
            ));
        }
        if self.interval < SHORTEST {
            return Some(("interval", format!("{} is too short: {SHORTEST} at least", self.interval)));
        }
        None
    }
}

/// The shortest interval.
const SHORTEST: Span = Span::from_secs(1);
