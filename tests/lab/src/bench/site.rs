//! The site of the bench: two servers of v1 and two of v2 behind an HAProxy. Its configuration is the same for every
//! way to flip, except for the backends of a route.

use std::fmt::Write as _;
use std::io;
use std::net::{Ipv4Addr, SocketAddr};
use std::path::{Path, PathBuf};
use std::time::Duration;

use teeter_lab::farm::write_script;
use teeter_lab::{App, AppSpec, Haproxy, config_head, free_port};
use tempfile::TempDir;

use super::ways::{Half, Way};
use crate::teeterd::Teeter;

/// The application servers: the same for all ways.
pub(crate) struct Farm {
    apps: Vec<(Half, App)>,
}

impl Farm {
    pub(crate) async fn start() -> io::Result<Self> {
        let mut apps = Vec::new();
        for half in [Half::A, Half::B] {
            for name in half.servers() {
                let app = AppSpec {
                    name: name.to_owned(),
                    version: half.version().to_owned(),
                    listen: SocketAddr::from((Ipv4Addr::LOCALHOST, free_port()?)),
                    work: Duration::ZERO..Duration::ZERO,
                };
                apps.push((half, App::start_spec(app).await?));
            }
        }
        Ok(Self { apps })
    }

    /// The addresses of the servers of a half.
    pub(crate) fn addrs(&self, half: Half) -> impl Iterator<Item = SocketAddr> {
        self.apps.iter().filter(move |(app_half, _)| *app_half == half).map(|(_, app)| app.addr())
    }
}

/// The programs that flip.
#[derive(Clone)]
pub(crate) struct Tools {
    /// The directory of `teeter` and `teeterd`.
    pub(crate) bin_dir: PathBuf,
    /// `ansible-playbook`, if it was given.
    pub(crate) ansible: Option<PathBuf>,
}

/// An HAProxy in front of the farm, for one way to flip; half a is in service.
pub(crate) struct BenchSite {
    // The fields are dropped in this order: the daemon before HAProxy, and the directory last.
    pub(crate) teeter: Option<Teeter>,
    pub(crate) haproxy: Haproxy,
    pub(crate) front: SocketAddr,
    pub(crate) way: Way,
    pub(crate) tools: Tools,
    layout: Layout,
    dir: TempDir,
}

impl BenchSite {
    pub(crate) async fn start(way: Way, farm: &Farm, tools: &Tools) -> io::Result<Self> {
        let dir = tempfile::Builder::new().prefix("lab-bench-").tempdir()?;
        let layout = Layout {
            dir: dir.path().to_owned(),
            port: free_port()?,
            route: way == Way::TeeterRoute,
            halves: [Half::A, Half::B].map(|half| (half, farm.addrs(half).collect())),
        };
        let front = SocketAddr::from((Ipv4Addr::LOCALHOST, layout.port));
        std::fs::write(layout.map(), "web web_all\n")?;
        let out = (way == Way::Reload).then_some(Half::B);
        let config = layout.config(out);
        let haproxy = match way {
            Way::Reload => Haproxy::start_master(dir.path(), &config).await?,
            _ => Haproxy::start(dir.path(), &config).await?,
        };
        let mut site = Self { teeter: None, haproxy, front, way, tools: tools.clone(), layout, dir };
        site.wait_for_checks(out).await?;
        site.first_flip().await?;
        Ok(site)
    }

    /// Stops teeterd; HAProxy ends when it is dropped.
    pub(crate) async fn stop(mut self) -> io::Result<()> {
        match self.teeter.take() {
            Some(teeter) => teeter.stop().await,
            None => Ok(()),
        }
    }

    /// Takes half b out in the manner of the way.
    async fn first_flip(&mut self) -> io::Result<()> {
        match self.way {
            Way::Reload => {}
            way if way.is_teeter() => {
                let teeter = Teeter::start(&self.tools.bin_dir, self.dir(), &self.teeter_config()).await?;
                teeter.flip(Half::A.group()).await?;
                self.teeter = Some(teeter);
            }
            _ => {
                for name in Half::B.servers() {
                    self.haproxy.cmd(&format!("set server web/{name} state drain")).await?;
                }
            }
        }
        Ok(())
    }

    /// Waits until the enabled servers are up by their checks. HAProxy calls a server up before its first check.
    async fn wait_for_checks(&self, out: Option<Half>) -> io::Result<()> {
        for half in [Half::A, Half::B].into_iter().filter(|half| Some(*half) != out) {
            for name in half.servers() {
                let entry = format!("{}/{name}", self.layout.backend(half));
                self.haproxy.wait_for_check(&entry).await?;
                self.haproxy.wait_for_status(&entry, "UP").await?;
            }
        }
        Ok(())
    }

    /// haproxy.cfg with one half marked as disabled.
    pub(crate) fn config_without(&self, out: Half) -> String {
        self.layout.config(Some(out))
    }

    /// The directory of the site.
    pub(crate) fn dir(&self) -> &Path {
        self.dir.path()
    }

    /// A script in that directory; the text is written only once.
    pub(crate) fn script(&self, name: &str, text: impl FnOnce() -> String) -> io::Result<PathBuf> {
        let path = self.dir().join(name);
        if path.exists() { Ok(path) } else { write_script(&path, &text()) }
    }

    fn teeter_config(&self) -> String {
        let (members, flip) = match self.way {
            Way::TeeterRoute => {
                let map = self.layout.map();
                (
                    r#""web_all/web0[1-4]", "web_a/web0[12]", "web_b/web0[34]""#,
                    format!(
                        r#"route = {{ map = "{}", key = "web", all = "web_all", a = "web_a", b = "web_b" }}"#,
                        map.display()
                    ),
                )
            }
            _ => (r#""web/web0[1-4]""#, r#"mode = "servers""#.to_owned()),
        };
        let groups = [Half::A, Half::B].map(|half| format!("{} = {:?}", half.group(), half.servers())).join(", ");
        format!(
            "[farm.web]\nmembers = [{members}]\ngroups = {{ {groups} }}\nmin_available = \"50%\"\n\n\
             [farm.web.drain]\ngrace = \"5s\"\ndeadline = \"30s\"\n\n[farm.web.flip]\n{flip}\n"
        )
    }
}

/// The parameters of a configuration.
struct Layout {
    dir: PathBuf,
    port: u16,
    route: bool,
    halves: [(Half, Vec<SocketAddr>); 2],
}

impl Layout {
    fn map(&self) -> PathBuf {
        self.dir.join("live.map")
    }

    /// The backend in which the servers of a half are checked.
    fn backend(&self, half: Half) -> &'static str {
        match (self.route, half) {
            (false, _) => "web",
            (true, Half::A) => "web_a",
            (true, Half::B) => "web_b",
        }
    }

    fn config(&self, out: Option<Half>) -> String {
        let mut text = config_head(&self.dir, &GLOBAL, &DEFAULTS);
        let _ = writeln!(text, "\nfrontend www\n    bind 127.0.0.1:{}", self.port);
        if !self.route {
            text.push_str("    default_backend web\n\nbackend web\n    balance roundrobin\n");
            text.push_str(CHECKS);
            for (half, addrs) in &self.halves {
                text.push_str(&servers(*half, addrs, if Some(*half) == out { " disabled" } else { "" }));
            }
            return text;
        }
        let _ = writeln!(text, "    use_backend %[str(web),map({},web_all)]", self.map().display());
        for (half, addrs) in &self.halves {
            let _ = writeln!(text, "\nbackend {}\n    balance roundrobin\n{CHECKS}", self.backend(*half));
            text.push_str(&servers(*half, addrs, ""));
        }
        text.push_str("\nbackend web_all\n    balance roundrobin\n");
        for (half, addrs) in &self.halves {
            // These lines track the servers above, so that no server is checked twice.
            for line in servers(*half, addrs, "").lines() {
                let name = line.split_whitespace().nth(1).unwrap_or_default();
                let _ = writeln!(text, "{line} track {}/{name}", self.backend(*half));
            }
        }
        text
    }
}

fn servers(half: Half, addrs: &[SocketAddr], more: &str) -> String {
    let names = half.servers().into_iter();
    names.zip(addrs).map(|(name, addr)| format!("    server {name} {addr}{more}\n")).collect()
}

/// An old worker ends at most ten seconds after a reload.
const GLOBAL: [&str; 1] = ["hard-stop-after 10s"];

const DEFAULTS: [&str; 6] = [
    "retries 3",
    "option redispatch 1",
    "timeout http-request 10s",
    "timeout http-keep-alive 10s",
    "timeout queue 10s",
    "timeout check 2s",
];

/// The checks are frequent, so that a server is up after a fifth of a second.
const CHECKS: &str = "    option httpchk GET /_status
    http-check expect status 200
    default-server check inter 100ms fall 2 rise 2
";

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn haproxy_accepts_every_layout() -> io::Result<()> {
        let dir = tempfile::tempdir()?;
        let addr = |port| SocketAddr::from((Ipv4Addr::LOCALHOST, port));
        for (route, out) in [(false, None), (false, Some(Half::A)), (true, None)] {
            let halves = [(Half::A, vec![addr(9001), addr(9002)]), (Half::B, vec![addr(9003), addr(9004)])];
            let layout = Layout { dir: dir.path().to_owned(), port: 8080, route, halves };
            std::fs::write(layout.map(), "web web_all\n")?;
            let file = dir.path().join("haproxy.cfg");
            let config = layout.config(out);
            std::fs::write(&file, &config)?;
            assert_eq!(Haproxy::check_config(&file), Ok(()), "{config}");
            assert_eq!(config.matches(" disabled").count(), if out.is_some() { 2 } else { 0 });
            assert_eq!(config.matches(" track ").count(), if route { 4 } else { 0 });
        }
        Ok(())
    }
}
