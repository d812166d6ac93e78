//! The faults, and how each is caused.

use std::io;
use std::time::{Duration, Instant};

use tokio::time::sleep;

use super::site::Site;
use crate::processes::{children_of, signal};

/// A fault.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Fault {
    /// `kill -9` of teeterd, which is started again.
    KillTeeterd,
    /// `kill -9` of the hook.
    KillHook,
    /// `kill -9` of `teeter deploy`, while its hook goes on by itself.
    KillClient,
    /// `kill -9` of a HAProxy of one process, which is started again.
    KillHaproxy,
    /// `kill -9` of a worker; its master ends with it, and is started again.
    KillWorker,
    /// `kill -9` of a master, and of its worker as systemd does it; both are started again.
    KillMaster,
    /// HAProxy reads its configuration again.
    Reload,
    /// HAProxy is stopped in an orderly way and started.
    Restart,
    /// HAProxy is stopped for a while.
    StopHaproxy,
    /// teeterd is stopped for a while.
    StopTeeterd,
    /// The disk of the store is full for a while.
    StoreFull,
    /// The disk of the store fails and is read-only; it is repaired and teeterd is started again.
    StoreReadOnly,
    /// The disk of the map file is full for a while.
    MapFull,
    /// The disk of the map file is read-only for a while.
    MapReadOnly,
    /// Many clients read everything from teeterd, again and again, for a while.
    Readers,
    /// teeterd is stopped, and started with another name for its HAProxy.
    Rename,
    /// The output of `teeter deploy`, whose hook prints a lot, is not read for a while.
    Stall,
    /// A line that is out is deleted, added again and made ready.
    AddAgain,
    /// The wall clock goes three hours forwards.
    ClockForward,
    /// The wall clock goes three hours back.
    ClockBack,
    /// The wall clock goes three hours forwards, and teeterd is killed and started again.
    ClockForwardRestart,
    /// The wall clock goes three hours back, and teeterd is killed and started again.
    ClockBackRestart,
}

impl Fault {
    /// Every fault that is caused once, at a step.
    pub const ALL: [Self; 22] = [
        Self::KillTeeterd,
        Self::KillHook,
        Self::KillClient,
        Self::KillHaproxy,
        Self::KillWorker,
        Self::KillMaster,
        Self::Reload,
        Self::Restart,
        Self::StopHaproxy,
        Self::StopTeeterd,
        Self::StoreFull,
        Self::StoreReadOnly,
        Self::MapFull,
        Self::MapReadOnly,
        Self::Readers,
        Self::Rename,
        Self::Stall,
        Self::AddAgain,
        Self::ClockForward,
        Self::ClockBack,
        Self::ClockForwardRestart,
        Self::ClockBackRestart,
    ];

    /// Its name in the report.
    pub fn name(self) -> &'static str {
        match self {
            Self::KillTeeterd => "kill-teeterd",
            Self::KillHook => "kill-hook",
            Self::KillClient => "kill-client",
            Self::KillHaproxy => "kill-haproxy",
            Self::KillWorker => "kill-worker",
            Self::KillMaster => "kill-master",
            Self::Reload => "reload",
            Self::Restart => "restart",
            Self::StopHaproxy => "stop-haproxy",
            Self::StopTeeterd => "stop-teeterd",
            Self::StoreFull => "store-full",
            Self::StoreReadOnly => "store-read-only",
            Self::MapFull => "map-full",
            Self::MapReadOnly => "map-read-only",
            Self::Readers => "readers",
            Self::Rename => "rename",
            Self::Stall => "stall",
            Self::AddAgain => "add-again",
            Self::ClockForward => "clock-forward",
            Self::ClockBack => "clock-back",
            Self::ClockForwardRestart => "clock-forward-restart",
            Self::ClockBackRestart => "clock-back-restart",
        }
    }

    /// Whether HAProxy runs as a master with workers.
    pub(crate) fn master(self) -> bool {
        matches!(self, Self::KillWorker | Self::KillMaster)
    }

    /// Whether HAProxy itself is down for a while, so that requests fail.
    pub(crate) fn downs_haproxy(self) -> bool {
        matches!(self, Self::KillHaproxy | Self::KillWorker | Self::KillMaster | Self::Restart | Self::StopHaproxy)
    }

    /// Whether HAProxy loses its runtime state: held servers get traffic until teeterd has restored it.
    pub(crate) fn forgets(self) -> bool {
        matches!(self, Self::KillHaproxy | Self::KillWorker | Self::KillMaster | Self::Restart | Self::Reload)
    }

    /// Whether teeterd's wall clock is set by a file.
    pub(crate) fn clock(self) -> bool {
        matches!(self, Self::ClockForward | Self::ClockBack | Self::ClockForwardRestart | Self::ClockBackRestart)
    }

    /// Whether it waits more than it works.
    pub(crate) fn waits(self) -> bool {
        matches!(self, Self::StopHaproxy | Self::StopTeeterd | Self::Readers | Self::Stall)
    }

    /// Causes the fault, and repairs what systemd or an administrator would repair. Returns teeter's mistakes.
    pub(crate) async fn cause(self, site: &mut Site, client: u32, pause: Duration) -> io::Result<Vec<String>> {
        let mut wrong = Vec::new();
        match self {
            Self::KillTeeterd => {
                site.daemon.kill().await?;
                site.daemon.start().await?;
            }
            Self::KillHook => signal("-KILL", &children_of(client))?,
            Self::KillClient => signal("-KILL", &[client])?,
            Self::KillHaproxy | Self::KillMaster => {
                let haproxy = site.farm.haproxy();
                haproxy.kill();
                sleep(RESTART).await;
                haproxy.start_again().await?;
            }
            Self::KillWorker => {
                let haproxy = site.farm.haproxy();
                signal("-KILL", &[haproxy.pid().await?])?;
                // The master ends by itself. Other processes are killed, as systemd does.
                let end = Instant::now() + MASTER;
                while !haproxy.pids().is_empty() && Instant::now() < end {
                    sleep(Duration::from_millis(5)).await;
                }
                if !haproxy.pids().is_empty() {
                    wrong.push("the master outlives its worker".to_owned());
                }
                haproxy.kill();
                sleep(RESTART).await;
                haproxy.start_again().await?;
            }
            Self::Reload => site.farm.haproxy().reload().await?,
            Self::Restart => {
                let haproxy = site.farm.haproxy();
                signal("-TERM", &haproxy.pids())?;
                let end = Instant::now() + MASTER;
                while !haproxy.pids().is_empty() && Instant::now() < end {
                    sleep(Duration::from_millis(5)).await;
                }
                haproxy.start_again().await?;
            }
            Self::StopHaproxy => {
                site.farm.haproxy().pause()?;
                sleep(pause).await;
                site.farm.haproxy().resume()?;
            }
            Self::StopTeeterd => {
                signal("-STOP", &[site.daemon.pid()?])?;
                sleep(pause).await;
                signal("-CONT", &[site.daemon.pid()?])?;
            }
            Self::StoreFull | Self::StoreReadOnly => wrong = super::disk::store(self, site).await?,
            Self::MapFull | Self::MapReadOnly => wrong = super::disk::map(self, site).await?,
            Self::Readers => wrong = super::readers::crowd(site, pause).await?,
            Self::Rename => {
                site.daemon.kill().await?;
                site.daemon.rename("name = \"edge\"", "name = \"front\"")?;
                site.daemon.start().await?;
            }
            // Its output is read later, when the end of the process is awaited.
            Self::Stall => sleep(pause).await,
            Self::AddAgain => add_again(site).await?,
            Self::ClockForward | Self::ClockForwardRestart => site.daemon.set_clock(JUMP)?,
            Self::ClockBack | Self::ClockBackRestart => site.daemon.set_clock(-JUMP)?,
        }
        if matches!(self, Self::ClockForwardRestart | Self::ClockBackRestart) {
            site.daemon.kill().await?;
            site.daemon.start().await?;
        }
        Ok(wrong)
    }
}

/// Deletes a line that tracks another one and is out, adds it again and makes it ready, as a controller does. Does
/// nothing if there is no such line, or if HAProxy has no such commands.
async fn add_again(site: &Site) -> io::Result<()> {
    let haproxy = site.farm.haproxy();
    let lines = site.farm.sample().lines();
    for line in lines.iter().filter(|line| line.tracks) {
        let Some((_, server)) = line.entry.split_once('/') else { continue };
        let tracked = lines.iter().find(|other| !other.tracks && other.entry.ends_with(&format!("/{server}")));
        let Some(tracked) = tracked.map(|other| &other.entry) else { continue };
        let address = site.farm.app(server).addr();
        if haproxy.server_admin_bits(&line.entry).await? == 0 {
            continue;
        }
        let deleted = haproxy.cmd(&format!("set server {0} state maint; del server {0}", line.entry)).await?;
        if !deleted.contains("deleted") {
            return haproxy.tell(&format!("set server {} state ready", line.entry)).await;
        }
        let added = haproxy.cmd(&format!("add server {} {address} track {tracked}", line.entry)).await?;
        if !added.contains("registered") {
            return Err(io::Error::other(format!("{} cannot be added again: {added}", line.entry)));
        }
        return haproxy.tell(&format!("set server {} state ready", line.entry)).await;
    }
    Ok(())
}

/// The default of systemd's `RestartSec`.
const RESTART: Duration = Duration::from_millis(100);

/// The time for a master to end after its worker.
const MASTER: Duration = Duration::from_secs(3);

/// The jump of the clock, in seconds.
const JUMP: i64 = 3 * 3600;
