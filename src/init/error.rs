//! Why there is no configuration.

use std::io;
use std::path::PathBuf;

use thiserror::Error;

use crate::haproxy::commands::Level;
use crate::haproxy::{Address, Error as HaproxyError, FrameError, RefusalKind};

/// Why `teeter init` cannot write a configuration.
#[derive(Debug, Error)]
pub enum InitError {
    /// No socket is named, and none is at a usual path.
    #[error("no stats socket of HAProxy is at a usual path")]
    NoSocket,
    /// The path is no socket.
    #[error("{} is not a socket", path.display())]
    NotASocket {
        /// The path.
        path: PathBuf,
    },
    /// HAProxy does not answer, or another program does.
    #[error("cannot read the servers of HAProxy")]
    Haproxy(#[from] HaproxyError),
    /// The level of the socket is too low for reading.
    #[error("the stats socket {address} has level {level}, which does not show the states of servers")]
    Level {
        /// The socket.
        address: Address,
        /// Its level.
        level: Level,
    },
    /// HAProxy has no servers.
    #[error("HAProxy {version} at {address} has no servers")]
    NoServers {
        /// The socket.
        address: Address,
        /// The version of HAProxy.
        version: String,
    },
    /// No farm can be made of the servers.
    #[error("HAProxy at {address} has no backend with two servers in use, so no farm can be deployed: {backends}")]
    NoFarms {
        /// The socket.
        address: Address,
        /// The backends that it has.
        backends: String,
    },
    /// A file of HAProxy's configuration cannot be read.
    #[error("cannot read {}", path.display())]
    Cfg {
        /// The file.
        path: PathBuf,
        /// The error of the operating system.
        source: io::Error,
    },
    /// The written text is refused by teeter's own rules: a bug.
    #[error("the configuration would be refused: {problem}")]
    Refused {
        /// The problem.
        problem: String,
    },
}

/// The kinds of failures that callers distinguish.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Kind {
    /// An argument names the wrong thing.
    Argument,
    /// Something is not there.
    Missing,
    /// The caller, or the socket, lacks a right.
    Right,
    /// HAProxy does not answer.
    Silent,
    /// Anything else.
    Failed,
}

impl InitError {
    /// The kind of the failure.
    pub fn kind(&self) -> Kind {
        match self {
            Self::NotASocket { .. } => Kind::Argument,
            Self::NoServers { .. } | Self::NoFarms { .. } => Kind::Missing,
            Self::Level { .. } => Kind::Right,
            Self::NoSocket => Kind::Silent,
            Self::Cfg { source, .. } => match source.kind() {
                io::ErrorKind::NotFound => Kind::Missing,
                io::ErrorKind::PermissionDenied => Kind::Right,
                _ => Kind::Failed,
            },
            Self::Haproxy(HaproxyError::Connect { source, .. }) if source.kind() == io::ErrorKind::PermissionDenied => {
                Kind::Right
            }
            Self::Haproxy(HaproxyError::Connect { .. } | HaproxyError::Deadline { .. }) => Kind::Silent,
            Self::Haproxy(HaproxyError::Command { .. }) if self.lacks_level() => Kind::Right,
            Self::Haproxy(_) => Kind::Argument,
            Self::Refused { .. } => Kind::Failed,
        }
    }

    /// What to do.
    pub fn hint(&self) -> String {
        let find = "`grep 'stats socket' /etc/haproxy/haproxy.cfg` shows its path; name it by --haproxy";
        match self {
            Self::NoSocket => format!("is HAProxy running, with a `stats socket` line? {find}"),
            Self::NotASocket { .. } => format!("name a stats socket of HAProxy: {find}"),
            Self::Haproxy(HaproxyError::Connect { source, .. }) => match source.kind() {
                io::ErrorKind::PermissionDenied => {
                    "use sudo, or a user of the socket's group (`ls -l` on the socket shows it)".to_owned()
                }
                _ => format!("is HAProxy running? {find}"),
            },
            Self::Haproxy(HaproxyError::Deadline { .. }) => "try again when HAProxy answers".to_owned(),
            Self::Haproxy(HaproxyError::Frame { source: FrameError::Io(_) | FrameError::Truncated { .. }, .. }) => {
                format!("another program than HAProxy may have this socket. {find}")
            }
            Self::Haproxy(_) if self.lacks_level() => LEVEL.to_owned(),
            Self::Haproxy(_) => format!("this is not a stats socket of HAProxy. {find}"),
            Self::Level { .. } => LEVEL.to_owned(),
            Self::NoServers { .. } => {
                "is this the HAProxy with your backends, and not the socket of its master? Servers that the Data Plane \
                 API or an ingress controller adds later are seen when teeter init runs again"
                    .to_owned()
            }
            Self::NoFarms { .. } => {
                "teeter drains single servers without a configuration: `teeter drain BACKEND/SERVER --reason TEXT \
                 --allow-outage`"
                    .to_owned()
            }
            Self::Cfg { .. } => "name haproxy.cfg by --cfg, or leave --cfg out".to_owned(),
            Self::Refused { .. } => "this is a bug in teeter: please report it with haproxy.cfg".to_owned(),
        }
    }

    fn lacks_level(&self) -> bool {
        let Self::Haproxy(error) = self else { return false };
        error.refusal().is_some_and(|refusal| refusal.kind == RefusalKind::PermissionDenied)
    }
}

const LEVEL: &str = "write `level admin` on its `stats socket` line in haproxy.cfg and reload HAProxy";
