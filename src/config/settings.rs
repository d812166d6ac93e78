//! The sections that are not a farm's.

use std::path::PathBuf;

use serde::de::Error as _;
use serde::{Deserialize, Deserializer};

use crate::control::Roles;
use crate::farm::InstanceName;
use crate::haproxy::{Address, TlsSettings};

/// `[control]`.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct ControlSettings {
    /// The control socket.
    #[serde(deserialize_with = "absolute")]
    pub socket: PathBuf,
    /// Its mode, written in octal digits as a string.
    #[serde(deserialize_with = "octal")]
    pub mode: u32,
    /// Its group; the daemon's own where unset.
    pub group: Option<String>,
    /// Whether it may be made in a directory that other users may write to.
    pub shared_directory: bool,
    /// Who may do what. Without it whoever may open the socket may do everything.
    pub roles: Option<Roles>,
}

impl Default for ControlSettings {
    fn default() -> Self {
        Self {
            socket: "/run/teeter/control.sock".into(),
            mode: 0o660,
            group: None,
            shared_directory: false,
            roles: None,
        }
    }
}

impl ControlSettings {
    /// Whether both are about one and the same socket, whoever may do what there.
    pub fn same_socket(&self, other: &Self) -> bool {
        Self { roles: None, ..self.clone() } == Self { roles: None, ..other.clone() }
    }
}

/// `[store]`.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct StoreSettings {
    /// The database.
    #[serde(deserialize_with = "absolute")]
    pub path: PathBuf,
    /// Whether it may be in a directory that other users may write to.
    pub shared_directory: bool,
}

impl Default for StoreSettings {
    fn default() -> Self {
        Self { path: "/var/lib/teeter/teeter.db".into(), shared_directory: false }
    }
}

/// `[[haproxy]]`.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct InstanceSettings {
    /// What teeter calls it.
    pub name: InstanceName,
    /// Its stats socket.
    pub socket: Address,
    /// How both prove who they are, for a `tls://` socket.
    pub tls: Option<TlsSettings>,
    /// Its master socket: shows the processes that a reload has left behind.
    #[serde(default, deserialize_with = "absolute_or_none")]
    pub master: Option<PathBuf>,
    /// Whether it is stopped on purpose from time to time, as keepalived does with the balancer that stands by: drains and
    /// deploys go on without it then.
    #[serde(default)]
    pub may_be_away: bool,
}

/// `[log]`.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct LogSettings {
    /// Where the log goes.
    pub to: LogTo,
    /// How much is logged.
    pub level: LogLevel,
}

/// Where the log goes.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum LogTo {
    /// To the journal when systemd started the daemon, otherwise as `Plain`.
    #[default]
    Auto,
    /// To the journal, with fields.
    Journald,
    /// To standard error, a line each.
    Plain,
}

/// How much is logged.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum LogLevel {
    /// What failed.
    Error,
    /// And what is doubtful.
    Warn,
    /// And what was done.
    #[default]
    Info,
    /// And why.
    Debug,
    /// And every line to and from HAProxy.
    Trace,
}

fn octal<'de, D: Deserializer<'de>>(deserializer: D) -> Result<u32, D::Error> {
    let text = String::deserialize(deserializer)?;
    let mode = u32::from_str_radix(&text, 8).ok().filter(|mode| *mode <= 0o777);
    mode.ok_or_else(|| D::Error::custom(format!("{text:?} is not a file mode such as \"0660\"")))
}

/// The daemon's working directory is nobody's business, so a path may not depend on it.
fn absolute<'de, D: Deserializer<'de>>(deserializer: D) -> Result<PathBuf, D::Error> {
    let path = PathBuf::deserialize(deserializer)?;
    if path.is_absolute() { Ok(path) } else { Err(D::Error::custom(format!("{path:?} is not an absolute path"))) }
}

fn absolute_or_none<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Option<PathBuf>, D::Error> {
    absolute(deserializer).map(Some)
}
