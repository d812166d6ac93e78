//! The process at the other end of the control socket, according to the kernel.

use std::ffi::OsString;
use std::path::PathBuf;
use std::time::Duration;

use tokio::net::UnixStream;
use tokio::net::unix::UCred;
use tokio::task::spawn_blocking;

use super::harmless::harmless;
use crate::state::{Caller, Login};

/// The process that opened a connection, by numbers: names are looked up later.
#[derive(Debug)]
pub(super) struct Credentials {
    pub(super) uid: u32,
    gid: u32,
    pid: Option<i32>,
    command: String,
    exe: Option<String>,
    login: Option<u32>,
}

/// The process that opened a connection, and its user, by name.
#[derive(Debug, Clone)]
pub struct Peer {
    pub(super) caller: Caller,
}

/// A user and its groups, as the system's databases had them at one moment.
#[derive(Debug, Default)]
pub(super) struct Account {
    pub(super) name: String,
    /// The user's primary group, and the groups that the user is a member of.
    pub(super) groups: Vec<(u32, String)>,
}

impl Credentials {
    /// The credentials of a connection just accepted. /proc is read at once; but if the process has ended already, its
    /// process id may belong to another process.
    pub(super) fn from_stream(stream: &UnixStream) -> Self {
        let cred = stream.peer_cred();
        // Without credentials, use the uid that no user has.
        let (uid, gid) = cred.as_ref().map_or((u32::MAX, u32::MAX), |cred| (cred.uid(), cred.gid()));
        let pid = cred.as_ref().ok().and_then(UCred::pid);
        let proc = |name: &str| pid.map(|pid| PathBuf::from(format!("/proc/{pid}/{name}")));
        let command = proc("comm").and_then(|path| std::fs::read(path).ok()).unwrap_or_default();
        // Readable only for processes of teeterd's own user, or if teeterd runs as root.
        let login = proc("loginuid").and_then(|path| std::fs::read_to_string(path).ok());
        let exe = proc("exe").and_then(|path| std::fs::read_link(path).ok());
        Self {
            uid,
            gid,
            pid,
            command: harmless(command.trim_ascii()),
            exe: exe.map(|path| harmless(path.as_os_str().as_encoded_bytes())),
            login: login.and_then(|text| text.trim().parse().ok()).filter(|login| *login != NOT_LOGGED_IN),
        }
    }

    /// Adds the name of the user. May query a directory server.
    pub(super) async fn peer(self) -> Peer {
        let Self { uid, gid, pid, command, exe, login } = self;
        let name = async |uid| spawn_blocking(move || user_name(uid)).await.unwrap_or_else(|_| uid.to_string());
        let user = name(uid).await;
        let login = match login.filter(|login| *login != uid) {
            Some(login) => Some(Login { uid: login, user: name(login).await }),
            None => None,
        };
        Caller { uid, gid, pid, user, command, exe, login }.into()
    }
}

impl From<Caller> for Peer {
    fn from(caller: Caller) -> Self {
        Self { caller }
    }
}

impl Peer {
    /// The user and the user's current groups, looked up each time. The groups of the process do not count: a process
    /// keeps a group after its user has lost it. `None` if the system did not answer in time.
    pub(super) async fn account(&self) -> Option<Account> {
        let uid = self.caller.uid;
        let found = tokio::time::timeout(LOOKUP_TAKES, spawn_blocking(move || account(uid))).await.ok()?;
        Some(found.unwrap_or_default())
    }
}

/// The time for the system to look up a user: the databases may be on a directory server.
pub(super) const LOOKUP_TAKES: Duration = Duration::from_secs(10);

/// A user's name, or its number if it has no name.
fn user_name(uid: u32) -> String {
    let name = uzers::get_user_by_uid(uid).map(|user| user.name().to_string_lossy().into_owned());
    name.unwrap_or_else(|| uid.to_string())
}

/// The kernel's login uid of a process without a login session.
const NOT_LOGGED_IN: u32 = u32::MAX;

fn account(uid: u32) -> Account {
    let Some(user) = uzers::get_user_by_uid(uid) else {
        return Account { name: uid.to_string(), groups: Vec::new() };
    };
    let name: OsString = user.name().to_owned();
    let primary = user.primary_group_id();
    let named = |group: &uzers::Group| (group.gid(), group.name().to_string_lossy().into_owned());
    let groups = uzers::get_user_groups(&name, primary).unwrap_or_default();
    // The number of the primary group counts even if no group has that number.
    let groups = std::iter::once((primary, primary.to_string())).chain(groups.iter().map(named)).collect();
    Account { name: name.to_string_lossy().into_owned(), groups }
}
