//! A HAProxy with many servers, of which one is drained.
//!
//! The servers share two ports, so that ten thousand servers do not need ten thousand processes: one application is
//! behind the drained server, another behind all others. None is checked, so that HAProxy's work is only that of
//! commands.

use std::fmt::Write as _;
use std::io;
use std::net::{Ipv4Addr, SocketAddr};
use std::path::Path;

use teeter_lab::{App, Haproxy, Held, config_head, free_port};
use tempfile::TempDir;

use crate::command::failure;

/// The server that is drained.
pub(crate) const TARGET: &str = "b0001/s01";

/// The most sessions that are opened to get one on that server.
const TRIES: usize = 200;

/// A HAProxy with many servers.
pub(crate) struct ManyServers {
    pub(crate) haproxy: Haproxy,
    /// The process id of HAProxy.
    pub(crate) pid: u32,
    pub(crate) target: App,
    _others: App,
    front: SocketAddr,
    dir: TempDir,
}

impl ManyServers {
    /// Starts a HAProxy with this many backends of this many servers each.
    pub(crate) async fn start(backends: usize, each: usize) -> io::Result<Self> {
        let dir = tempfile::Builder::new().prefix("lab-polling-").tempdir()?;
        let (target, others) = (App::start("target", "v1").await?, App::start("other", "v1").await?);
        let front = SocketAddr::from((Ipv4Addr::LOCALHOST, free_port()?));
        let mut text = config_head(dir.path(), &[], &["timeout tunnel 1h"]);
        let _ = writeln!(text, "\nfrontend www\n    bind {front}\n    default_backend b0001");
        for backend in 1..=backends {
            let _ = writeln!(text, "\nbackend b{backend:04}\n    balance roundrobin");
            for server in 1..=each {
                let addr = if (backend, server) == (1, 1) { target.addr() } else { others.addr() };
                let _ = writeln!(text, "    server s{server:02} {addr}");
            }
        }
        let haproxy = Haproxy::start(dir.path(), &text).await?;
        let pid = haproxy.pid().await?;
        Ok(Self { haproxy, pid, target, _others: others, front, dir })
    }

    pub(crate) fn dir(&self) -> &Path {
        self.dir.path()
    }

    /// Opens a session on the server that is to be drained.
    pub(crate) async fn session(&self) -> io::Result<Held> {
        for _ in 0..TRIES {
            let held = Held::open(self.front, "/ws", &[]).await?;
            if held.answer().server() == self.target.name() {
                return Ok(held);
            }
        }
        Err(failure("no session comes to the server that is to be drained".to_owned()))
    }
}
