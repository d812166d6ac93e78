//! A real HAProxy: it can be started, reloaded, stopped and killed, and takes commands.
//!
//! The client in here is deliberately not teeter's. Only processes that were started here get signals: children of the
//! lab, and workers that are children of its master.

use std::fs::{File, OpenOptions};
use std::io;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::UnixStream;
use tokio::time::{Instant, sleep, timeout};

use crate::processes::{children_of, lives, signal};
use crate::tables::{self, Row};

/// The time for one command and its answer.
const ANSWER: Duration = Duration::from_secs(5);

/// The time for a start or a reload.
const START: Duration = Duration::from_secs(10);

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
        let said = String::from_utf8_lossy(&output.stderr).into_owned();
        if output.status.success() && !said.contains("[WARNING]") {
            return Ok(());
        }
        Err(said)
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

    /// Sends one line on a connection of its own and reads the answer to its end.
    pub async fn cmd(&self, line: &str) -> io::Result<String> {
        ask(&self.socket(), line).await
    }

    /// Sends a command and expects an empty answer. Any other answer is an error.
    pub async fn tell(&self, line: &str) -> io::Result<()> {
        let answer = self.cmd(line).await?;
        if answer.trim().is_empty() { Ok(()) } else { Err(io::Error::other(format!("{line}: {answer}"))) }
    }

    /// The id of the process that answers on the stats socket now.
    pub async fn pid(&self) -> io::Result<u32> {
        let info = self.cmd("show info").await?;
        tables::line(&info, "Pid")
            .and_then(|pid| pid.parse().ok())
            .ok_or_else(|| io::Error::other(format!("no pid in: {info}")))
    }

    /// The row of `app/web01` in `show servers state`, by column name.
    pub async fn server_line(&self, server: &str) -> io::Result<Row> {
        let rows = tables::spaced(&self.cmd("show servers state").await?);
        pick(rows, server, "be_name", "srv_name")
    }

    /// The administrative state of `app/web01` in bits: 1 is maint, 8 is drain.
    pub async fn server_admin_bits(&self, server: &str) -> io::Result<u32> {
        let row = self.server_line(server).await?;
        row.get("srv_admin_state")
            .and_then(|bits| bits.parse().ok())
            .ok_or_else(|| io::Error::other("no srv_admin_state"))
    }

    /// The row of `app/web01` (or `app/BACKEND`) in `show stat`, by column name.
    pub async fn stat(&self, server: &str) -> io::Result<Row> {
        let rows = tables::commas(&self.cmd("show stat").await?);
        pick(rows, server, "pxname", "svname")
    }

    /// Waits until the `status` of `app/web01` in `show stat` is this.
    pub async fn wait_for_status(&self, server: &str, status: &str) -> io::Result<()> {
        self.wait_for(server, "status", |now| now == status).await
    }

    /// Waits until `app/web01` has been checked. HAProxy calls a server up before its first check.
    pub async fn wait_for_check(&self, server: &str) -> io::Result<()> {
        self.wait_for(server, "check_status", |now| !matches!(now, "" | "INI")).await
    }

    /// Waits until a column of `show stat` meets a condition.
    pub async fn wait_for(&self, server: &str, column: &str, wish: impl Fn(&str) -> bool) -> io::Result<()> {
        let deadline = Instant::now() + START;
        loop {
            let row = match self.stat(server).await {
                // Just after a reload the old process may answer, and it lists no servers.
                Err(error) if error.kind() == io::ErrorKind::NotFound && Instant::now() < deadline => Row::new(),
                other => other?,
            };
            let now = row.get(column).map_or("", String::as_str);
            if !row.is_empty() && wish(now) {
                return Ok(());
            }
            if Instant::now() >= deadline {
                let text = format!("{column} of {server} is still {now:?}");
                return Err(io::Error::new(io::ErrorKind::TimedOut, text));
            }
            sleep(Duration::from_millis(10)).await;
        }
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
            // A master reaps its workers and then ends by itself. If it were killed first, dead workers would stay in the
            // process table of a container whose first process does not reap.
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

/// The time after which a reload has ended.
const RELOAD: Duration = Duration::from_secs(3);

impl Drop for Haproxy {
    fn drop(&mut self) {
        self.kill();
    }
}

/// Sends one line to a stats or master socket and reads the complete answer.
pub async fn ask(socket: &Path, line: &str) -> io::Result<String> {
    Ok(String::from_utf8_lossy(&ask_bytes(socket, line).await?).into_owned())
}

/// As [`ask`], with the bytes of the answer.
pub async fn ask_bytes(socket: &Path, line: &str) -> io::Result<Vec<u8>> {
    let exchange = async {
        let mut stream = UnixStream::connect(socket).await?;
        stream.write_all(format!("{line}\n").as_bytes()).await?;
        // The connection to a master ends only when the client closes its half. On a stats socket this is harmless.
        stream.shutdown().await?;
        let mut answer = Vec::new();
        stream.read_to_end(&mut answer).await?;
        Ok(answer)
    };
    timeout(ANSWER, exchange).await?
}

fn pick(rows: Vec<Row>, server: &str, backend: &str, name: &str) -> io::Result<Row> {
    let wanted = server.split_once('/');
    rows.into_iter()
        .find(|row| match (row.get(backend), row.get(name)) {
            (Some(be), Some(srv)) => wanted == Some((be.as_str(), srv.as_str())),
            _ => false,
        })
        .ok_or_else(|| io::Error::new(io::ErrorKind::NotFound, server.to_owned()))
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
