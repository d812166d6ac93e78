//! The caller that asked for a change.

use serde::{Deserialize, Serialize};

/// The process that asked for a change, as the kernel names it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Caller {
    /// Its user id.
    pub uid: u32,
    /// Its group id.
    pub gid: u32,
    /// Its process id; `None` if the kernel does not report it.
    pub pid: Option<i32>,
    /// The name of its user, or the number of a user without a name.
    pub user: String,
    /// The name of the process.
    pub command: String,
    /// The program that it ran; `None` where teeterd may not see it.
    #[serde(default)]
    pub exe: Option<String>,
    /// The user that logged in, where the process runs as another user now, as with sudo.
    #[serde(default)]
    pub login: Option<Login>,
}

/// The user that logged in. The kernel keeps it over sudo and su.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Login {
    /// The user's id.
    pub uid: u32,
    /// The user's name, or its number.
    pub user: String,
}

impl Caller {
    /// The user that asks. For root it is the user that logged in. Only for root, because a process without a login can
    /// set any login user; root gains nothing by that.
    pub fn person(&self) -> &str {
        self.login.as_ref().filter(|_| self.uid == 0).map_or(&self.user, |login| &login.user)
    }
}
