//! The sections other than farms.

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
    /// The path of the control socket.
    #[serde(deserialize_with = "absolute")]
    pub socket: PathBuf,
    /// The mode of the socket, in octal digits as a string.
    #[serde(deserialize_with = "octal")]
    pub mode: u32,
    /// The group of the socket; the daemon's own group where unset.
    pub group: Option<String>,
    /// Whether the socket may be in a directory that other users may write to.
    pub shared_directory: bool,
    /// The roles of users and groups. Without roles every user who may open the socket may do everything.
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
    /// Whether both describe the same socket, whatever their roles are.
    pub fn same_socket(&self, other: &Self) -> bool {
        Self { roles: None, ..self.clone() } == Self { roles: None, ..other.clone() }
    }
}

/// `[store]`.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct StoreSettings {
    /// The path of the database.
    #[serde(deserialize_with = "absolute")]
    pub path: PathBuf,
    /// Whether the database may be in a directory that other users may write to.
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
    /// The name of the HAProxy in teeter.
    pub name: InstanceName,
    /// The stats socket.
    pub socket: Address,
    /// The TLS settings, for a `tls://` socket.
    pub tls: Option<TlsSettings>,
    /// The master socket, which lists the processes that a reload has replaced; none where unset.
    #[serde(default, deserialize_with = "absolute_or_none")]
    pub master: Option<PathBuf>,
    /// Whether this HAProxy is sometimes stopped on purpose, as keepalived does with the load balancer on standby.
    /// Drains and deploys then go on without it.
    #[serde(default)]
    pub may_be_away: bool,
}

/// `[log]`.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct LogSettings {
    /// The destination of the log.
    pub to: LogTo,
    /// The level of the log.
    pub level: LogLevel,
}

/// The destination of the log.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum LogTo {
    /// To the journal when systemd started the daemon, otherwise as `Plain`.
    #[default]
    Auto,
    /// To the journal, with fields.
    Journald,
    /// To standard error, one event a line.
    Plain,
}

/// The level of the log.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum LogLevel {
    /// Failures.
    Error,
    /// Failures and warnings.
    Warn,
    /// Also the changes that teeterd has made.
    #[default]
    Info,
    /// Also the reasons of changes.
    Debug,
    /// Also every line to and from HAProxy.
    Trace,
}

/// Reads a file mode in octal digits.
pub(super) fn octal<'de, D: Deserializer<'de>>(deserializer: D) -> Result<u32, D::Error> {
    let text = String::deserialize(deserializer)?;
    let mode = u32::from_str_radix(&text, 8).ok().filter(|mode| *mode <= 0o777);
    mode.ok_or_else(|| D::Error::custom(format!("{text:?} is not a file mode such as \"0660\"")))
}

/// Refuses a relative path: the daemon's working directory must not matter.
fn absolute<'de, D: Deserializer<'de>>(deserializer: D) -> Result<PathBuf, D::Error> {
    let path = PathBuf::deserialize(deserializer)?;
    if path.is_absolute() { Ok(path) } else { Err(D::Error::custom(format!("{path:?} is not an absolute path"))) }
}

/// As `absolute`, for a key that may be unset.
pub(super) fn absolute_or_none<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Option<PathBuf>, D::Error> {
    absolute(deserializer).map(Some)
}
