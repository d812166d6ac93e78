//! The caller that asked for a change.

use serde::{Deserialize, Serialize};

/// Who asked for a change, as the kernel says.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Caller {
    /// User id.
    pub uid: u32,
    /// Group id.
    pub gid: u32,
    /// Process id.
    pub pid: Option<i32>,
    /// The user's name, or its number.
    pub user: String,
    /// The name of the process.
    pub command: String,
    /// The program that it ran, where teeterd may see that.
    #[serde(default)]
    pub exe: Option<String>,
    /// As whom somebody logged in, where the process is another user's by now, as by sudo.
    #[serde(default)]
    pub login: Option<Login>,
}

/// The user as whom somebody logged in. The kernel keeps it over sudo and su.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Login {
    /// User id.
    pub uid: u32,
    /// The user's name, or its number.
    pub user: String,
}

impl Caller {
    /// Who asks: behind root the user that has logged in. Only there, because a process that nobody has logged in for
    /// can name any user; root gains nothing by that.
    pub fn person(&self) -> &str {
        self.login.as_ref().filter(|_| self.uid == 0).map_or(&self.user, |login| &login.user)
    }
}
