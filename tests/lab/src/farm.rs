//! A farm: four application servers behind a real HAProxy with one of the sample configurations.

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

/// The names of the servers in all samples except [`Sample::BlueGreen`]; see [`Sample::names`].
pub const NAMES: [&str; 4] = ["web01", "web02", "web03", "web04"];

/// The map file of a farm. It is in a directory of its own, below that of the farm.
const MAP: &str = "maps/live.map";

/// The settings of a farm.
#[derive(Debug, Clone, Default)]
pub struct FarmSpec {
    /// The configuration.
    pub sample: Sample,
    /// The version that all servers run.
    pub version: String,
    /// Whether HAProxy runs as a master with workers instead of a single process.
    pub master: bool,
    /// The time that `/` takes.
    pub work: std::ops::Range<Duration>,
    /// Texts of the sample that are replaced: the old and the new text.
    pub extra: Vec<(String, String)>,
}

/// A farm. It runs until dropped.
#[derive(Debug)]
pub struct TestFarm {
    // They are dropped in this order: HAProxy first, so that it sees no dying servers, and the directory last.
    haproxy: Haproxy,
    apps: Vec<App>,
    addr: SocketAddr,
    sample: Sample,
    dir: TempDir,
}

impl TestFarm {
    /// A farm of this version with all servers up, and with checks ten times as often as in the sample.
    pub async fn start(version: &str) -> io::Result<Self> {
        Self::start_spec(FarmSpec { version: version.to_owned(), ..FarmSpec::default() }).await
    }

    /// A farm with these settings and all servers up.
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

    /// Waits until every line is up by its own checks. HAProxy calls a line up before its first check.
    pub async fn all_up(&self) -> io::Result<()> {
        for line in self.sample.lines().into_iter().filter(|line| !line.disabled) {
            if !line.tracks {
                self.haproxy.wait_for_check(&line.entry).await?;
            }
            self.haproxy.wait_for_status(&line.entry, "UP").await?;
        }
        Ok(())
    }

    /// The address for clients.
    pub fn addr(&self) -> SocketAddr {
        self.addr
    }

    /// The URL of a path, for clients.
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
    /// If there is none.
    pub fn app(&self, name: &str) -> &App {
        let found = self.apps.iter().find(|app| app.name() == name);
        found.unwrap_or_else(|| panic!("no server {name}"))
    }

    /// The directory of the farm, with sockets, configuration and files of the test. It is removed with the farm.
    pub fn dir(&self) -> &Path {
        self.dir.path()
    }

    /// HAProxy's stats socket.
    pub fn socket(&self) -> PathBuf {
        self.haproxy.socket()
    }

    /// The sample that it runs.
    pub fn sample(&self) -> Sample {
        self.sample
    }

    /// The map file that HAProxy reads. Commands name the map by this path. The file does not exist if the sample has
    /// no map.
    pub fn map(&self) -> PathBuf {
        self.dir.path().join(MAP)
    }

    /// The `teeter.toml` of the sample, for the socket and the map of this farm.
    pub fn toml(&self) -> io::Result<String> {
        render_toml(self.sample, &self.socket(), &self.map())
    }

    /// The number of requests that servers cut off when they were replaced or stopped. It must be 0 after a deploy.
    pub fn broken(&self) -> u64 {
        self.apps.iter().map(App::broken).sum()
    }

    /// The number of requests in flight on all servers together.
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
