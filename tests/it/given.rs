//! A HAProxy with a configuration of the test's own, and a teeterd beside it.

use std::net::SocketAddr;
use std::path::Path;

use serde_json::Value;
use teeter_lab::{Haproxy, free_port};
use tempfile::TempDir;

use crate::site::{Daemon, instance};

pub(crate) struct Given {
    pub(crate) daemon: Daemon,
    pub(crate) haproxy: Haproxy,
    /// Where clients may come in.
    pub(crate) front: SocketAddr,
    _dir: TempDir,
}

/// What stands before the proxies.
fn head(dir: &Path) -> String {
    format!(
        "global\n  stats socket {}/admin.sock level admin expose-fd listeners\ndefaults\n  mode http\n  \
         timeout connect 2s\n  timeout client 30s\n  timeout server 30s\n  timeout tunnel 1h\n",
        dir.display()
    )
}

impl Given {
    /// With a master. The proxies are made for a directory and an address that clients come in at; `toml` is what
    /// teeter.toml has beyond the HAProxy.
    pub(crate) async fn start(proxies: impl Fn(&Path, SocketAddr) -> String, toml: &str) -> Self {
        Self::start_by(proxies, toml, |socket| socket.to_owned()).await
    }

    /// The same where teeterd asks another socket than HAProxy's.
    pub(crate) async fn start_by(
        proxies: impl Fn(&Path, SocketAddr) -> String,
        toml: &str,
        socket: impl FnOnce(&Path) -> std::path::PathBuf,
    ) -> Self {
        let dir = tempfile::tempdir().expect("a directory");
        let front = SocketAddr::from(([127, 0, 0, 1], free_port().expect("a port")));
        let config = format!("{}{}", head(dir.path()), proxies(dir.path(), front));
        let haproxy = Haproxy::start_master(dir.path(), &config).await.expect("HAProxy starts");
        let master = haproxy.master_socket();
        let toml = format!("{}master = {master:?}\n{toml}", instance(&socket(&haproxy.socket())));
        let daemon = Daemon::start(dir.path(), &toml).await;
        Self { daemon, haproxy, front, _dir: dir }
    }

    /// Runs `teeter --json` and reads what it prints.
    pub(crate) async fn json(&self, args: &[&str]) -> Value {
        let ended = self.daemon.teeter(&[&["--json"], args].concat()).await;
        serde_json::from_str(&ended.out).unwrap_or_else(|error| panic!("no JSON ({error}): {ended:?}"))
    }

    pub(crate) async fn doctor(&self) -> String {
        self.daemon.teeter(&["doctor"]).await.out
    }
}
