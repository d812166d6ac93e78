//! Ways to wait until a server is drained.

use std::io;
use std::process::Stdio;
use std::time::Duration;

use tokio::process::{Child, Command};

use super::many_servers::{ManyServers, TARGET};
use crate::command::failure;
use crate::teeterd::Teeter;

/// A way to wait.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Way {
    /// `teeter drain`.
    Teeter,
    /// The same for a long session: by then teeter's looks have their longest interval.
    TeeterLong,
    /// A shell script that reads all statistics with socat once a second.
    EverySecond,
    /// The same, but it reads only the server's backend.
    OneBackend,
    /// All statistics every five seconds, as the module community.general.haproxy does with its default,
    /// `wait_interval: 5`.
    EveryFive,
}

impl Way {
    pub(crate) const ALL: [Self; 5] =
        [Self::Teeter, Self::TeeterLong, Self::EverySecond, Self::OneBackend, Self::EveryFive];

    pub(crate) fn title(self) -> &'static str {
        match self {
            Self::Teeter => "`teeter drain`",
            Self::TeeterLong => "`teeter drain`, 5 s and later",
            Self::EverySecond => "`show stat`, every second",
            Self::OneBackend => "`show servers conn BACKEND`, every second",
            Self::EveryFive => "`show stat`, every 5 s",
        }
    }

    pub(crate) fn is_teeter(self) -> bool {
        matches!(self, Self::Teeter | Self::TeeterLong)
    }

    /// The time before the measurement begins.
    pub(crate) fn settles(self) -> Duration {
        if self == Self::TeeterLong { Duration::from_secs(5) } else { Duration::from_millis(200) }
    }

    /// The number of drains, and the longest time after which a session ends: the interval of the way's looks.
    pub(crate) fn rounds(self, wanted: usize) -> (usize, Duration) {
        match self {
            Self::Teeter => (wanted, Duration::from_millis(1000)),
            Self::TeeterLong => (wanted.div_ceil(3), Duration::from_millis(1000)),
            Self::EverySecond | Self::OneBackend => (wanted.div_ceil(2), Duration::from_millis(1000)),
            Self::EveryFive => (wanted.div_ceil(5), Duration::from_millis(5000)),
        }
    }

    /// Takes the server out and begins to wait; the process ends when it finds the server drained.
    pub(crate) async fn begin(self, site: &ManyServers, teeter: Option<&Teeter>) -> io::Result<Child> {
        let (question, field, pause) = match (self, teeter) {
            (Self::Teeter | Self::TeeterLong, Some(teeter)) => {
                return teeter.spawn(&["drain", TARGET, "--reason", "lab"]);
            }
            (Self::Teeter | Self::TeeterLong, None) => return Err(failure("teeterd was not started".to_owned())),
            (Self::EverySecond, _) => ("show stat", STAT, "1"),
            (Self::OneBackend, _) => ("show servers conn b0001", CONN, "1"),
            (Self::EveryFive, _) => ("show stat", STAT, "5"),
        };
        site.haproxy.tell(&format!("set server {TARGET} state drain")).await?;
        let text = SCRIPT.replace("@QUESTION@", question).replace("@FIELD@", field).replace("@PAUSE@", pause);
        let text = text.replace("@SOCKET@", &site.haproxy.socket().display().to_string());
        let mut command = Command::new("sh");
        command.args(["-c", &text]).stdin(Stdio::null()).kill_on_drop(true).spawn()
    }

    /// Brings the server back.
    pub(crate) async fn end(self, site: &ManyServers, teeter: Option<&Teeter>) -> io::Result<()> {
        match (self.is_teeter(), teeter) {
            (true, Some(teeter)) => teeter.run(&["ready", TARGET, "--no-verify"]).await.map(drop),
            _ => site.haproxy.tell(&format!("set server {TARGET} state ready")).await,
        }
    }
}

const SCRIPT: &str = "while [ \"$(echo '@QUESTION@' | socat stdio unix-connect:@SOCKET@ |
    awk @FIELD@)\" != 0 ]; do sleep @PAUSE@; done";

/// The fifth column is `scur`.
const STAT: &str = "-F, '$1 == \"b0001\" && $2 == \"s01\" { print $5 }'";

/// The seventh column is `used_cur`.
const CONN: &str = "'$1 == \"b0001/s01\" { print $7 }'";
