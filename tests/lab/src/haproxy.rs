//! A real HAProxy that can be started, reloaded, stopped and killed. Its commands are in `haproxy_commands`.
//!
//! Only processes that were started here get signals: children of the lab, and workers that are children of its master.

use std::fs::{File, OpenOptions};
use std::io;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use tokio::time::{Instant, sleep};

pub use crate::haproxy_commands::{ask, ask_bytes};
use crate::processes::{children_of, lives, signal};

/// The time for a start or a reload.
pub(crate) const START: Duration = Duration::from_secs(10);

/// The time after which a signal to reload is sent again.
const RELOAD: Duration = Duration::from_secs(3);

/// The time for a master to notice that its workers were killed.
const BURIAL: Duration = Duration::from_millis(300);

/// A running HAProxy. Dropping it kills all its processes.
#[derive(Debug)]
pub struct Haproxy {
    dir: PathBuf,
    master: bool,
    /// Every process that was started and not reaped yet, the newest last.
    children: Mutex<Vec<Child>>,
}

impl Haproxy {
    /// The HAProxy to test with: `$TEETER_TEST_HAPROXY`, else Debian's, else the one on the path.
    pub fn binary() -> PathBuf {
        if let Some(named) = std::env::var_os("TEETER_TEST_HAPROXY") {
            return named.into();
        }
        let usual = PathBuf::from("/usr/sbin/haproxy");
        if usual.exists() { usual } else { PathBuf::from("haproxy") }
    }

    /// Whether there is a HAProxy to test with.
    pub fn available() -> bool {
        let run = Command::new(Self::binary()).arg("-v").output();
        run.is_ok_and(|output| output.status.success())
    }

    /// Its version, such as `2.6.12-1+deb12u4`.
    pub fn version() -> io::Result<String> {
        let output = Command::new(Self::binary()).arg("-v").output()?;
        let text = String::from_utf8_lossy(&output.stdout);
        let mut words = text.split_whitespace();
        words.find(|word| *word == "version");
        words.next().map(str::to_owned).ok_or_else(|| io::Error::other("HAProxy does not tell its version"))
    }

    /// Whether HAProxy accepts this configuration without a warning. Its output is the error.
    pub fn check_config(path: &Path) -> Result<(), String> {
        let output =
            Command::new(Self::binary()).args(["-c", "-f"]).arg(path).output().map_err(|error| error.to_string())?;
        let printed = String::from_utf8_lossy(&output.stderr).into_owned();
        if output.status.success() && !printed.contains("[WARNING]") {
            return Ok(());
        }
        Err(printed)
    }

    /// Starts one process. The configuration must put its stats socket at `DIR/admin.sock`.
    pub async fn start(dir: &Path, config: &str) -> io::Result<Self> {
        Self::begin(dir, config, false).await
    }

    /// Starts a master with a worker, and the master's socket at `DIR/master.sock`.
    pub async fn start_master(dir: &Path, config: &str) -> io::Result<Self> {
        Self::begin(dir, config, true).await
    }

    async fn begin(dir: &Path, config: &str, master: bool) -> io::Result<Self> {
        let haproxy = Self { dir: dir.to_owned(), master, children: Mutex::new(Vec::new()) };
        haproxy.write_config(config)?;
        haproxy.spawn(&[])?;
        haproxy.wait_for_pid(None).await?;
        Ok(haproxy)
    }

    /// Replaces the configuration file, which takes effect with the next reload or restart.
    pub fn write_config(&self, config: &str) -> io::Result<()> {
        std::fs::write(self.config(), config)
    }

    /// The configuration file.
    pub fn config(&self) -> PathBuf {
        self.dir.join("haproxy.cfg")
    }

    /// The stats socket.
    pub fn socket(&self) -> PathBuf {
        self.dir.join("admin.sock")
    }

    /// The master's socket; it exists only after [`Haproxy::start_master`].
    pub fn master_socket(&self) -> PathBuf {
        self.dir.join("master.sock")
    }

    /// The output of the processes.
    pub fn log(&self) -> String {
        std::fs::read_to_string(self.dir.join("haproxy.log")).unwrap_or_default()
    }

    /// Reloads, as an administrator would, and waits until a new process answers. Old workers stay as long as they have
    /// connections.
    pub async fn reload(&self) -> io::Result<()> {
        let old = self.pid().await?;
        if self.master {
            let master = self.newest()?;
            signal("-USR2", &[master])?;
            // A master that has just reloaded may lose the signal, so it is sent again.
            let soon = Instant::now() + RELOAD;
            while Instant::now() < soon {
                if self.pid().await.is_ok_and(|pid| pid != old) {
                    return self.wait_for_pid(Some(old)).await.map(drop);
                }
                sleep(Duration::from_millis(5)).await;
            }
            signal("-USR2", &[master])?;
        } else {
            let socket = self.socket();
            let pid = old.to_string();
            let mut args = vec!["-sf".to_owned(), pid];
            // Without this right the old process does not hand its listeners over.
            if std::fs::read_to_string(self.config())?.contains("expose-fd listeners") {
                args.extend(["-x".to_owned(), socket.display().to_string()]);
            }
            self.spawn(&args)?;
        }
        self.wait_for_pid(Some(old)).await.map(drop)
    }

    /// Kills it and starts it again: every state that is not in the configuration is lost.
    pub async fn restart(&self) -> io::Result<()> {
        self.kill();
        self.start_again().await
    }

    /// Starts again after [`Haproxy::kill`].
    pub async fn start_again(&self) -> io::Result<()> {
        self.spawn(&[])?;
        self.wait_for_pid(None).await.map(drop)
    }

    /// Stops every process by SIGSTOP: the kernel accepts connections, and no process answers.
    pub fn pause(&self) -> io::Result<()> {
        let pids = self.pids();
        signal("-STOP", &pids)?;
        // The signal has been sent, but may not have stopped every thread yet.
        for _ in 0..2_000 {
            if pids.iter().all(|pid| is_stopped(*pid)) {
                return Ok(());
            }
            std::thread::sleep(Duration::from_millis(1));
        }
        Err(io::Error::new(io::ErrorKind::TimedOut, "HAProxy does not stop"))
    }

    /// Lets the processes go on after [`Haproxy::pause`].
    pub fn resume(&self) -> io::Result<()> {
        signal("-CONT", &self.pids())
    }

    /// Kills every process at once, old workers too.
    pub fn kill(&self) {
        let mut children = self.children();
        // No other process can get the id of a child that is not reaped.
        let masters: Vec<_> = children.iter().map(Child::id).collect();
        let workers: Vec<_> = masters.iter().copied().flat_map(children_of).collect();
        if !workers.is_empty() {
            let _ = signal("-KILL", &workers);
            let _ = signal("-CONT", &masters);
            // A master reaps its workers and then ends by itself. If it were killed first, dead workers would stay in
            // the process table of a container whose first process does not reap.
            let end = Instant::now() + BURIAL;
            while children.iter_mut().any(lives) && Instant::now() < end {
                std::thread::sleep(Duration::from_millis(2));
            }
        }
        // A reload may have started a worker meanwhile. A stopped master cannot start another one.
        children.retain_mut(lives);
        let masters: Vec<_> = children.iter().map(Child::id).collect();
        let _ = signal("-STOP", &masters);
        let workers: Vec<_> = masters.iter().copied().flat_map(children_of).collect();
        let _ = signal("-KILL", &workers);
        for mut child in children.drain(..) {
            let _ = child.kill();
            let _ = child.wait();
        }
    }

    /// Every running process of this HAProxy: master, workers, and old workers.
    pub fn pids(&self) -> Vec<u32> {
        let mut children = self.children();
        children.retain_mut(lives);
        children.iter().flat_map(|child| std::iter::once(child.id()).chain(children_of(child.id()))).collect()
    }

    fn newest(&self) -> io::Result<u32> {
        let children = self.children();
        let newest = children.last().map(Child::id);
        newest.ok_or_else(|| io::Error::other("HAProxy is not running"))
    }

    fn children(&self) -> MutexGuard<'_, Vec<Child>> {
        self.children.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn spawn(&self, more: &[String]) -> io::Result<()> {
        let log: File = OpenOptions::new().create(true).append(true).open(self.dir.join("haproxy.log"))?;
        let mut command = Command::new(Self::binary());
        command.arg("-db").arg("-f").arg(self.config());
        if self.master {
            command.arg("-W").arg("-S").arg(self.master_socket());
        }
        let child = command.args(more).stdin(Stdio::null()).stdout(log.try_clone()?).stderr(log).spawn()?;
        self.children().push(child);
        Ok(())
    }

    /// Waits until a process other than this one answers on the stats socket.
    async fn wait_for_pid(&self, other_than: Option<u32>) -> io::Result<u32> {
        let deadline = Instant::now() + START;
        // While the socket is handed over, the old process may answer after the new one.
        let mut in_a_row = 0;
        loop {
            match self.pid().await {
                Ok(pid) if Some(pid) != other_than => {
                    in_a_row += 1;
                    if other_than.is_none() || in_a_row > 2 {
                        return Ok(pid);
                    }
                }
                _ => in_a_row = 0,
            }
            let ended = self.children().last_mut().is_none_or(|child| !lives(child));
            if ended || Instant::now() >= deadline {
                let log = self.log();
                return Err(io::Error::other(format!("HAProxy did not start:\n{log}")));
            }
            sleep(Duration::from_millis(5)).await;
        }
    }
}

impl Drop for Haproxy {
    fn drop(&mut self) {
        self.kill();
    }
}

/// Whether every thread of a process has been stopped, or it has ended.
fn is_stopped(pid: u32) -> bool {
    let Ok(threads) = std::fs::read_dir(format!("/proc/{pid}/task")) else { return true };
    threads.flatten().all(|thread| {
        let stat = std::fs::read_to_string(thread.path().join("stat")).unwrap_or_default();
        // The state comes after the name, which is in brackets and may have any characters.
        stat.rsplit_once(") ").is_none_or(|(_, rest)| rest.starts_with(['T', 'Z', 'X']))
    })
}
