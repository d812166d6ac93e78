//! A farm, and a teeterd that can be killed, stopped, and given a wrong time.

use std::fs::File;
use std::io;
use std::path::{Path, PathBuf};
use std::process::Stdio;
use std::time::Duration;

use serde_json::Value;
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::UnixStream;
use tokio::process::{Child, Command};
use tokio::time::{Instant, sleep, timeout};

use super::disk::{Disk, prepare};
use super::fault::Fault;
use super::way::Way;
use crate::drains::Programs;
use crate::farm::{FarmSpec, TestFarm, write_script};

/// All processes. They end when it is dropped.
pub(crate) struct Site {
    // The fields are dropped in this order.
    pub(crate) daemon: Daemon,
    _disk: Option<Disk>,
    pub(crate) farm: TestFarm,
}

/// A teeterd.
pub(crate) struct Daemon {
    programs: Programs,
    config: PathBuf,
    socket: PathBuf,
    /// The library libfaketime, and the file with the offset of the time.
    clock: Option<(PathBuf, PathBuf)>,
    child: Option<Child>,
    /// The ids of all processes that were started.
    pids: Vec<u32>,
}

/// The exit code and the output of a command.
#[derive(Debug)]
pub(crate) struct Ended {
    pub(crate) code: i32,
    pub(crate) out: String,
    pub(crate) err: String,
}

impl Site {
    /// Starts a farm of version v1, and a teeterd for it.
    pub(crate) async fn start(way: &Way, fault: Option<Fault>, programs: &Programs) -> io::Result<Self> {
        let master = fault.is_some_and(Fault::master);
        let work = Duration::from_millis(2)..Duration::from_millis(15);
        let spec = FarmSpec { sample: way.sample, version: "v1".to_owned(), master, work, ..FarmSpec::default() };
        let farm = TestFarm::start_spec(spec).await?;
        let mut text = farm.toml()?;
        for (from, to) in way.edits() {
            text = text.replace(from, to);
        }
        if master {
            let socket = format!("socket = \"{}\"\n", farm.socket().display());
            let with = format!("{socket}master = \"{}\"\n", farm.haproxy().master_socket().display());
            text = text.replace(&socket, &with);
        }
        std::fs::create_dir_all(farm.dir().join("store"))?;
        let clock = if fault.is_some_and(Fault::clock) { Some(farm.dir().join("clock")) } else { None };
        let disk = fault.map(|fault| prepare(fault, &farm)).transpose()?.flatten();
        let mut daemon = Daemon::new(farm.dir(), &farm.dir().join("store/teeter.db"), &text, programs)?;
        if let Some(clock) = clock {
            std::fs::write(&clock, "+0\n")?;
            let library = libfaketime().ok_or_else(|| io::Error::other("libfaketime is not installed"))?;
            daemon.clock = Some((library, clock));
        }
        daemon.start().await?;
        Ok(Self { daemon, _disk: disk, farm })
    }

    /// The document of teeterd at a path.
    pub(crate) async fn get(&self, path: &str) -> io::Result<Value> {
        self.daemon.get(path).await
    }

    pub(crate) async fn teeter(&self, args: &[&str]) -> io::Result<Ended> {
        self.daemon.teeter(args).await
    }

    pub(crate) fn store(&self) -> PathBuf {
        self.farm.dir().join("store/teeter.db")
    }

    /// A slow hook that prints this many lines.
    pub(crate) fn hook(&self, lines: usize) -> io::Result<PathBuf> {
        let replace = self.farm.write_hook(self.farm.dir())?;
        let text =
            format!("#!/bin/sh\nset -eu\nsleep 0.15\n'{}'\nseq -f 'line %g' {lines}\nsleep 0.1\n", replace.display());
        write_script(&self.farm.dir().join("slow-hook.sh"), &text)
    }
}

impl Drop for Daemon {
    /// libfaketime leaves these files behind for each killed process.
    fn drop(&mut self) {
        for pid in self.pids.iter().filter(|_| self.clock.is_some()) {
            for name in ["faketime_shm_", "sem.faketime_sem_"] {
                let _ = std::fs::remove_file(format!("/dev/shm/{name}{pid}"));
            }
        }
    }
}

impl Daemon {
    /// A daemon with this configuration, a control socket in `dir` and this store. Not started yet.
    pub(crate) fn new(dir: &Path, store: &Path, config: &str, programs: &Programs) -> io::Result<Self> {
        let socket = dir.join("control.sock");
        let path = dir.join("teeter.toml");
        let own = format!("[control]\nsocket = {socket:?}\n[store]\npath = {store:?}\n");
        std::fs::write(&path, format!("{own}{config}"))?;
        Ok(Self { programs: programs.clone(), config: path, socket, clock: None, child: None, pids: Vec::new() })
    }

    /// Replaces a text in its configuration, for its next start.
    pub(crate) fn rename(&self, from: &str, to: &str) -> io::Result<()> {
        let text = std::fs::read_to_string(&self.config)?;
        if !text.contains(from) {
            return Err(io::Error::other(format!("{from:?} is not in the configuration")));
        }
        std::fs::write(&self.config, text.replace(from, to))
    }

    /// Starts the daemon, and waits until it answers.
    pub(crate) async fn start(&mut self) -> io::Result<()> {
        self.spawn_daemon()?;
        let end = Instant::now() + START;
        while self.get("/v1/holds").await.is_err() {
            if self.child.as_mut().is_none_or(|child| !matches!(child.try_wait(), Ok(None))) || Instant::now() > end {
                return Err(io::Error::other(format!("teeterd does not answer:\n{}", self.log())));
            }
            sleep(Duration::from_millis(5)).await;
        }
        Ok(())
    }

    pub(crate) fn spawn_daemon(&mut self) -> io::Result<()> {
        let log = File::options().create(true).append(true).open(self.config.with_extension("log"))?;
        let mut command = Command::new(&self.programs.teeterd);
        command.arg("--config").arg(&self.config).kill_on_drop(true).stdin(Stdio::null());
        command.stdout(log.try_clone()?).stderr(log);
        if let Some((library, file)) = &self.clock {
            command.env("LD_PRELOAD", library).env("FAKETIME_TIMESTAMP_FILE", file).env("FAKETIME_NO_CACHE", "1");
            command.env("FAKETIME_DONT_FAKE_MONOTONIC", "1").env("DONT_FAKE_MONOTONIC", "1");
        }
        let child = command.spawn()?;
        self.pids.extend(child.id());
        self.child = Some(child);
        Ok(())
    }

    /// Kills the daemon with SIGKILL.
    pub(crate) async fn kill(&mut self) -> io::Result<()> {
        match &mut self.child {
            Some(child) => child.kill().await,
            None => Ok(()),
        }
    }

    /// Waits until the daemon has ended by itself, and returns its exit code.
    pub(crate) async fn ended(&mut self, within: Duration) -> Option<i32> {
        let child = self.child.as_mut()?;
        timeout(within, child.wait()).await.ok()?.ok()?.code()
    }

    pub(crate) fn pid(&self) -> io::Result<u32> {
        self.child.as_ref().and_then(Child::id).ok_or_else(|| io::Error::other("teeterd does not run"))
    }

    /// Sets the offset of its wall clock, in seconds.
    pub(crate) fn set_clock(&self, seconds: i64) -> io::Result<()> {
        let Some((_, file)) = &self.clock else { return Err(io::Error::other("teeterd runs without libfaketime")) };
        // The file may be read at any moment, so it is replaced at once.
        let next = file.with_extension("next");
        std::fs::write(&next, format!("{seconds:+}\n"))?;
        std::fs::rename(next, file)
    }

    /// The end of its log.
    pub(crate) fn log(&self) -> String {
        let text = std::fs::read_to_string(self.config.with_extension("log")).unwrap_or_default();
        let lines: Vec<_> = text.lines().collect();
        lines[lines.len().saturating_sub(25)..].join("\n")
    }

    pub(crate) async fn get(&self, path: &str) -> io::Result<Value> {
        get(&self.socket, path).await
    }

    pub(crate) fn socket(&self) -> &Path {
        &self.socket
    }

    /// Starts `teeter` and leaves it running.
    pub(crate) fn spawn(&self, args: &[&str]) -> io::Result<Child> {
        let mut command = Command::new(&self.programs.teeter);
        command.args(args).env("TEETER_SOCKET", &self.socket).kill_on_drop(true);
        command.stdin(Stdio::null()).stdout(Stdio::piped()).stderr(Stdio::piped()).spawn()
    }

    /// Runs `teeter` to its end.
    pub(crate) async fn teeter(&self, args: &[&str]) -> io::Result<Ended> {
        finish(self.spawn(args)?).await
    }
}

/// The document at a path of the teeterd at this socket.
pub(crate) async fn get(socket: &Path, path: &str) -> io::Result<Value> {
    let exchange = async {
        let mut stream = UnixStream::connect(socket).await?;
        let request = format!("GET {path} HTTP/1.1\r\nhost: teeter\r\nconnection: close\r\n\r\n");
        stream.write_all(request.as_bytes()).await?;
        let mut answer = Vec::new();
        stream.read_to_end(&mut answer).await?;
        let text = String::from_utf8_lossy(&answer);
        let (head, body) = text.split_once("\r\n\r\n").ok_or(io::ErrorKind::UnexpectedEof)?;
        if !head.starts_with("HTTP/1.1 2") {
            return Err(io::Error::other(body.to_owned()));
        }
        Ok(serde_json::from_str(body)?)
    };
    timeout(ANSWER, exchange).await?
}

/// Waits for the end of a command.
pub(crate) async fn finish(child: Child) -> io::Result<Ended> {
    let output = timeout(COMMAND, child.wait_with_output()).await??;
    let text = |bytes: Vec<u8>| String::from_utf8_lossy(&bytes).into_owned();
    Ok(Ended { code: output.status.code().unwrap_or(-1), out: text(output.stdout), err: text(output.stderr) })
}

/// The library libfaketime; `None` if it is not installed.
pub(crate) fn libfaketime() -> Option<PathBuf> {
    let folders = std::fs::read_dir("/usr/lib").ok()?.filter_map(|entry| Some(entry.ok()?.path()));
    folders.map(|folder| folder.join("faketime/libfaketimeMT.so.1")).find(|path| path.exists())
}

/// The time for teeterd to start.
const START: Duration = Duration::from_secs(15);

/// The time for one answer of teeterd.
const ANSWER: Duration = Duration::from_secs(15);

/// The time for one command of teeter.
const COMMAND: Duration = Duration::from_secs(90);
