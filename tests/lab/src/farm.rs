//! A whole farm: four application servers behind a real HAProxy that runs on one of the sample configurations.

use std::fmt::Write as _;
use std::io;
use std::net::{Ipv4Addr, SocketAddr};
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};
use std::time::Duration;

use tempfile::TempDir;

use crate::app::{App, AppSpec};
use crate::haproxy::Haproxy;
use crate::ports::{free_addr, free_port};
use crate::sample::{Sample, render_toml, render_with_map};

/// The names of the servers in all samples but [`Sample::BlueGreen`]; see [`Sample::names`].
pub const NAMES: [&str; 4] = ["web01", "web02", "web03", "web04"];

/// The map file of a farm in its directory, in one of its own.
const MAP: &str = "maps/live.map";

/// What farm is wanted.
#[derive(Debug, Clone, Default)]
pub struct FarmSpec {
    /// The configuration it runs on.
    pub sample: Sample,
    /// The version that all servers run.
    pub version: String,
    /// A master with workers, and its socket, instead of a single process.
    pub master: bool,
    /// How long `/` takes.
    pub work: std::ops::Range<Duration>,
    /// Replacements in the sample: old, new.
    pub extra: Vec<(String, String)>,
}

/// A farm that runs until dropped.
#[derive(Debug)]
pub struct TestFarm {
    // In this order they end: HAProxy first, so that it sees no dying servers; the directory last.
    haproxy: Haproxy,
    apps: Vec<App>,
    addr: SocketAddr,
    sample: Sample,
    dir: TempDir,
}

impl TestFarm {
    /// Four servers of this version, all up, with checks ten times as often as in the sample.
    pub async fn start(version: &str) -> io::Result<Self> {
        Self::start_spec(FarmSpec { version: version.to_owned(), ..FarmSpec::default() }).await
    }

    /// A farm as described, all up.
    pub async fn start_spec(spec: FarmSpec) -> io::Result<Self> {
        let dir = tempfile::Builder::new().prefix("lab-").tempdir()?;
        let mut apps = Vec::new();
        for name in spec.sample.names() {
            let app = AppSpec {
                name: name.to_owned(),
                version: spec.version.clone(),
                listen: free_addr()?,
                work: spec.work.clone(),
            };
            apps.push(App::start_spec(app).await?);
        }
        let addrs: Vec<_> = apps.iter().map(App::addr).collect();
        let port = free_port()?;
        let mut extra = vec![Sample::FAST_CHECKS];
        extra.extend(spec.extra.iter().map(|(a, b)| (a.as_str(), b.as_str())));
        let socket = dir.path().join("admin.sock");
        let map = dir.path().join(MAP);
        std::fs::create_dir_all(map.parent().unwrap_or(dir.path()))?;
        let config = render_with_map(spec.sample, &socket, &map, &spec.version, port, &addrs, &extra)?;
        let haproxy = if spec.master {
            Haproxy::start_master(dir.path(), &config).await?
        } else {
            Haproxy::start(dir.path(), &config).await?
        };
        let addr = SocketAddr::from((Ipv4Addr::LOCALHOST, port));
        let farm = Self { haproxy, apps, addr, sample: spec.sample, dir };
        farm.all_up().await?;
        Ok(farm)
    }

    /// Waits until every entry is up, by its own checks and not by HAProxy's first assumption.
    pub async fn all_up(&self) -> io::Result<()> {
        for line in self.sample.lines().into_iter().filter(|line| !line.disabled) {
            if !line.tracks {
                self.haproxy.wait_for_check(&line.entry).await?;
            }
            self.haproxy.wait_for_status(&line.entry, "UP").await?;
        }
        Ok(())
    }

    /// Where clients go.
    pub fn addr(&self) -> SocketAddr {
        self.addr
    }

    /// Where clients go, with a path, as text.
    pub fn url(&self, path: &str) -> String {
        format!("http://{}{path}", self.addr)
    }

    /// The HAProxy.
    pub fn haproxy(&self) -> &Haproxy {
        &self.haproxy
    }

    /// The four servers.
    pub fn apps(&self) -> &[App] {
        &self.apps
    }

    /// The server of this name.
    ///
    /// # Panics
    /// When there is none.
    pub fn app(&self, name: &str) -> &App {
        let found = self.apps.iter().find(|app| app.name() == name);
        found.unwrap_or_else(|| panic!("no server {name}"))
    }

    /// A directory that is removed with the farm: sockets, configuration, whatever a test adds.
    pub fn dir(&self) -> &Path {
        self.dir.path()
    }

    /// HAProxy's stats socket.
    pub fn socket(&self) -> PathBuf {
        self.haproxy.socket()
    }

    /// The configuration it runs on.
    pub fn sample(&self) -> Sample {
        self.sample
    }

    /// The map file that HAProxy reads, and by whose path its commands name the map. There is none in a farm whose
    /// sample has no map.
    pub fn map(&self) -> PathBuf {
        self.dir.path().join(MAP)
    }

    /// The `teeter.toml` of the sample, for the socket and the map of this farm.
    pub fn toml(&self) -> io::Result<String> {
        render_toml(self.sample, &self.socket(), &self.map())
    }

    /// Requests that servers broke by being replaced or stopped: what must be zero after a deploy.
    pub fn broken(&self) -> u64 {
        self.apps.iter().map(App::broken).sum()
    }

    /// What is in flight on all servers together.
    pub fn in_flight(&self) -> usize {
        self.apps.iter().map(App::in_flight).sum()
    }

    /// The version of every server, in the order of their names.
    pub fn versions(&self) -> Vec<String> {
        self.apps.iter().map(App::version).collect()
    }

    /// A deploy hook: replaces every server of `$TEETER_SERVERS` by `$TEETER_VERSION` and writes each to
    /// `DIR/hook.log`.
    pub fn write_hook(&self, dir: &Path) -> io::Result<PathBuf> {
        let mut cases = String::new();
        for app in &self.apps {
            let _ = writeln!(cases, "        {}) admin={} ;;", app.name(), app.admin_addr());
        }
        let log = dir.join("hook.log");
        let text = format!(
            "#!/bin/sh\nset -eu\nfor name in $TEETER_SERVERS; do\n    case $name in\n{cases}        \
             *) echo \"unknown server $name\" >&2; exit 1 ;;\n    esac\n    \
             curl -fsS -X POST \"http://$admin/replace?version=$TEETER_VERSION\" >/dev/null\n    \
             echo \"$name ${{TEETER_GROUP:-}} $TEETER_VERSION\" >>'{}'\ndone\n",
            log.display()
        );
        write_script(&dir.join("hook.sh"), &text)
    }
}

/// Writes an executable script.
pub fn write_script(path: &Path, text: &str) -> io::Result<PathBuf> {
    std::fs::write(path, text)?;
    std::fs::set_permissions(path, std::fs::Permissions::from_mode(0o755))?;
    Ok(path.to_owned())
}
