//! A HAProxy with backends of a test's own, and teeter beside it.

use serde_json::Value;
use teeter::haproxy::Series;
use teeter_lab::{App, Haproxy, free_port};
use tempfile::TempDir;

use crate::site::{Daemon, Ended, instance, until};

/// A HAProxy, four application servers, and teeter.
pub(crate) struct Stand {
    // In this order they end: the directory last.
    pub(crate) daemon: Daemon,
    pub(crate) haproxy: Haproxy,
    apps: Vec<App>,
    port: u16,
    dir: TempDir,
}

impl Stand {
    /// With these backends, in which `{web01}` to `{web04}` stand for the addresses of the application servers, and
    /// these tables in teeter's configuration.
    pub(crate) async fn start(backends: &str, teeter: &str) -> Self {
        let dir = tempfile::tempdir().expect("a directory is made");
        let mut apps = Vec::new();
        for name in teeter_lab::farm::NAMES {
            apps.push(App::start(name, "v1").await.expect("an application starts"));
        }
        let port = free_port().expect("a port is free");
        let haproxy = Haproxy::start(dir.path(), &config(&dir, port, &apps, backends)).await.expect("HAProxy starts");
        let daemon = Daemon::start(dir.path(), &format!("{}{teeter}", instance(&haproxy.socket()))).await;
        Self { daemon, haproxy, apps, port, dir }
    }

    /// Reloads HAProxy with other backends.
    pub(crate) async fn reload(&self, backends: &str) {
        let config = config(&self.dir, self.port, &self.apps, backends);
        self.haproxy.write_config(&config).expect("a configuration is written");
        self.haproxy.reload().await.expect("HAProxy reloads");
    }

    /// The application server of this name.
    pub(crate) fn app(&self, name: &str) -> &App {
        self.apps.iter().find(|app| app.name() == name).expect("there is one of this name")
    }

    /// The directory of everything that is its own.
    pub(crate) fn dir(&self) -> &std::path::Path {
        self.dir.path()
    }

    pub(crate) async fn teeter(&self, args: &[&str]) -> Ended {
        self.daemon.teeter(args).await
    }

    /// Runs `teeter`, which must succeed, and gives what it printed.
    pub(crate) async fn done(&self, args: &[&str]) -> String {
        let ended = self.teeter(args).await;
        assert_eq!(ended.code, 0, "{args:?}: {ended:?}\n{}", self.daemon.log());
        ended.out
    }

    pub(crate) async fn json(&self, args: &[&str]) -> Value {
        let ended = self.teeter(&[&["--json"], args].concat()).await;
        serde_json::from_str(&ended.out).unwrap_or_else(|error| panic!("no JSON ({error}): {ended:?}"))
    }

    /// What `teeter status` says of one line.
    pub(crate) async fn status(&self, server: &str) -> Value {
        self.json(&["status", server]).await["servers"][0].clone()
    }

    /// Who keeps a line out, in teeter's words.
    pub(crate) async fn held_by(&self, server: &str) -> String {
        let status = self.status(server).await;
        let texts = status["held_by"].as_array().cloned().unwrap_or_else(|| panic!("no list in {status}"));
        texts.iter().filter_map(Value::as_str).collect::<Vec<_>>().join("; ")
    }

    pub(crate) async fn bits(&self, server: &str) -> u32 {
        self.haproxy.server_admin_bits(server).await.expect("HAProxy has it")
    }

    /// Waits until the admin bits of a line are these.
    pub(crate) async fn wait_for_bits(&self, server: &str, bits: u32) {
        until(|| async { self.haproxy.server_admin_bits(server).await.is_ok_and(|now| now == bits) }).await;
    }

    /// Sends HAProxy a command that it carries out without a word.
    pub(crate) async fn tell(&self, command: &str) {
        self.haproxy.tell(command).await.expect("HAProxy does so");
    }

    /// Whether an event says this.
    pub(crate) async fn recorded(&self, words: &str) -> bool {
        self.teeter(&["events", "--limit", "500"]).await.out.contains(words)
    }

    /// How many holds there are.
    pub(crate) async fn holds(&self) -> usize {
        self.json(&["holds"]).await["holds"].as_array().map_or(0, Vec::len)
    }
}

fn config(dir: &TempDir, port: u16, apps: &[App], backends: &str) -> String {
    let mut backends = backends.replace("{port}", &port.to_string());
    for app in apps {
        backends = backends.replace(&format!("{{{}}}", app.name()), &app.addr().to_string());
    }
    let socket = dir.path().join("admin.sock");
    // HAProxy 2.2 takes a tenth of a second for an agent's word; without a time of their own, checks have their interval.
    format!(
        "global\n  stats socket {} level admin expose-fd listeners\n  hard-stop-after 5s\ndefaults\n  mode http\n  \
         timeout connect 1s\n  timeout client 9s\n  timeout server 9s\n  timeout check 2s\n{backends}",
        socket.display()
    )
}

/// Whether the HAProxy that is tested with is of this series or a later one; otherwise the test says that it is skipped.
pub(crate) fn since(series: (u16, u16), what: &str) -> bool {
    let version: Series = Haproxy::version().expect("HAProxy tells its version").parse().expect("it has a series");
    let there = (version.major, version.minor) >= series;
    if !there {
        teeter_lab::skip(&format!("{what} came with {}.{}", series.0, series.1));
    }
    there
}
