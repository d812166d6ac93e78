//! A farm of forty servers under load, and the deploys that are recorded on it.
//!
//! Every process that is started here is stopped when it is dropped.

use std::fmt::Write as _;
use std::io;
use std::net::{Ipv4Addr, SocketAddr};
use std::path::{Path, PathBuf};
use std::time::Duration;

use teeter_lab::farm::write_script;
use teeter_lab::{App, Haproxy, Load, LoadSpec, config_head, free_port};
use tempfile::TempDir;

use crate::teeterd::Teeter;

/// The number of servers.
const SERVERS: usize = 40;

/// The number of lines that a hook prints for each server.
const LINES: usize = 2;

/// The clients, and the time of their requests: a drain has something to wait for.
const CLIENTS: usize = 24;
const PATH: &str = "/slow?ms=400";

/// All processes.
pub(crate) struct Bed {
    // HAProxy is stopped before its servers.
    _haproxy: Haproxy,
    apps: Vec<App>,
    front: SocketAddr,
    hook: PathBuf,
    dir: TempDir,
}

impl Bed {
    pub(crate) async fn start() -> io::Result<Self> {
        let dir = tempfile::Builder::new().prefix("lab-scale-").tempdir()?;
        let mut apps = Vec::new();
        for number in 1..=SERVERS {
            apps.push(App::start(&format!("web{number:02}"), "v0").await?);
        }
        let front = SocketAddr::from((Ipv4Addr::LOCALHOST, free_port()?));
        let mut text = config_head(dir.path(), &[], &["timeout check 2s", "option redispatch", "retries 3"]);
        let _ = write!(text, "\nfrontend www\n    bind {front}\n    default_backend app\n\nbackend app\n");
        text.push_str("    balance roundrobin\n    option httpchk GET /_status\n");
        for app in &apps {
            let _ = writeln!(text, "    server {} {} check inter 300ms rise 1 fall 2", app.name(), app.addr());
        }
        let haproxy = Haproxy::start(dir.path(), &text).await?;
        for app in &apps {
            haproxy.wait_for_check(&format!("app/{}", app.name())).await?;
        }
        let cases: Vec<String> =
            apps.iter().map(|app| format!("    {}) admin={} ;;", app.name(), app.admin_addr())).collect();
        let text = HOOK.replace("@CASES@", &cases.join("\n")).replace("@LINES@", &LINES.to_string());
        let hook = write_script(&dir.path().join("hook.sh"), &text)?;
        Ok(Self { _haproxy: haproxy, apps, front, hook, dir })
    }

    pub(crate) fn dir(&self) -> &Path {
        self.dir.path()
    }

    pub(crate) fn servers(&self) -> usize {
        self.apps.len()
    }

    /// The part of teeter's configuration about the farm.
    pub(crate) fn farm(&self) -> String {
        FARM.to_owned()
    }

    /// Deploys a version under load.
    pub(crate) async fn deploy(&self, teeter: &Teeter, version: &str) -> io::Result<()> {
        let load = Load::start(LoadSpec {
            connections: CLIENTS,
            path: PATH.to_owned(),
            max: Duration::from_secs(80),
            ..LoadSpec::new(self.front)
        })?;
        let hook = self.hook.display().to_string();
        teeter.run(&["deploy", "web", "--to", version, "--", &hook]).await?;
        load.stop().await.map(drop)
    }
}

/// It replaces the version of each server, and prints some lines as an installation does.
const HOOK: &str = r#"#!/bin/sh
set -eu
for name in $TEETER_SERVERS; do
    case $name in
@CASES@
    *) echo "unknown server $name" >&2; exit 1 ;;
    esac
    for line in $(seq 2 @LINES@); do
        echo "$name: step $line of the installation of $TEETER_VERSION, as a line of usual length"
    done
    curl -fsS --max-time 10 -X POST "http://$admin/replace?version=$TEETER_VERSION" >/dev/null
    echo "$name: $TEETER_VERSION is installed and answers"
done
"#;

const FARM: &str = r#"[farm.web]
members = ["app/*"]
halves = "auto"

[farm.web.drain]
grace = "1s"
deadline = "30s"

[farm.web.verify]
http = { path = "/_status", version = { header = "x-version" } }

[farm.web.bake]
for = "2s"
max_errors = "50%"
min_requests = 1
"#;
