//! The site of the demonstration: four server processes, HAProxy, teeterd, and the hook that deploys.
//!
//! Every process that is started here, also by the hook, is stopped when the site is dropped.

use std::fmt::Write as _;
use std::fs::File;
use std::io;
use std::net::{Ipv4Addr, SocketAddr};
use std::path::{Path, PathBuf};
use std::process::{Command as Plain, Stdio};
use std::time::Duration;

use teeter_lab::farm::{NAMES, write_script};
use teeter_lab::sample::render;
use teeter_lab::{Haproxy, Sample, free_port, get};
use tempfile::TempDir;
use tokio::net::UnixStream;
use tokio::process::{Child, Command};
use tokio::time::{Instant, sleep};

/// The time that `/` takes on every server.
const WORK: &str = "5ms..40ms";

/// The time for a process to start.
const START: Duration = Duration::from_secs(10);

/// All processes.
pub(crate) struct DemoSite {
    // They are dropped in this order: the daemon before the farm, and the directory last.
    teeterd: Option<Child>,
    _haproxy: Haproxy,
    servers: Vec<(&'static str, SocketAddr)>,
    front: SocketAddr,
    dir: TempDir,
}

impl DemoSite {
    /// Starts servers of v1 and HAProxy.
    pub(crate) async fn start() -> io::Result<Self> {
        let dir = tempfile::Builder::new().prefix("lab-demo-").tempdir()?;
        let mut servers = Vec::new();
        for name in NAMES {
            servers.push((name, SocketAddr::from((Ipv4Addr::LOCALHOST, free_port()?))));
        }
        let port = free_port()?;
        let addrs: Vec<_> = servers.iter().map(|(_, addr)| *addr).collect();
        let socket = dir.path().join("admin.sock");
        let config = render(Sample::servers(), &socket, port, &addrs, &[])?;
        // This stops the servers if an error follows.
        let cleanup = Cleanup(dir.path());
        for (name, addr) in &servers {
            start_server(dir.path(), name, *addr)?;
        }
        for (name, addr) in &servers {
            until(name, async || get(*addr, "/_status").await.is_ok()).await?;
        }
        let haproxy = Haproxy::start(dir.path(), &config).await?;
        for (name, _) in &servers {
            haproxy.wait_for_check(&format!("app/{name}")).await?;
        }
        std::mem::forget(cleanup);
        Ok(Self {
            teeterd: None,
            _haproxy: haproxy,
            servers,
            front: SocketAddr::from((Ipv4Addr::LOCALHOST, port)),
            dir,
        })
    }

    /// Starts teeterd and waits until it answers.
    pub(crate) async fn start_teeterd(&mut self, binary: &Path) -> io::Result<()> {
        let config = self.dir.path().join("teeter.toml");
        std::fs::write(&config, self.teeter_config())?;
        let log = File::create(self.dir.path().join("teeterd.log"))?;
        let child = Command::new(binary)
            .arg("--config")
            .arg(&config)
            .stdin(Stdio::null())
            .stdout(log.try_clone()?)
            .stderr(log)
            .kill_on_drop(true)
            .spawn()?;
        self.teeterd = Some(child);
        let socket = self.control();
        let up = until("teeterd", async || UnixStream::connect(&socket).await.is_ok()).await;
        up.map_err(|error| io::Error::other(format!("{error}\n{}", self.teeterd_log())))
    }

    /// The log of teeterd.
    pub(crate) fn teeterd_log(&self) -> String {
        std::fs::read_to_string(self.dir.path().join("teeterd.log")).unwrap_or_default()
    }

    /// teeterd's control socket.
    pub(crate) fn control(&self) -> PathBuf {
        self.dir.path().join("control.sock")
    }

    /// The file into which the hook writes the number of its run.
    pub(crate) fn run_file(&self) -> PathBuf {
        self.dir.path().join("run")
    }

    /// The address for clients.
    pub(crate) fn front(&self) -> SocketAddr {
        self.front
    }

    /// The version of every server, as it reports it.
    pub(crate) async fn versions(&self) -> Vec<(&'static str, String)> {
        let mut versions = Vec::new();
        for (name, addr) in &self.servers {
            let answer = get(*addr, "/_status").await;
            let version = answer.map_or_else(|error| error.to_string(), |a| a.version().to_owned());
            versions.push((*name, version));
        }
        versions
    }

    fn teeter_config(&self) -> String {
        let dir = self.dir.path().display();
        format!(
            r#"[control]
socket = "{dir}/control.sock"
[store]
path = "{dir}/teeter.db"

[[haproxy]]
name = "edge"
socket = "{dir}/admin.sock"

[farm.web]
members = ["app/web0[1-4]", "api/web0[1-4]"]
groups = {{ a = ["web01", "web02"], b = ["web03", "web04"] }}
min_available = "50%"

[farm.web.drain]
grace = "5s"
deadline = "30s"
on_deadline = "fail"

[farm.web.verify]
http = {{ path = "/_status", expect = 200, version = {{ header = "x-version" }} }}
"#
        )
    }

    /// The hook: for each server it ends the old process, starts the new one, and waits until that answers.
    pub(crate) fn write_hook(&self) -> io::Result<PathBuf> {
        let mut cases = String::new();
        for (name, addr) in &self.servers {
            let _ = writeln!(cases, "    {name}) addr={addr} ;;");
        }
        let text = HOOK
            .replace("@CASES@", cases.trim_end())
            .replace("@DIR@", &self.dir.path().display().to_string())
            .replace("@LAB@", &std::env::current_exe()?.display().to_string())
            .replace("@WORK@", WORK);
        write_script(&self.dir.path().join("hook.sh"), &text)
    }
}

impl Drop for DemoSite {
    fn drop(&mut self) {
        if let Some(mut teeterd) = self.teeterd.take() {
            let _ = teeterd.start_kill();
        }
        stop_servers(self.dir.path());
    }
}

/// Stops the servers if the start fails.
struct Cleanup<'a>(&'a Path);

impl Drop for Cleanup<'_> {
    fn drop(&mut self) {
        stop_servers(self.0);
    }
}

/// A deploy hook like those of users.
const HOOK: &str = include_str!("hook.sh");

fn start_server(dir: &Path, name: &str, addr: SocketAddr) -> io::Result<()> {
    let log = File::create(dir.join(format!("{name}.log")))?;
    let mut child = Command::new(std::env::current_exe()?)
        .args(["app", "--name", name, "--version", "v1", "--work", WORK])
        .args(["--listen", &addr.to_string()])
        .arg("--pid-file")
        .arg(dir.join(format!("{name}.pid")))
        .stdin(Stdio::null())
        .stdout(log.try_clone()?)
        .stderr(log)
        .kill_on_drop(true)
        .spawn()?;
    // It must be reaped after the hook has ended it.
    tokio::spawn(async move { child.wait().await });
    Ok(())
}

/// Ends the servers by the process ids in their files, if these are still our program with our directory.
fn stop_servers(dir: &Path) {
    let Ok(us) = std::env::current_exe() else {
        return;
    };
    for name in NAMES {
        let file = dir.join(format!("{name}.pid"));
        let Some(pid) = std::fs::read_to_string(&file).ok().and_then(|text| text.trim().parse::<u32>().ok()) else {
            continue;
        };
        let line = std::fs::read(format!("/proc/{pid}/cmdline")).unwrap_or_default();
        let line = String::from_utf8_lossy(&line).into_owned();
        let ours = line.starts_with(&*us.to_string_lossy()) && line.contains(&*file.to_string_lossy());
        if ours {
            let _ = Plain::new("kill").arg("-KILL").arg(pid.to_string()).status();
        }
    }
}

async fn until(what: &str, met: impl AsyncFn() -> bool) -> io::Result<()> {
    let deadline = Instant::now() + START;
    while !met().await {
        if Instant::now() >= deadline {
            let text = format!("{what} does not answer");
            return Err(io::Error::new(io::ErrorKind::TimedOut, text));
        }
        sleep(Duration::from_millis(10)).await;
    }
    Ok(())
}
