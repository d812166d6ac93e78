//! The caller that asked for a change.

use serde::{Deserialize, Serialize};

/// The process that asked for a change, as the kernel names it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Caller {
    /// The user id of the process.
    pub uid: u32,
    /// The group id of the process.
    pub gid: u32,
    /// The process id; `None` if the kernel does not report it.
    pub pid: Option<i32>,
    /// The name of the user, or the number of a user without a name.
    pub user: String,
    /// The name of the process.
    pub command: String,
    /// The path of the program; `None` where teeterd may not see it.
    #[serde(default)]
    pub exe: Option<String>,
    /// The user that logged in, where the process runs as another user now, as with sudo.
    #[serde(default)]
    pub login: Option<Login>,
}

/// The user that logged in. The kernel keeps this user over sudo and su.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Login {
    /// The user's id.
    pub uid: u32,
    /// The user's name, or the number of a user without a name.
    pub user: String,
}

impl Caller {
    /// The name of the user that asks. For a process of root, the user that logged in. For any other process, the user
    /// of the process, because a process without a login can set any login user.
    pub fn person(&self) -> &str {
        self.login.as_ref().filter(|_| self.uid == 0).map_or(&self.user, |login| &login.user)
    }
}
