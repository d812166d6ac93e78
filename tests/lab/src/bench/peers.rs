//! The usual ways to flip without teeter.
//!
//! Each runs at its best: commands for the servers that come in are sent before those for the servers that go out,
//! without pauses and without the programs around them.

use std::io;
use std::path::Path;
use std::process::Stdio;
use std::time::Duration;

use teeter_lab::haproxy::ask;
use tokio::process::Command;
use tokio::time::{Instant, sleep, timeout};

use super::site::BenchSite;
use super::ways::{Half, Way};
use crate::command::failure;

/// The time for one flip, in any way.
const FLIP: Duration = Duration::from_secs(60);

/// The time for an old worker of HAProxy to end; its configuration gives it ten seconds.
const OLD_WORKER: Duration = Duration::from_secs(15);

/// Brings one half in and takes the other out.
pub(crate) async fn flip(site: &BenchSite, to: Half) -> io::Result<()> {
    let socket = site.haproxy.socket();
    match site.way {
        Way::Reload => {
            site.haproxy.write_config(&site.config_without(to.other()))?;
            site.haproxy.reload().await
        }
        Way::Socat => socat(site, to).await,
        Way::AnsibleOrder => each(&socket, &ansible_commands(to)).await,
        Way::Ansible => playbook(site, to).await,
        Way::Dataplane => each(&socket, &dataplane_commands(to)).await,
        Way::TeeterServers | Way::TeeterRoute => {
            let teeter = site.teeter.as_ref().ok_or_else(|| failure("teeterd was not started".to_owned()))?;
            teeter.flip(to.group()).await
        }
    }
}

/// Waits until the old worker of a reload has ended.
pub(crate) async fn wait_for_old_worker(site: &BenchSite) -> io::Result<()> {
    let deadline = Instant::now() + OLD_WORKER;
    // Without an old worker there are a master and a worker.
    while site.way == Way::Reload && site.haproxy.pids().len() > 2 {
        if Instant::now() >= deadline {
            return Err(failure("an old worker of HAProxy does not end".to_owned()));
        }
        sleep(Duration::from_millis(5)).await;
    }
    Ok(())
}

/// Sends every command on a connection of its own, each after the answer to the one before.
async fn each(socket: &Path, commands: &[String]) -> io::Result<()> {
    for command in commands {
        let answer = ask(socket, command).await?;
        if answer.contains("No such") || answer.contains("Unknown command") {
            return Err(failure(format!("{command}: {answer}")));
        }
    }
    Ok(())
}

/// The commands of `community.general.haproxy` 11.4.2 with `backend: web` and `wait: false`. For each server: its state
/// for the record, HAProxy's version before a drain, whether the server exists, the change, its state again.
fn ansible_commands(to: Half) -> Vec<String> {
    let look = || "show stat".to_owned();
    let comes = |name| [look(), look(), format!("get weight web/{name}; enable server web/{name}"), look()].into_iter();
    let goes = |name| {
        let info = "show info".to_owned();
        [look(), info, look(), format!("set server web/{name} state drain"), look()].into_iter()
    };
    let coming = to.servers().into_iter().flat_map(comes);
    coming.chain(to.other().servers().into_iter().flat_map(goes)).collect()
}

/// The commands of `PUT …/runtime/backends/web/servers/NAME` of the Data Plane API (client-native 6.4): the present
/// state, the change, and the state again for the answer.
fn dataplane_commands(to: Half) -> Vec<String> {
    let put = |name: &str, state: &str| {
        ["show servers state web", &format!("set server web/{name} state {state}"), "show servers state web"]
            .map(|command| format!("set severity-output number;{command}"))
    };
    let coming = to.servers().into_iter().flat_map(|name| put(name, "ready"));
    coming.chain(to.other().servers().into_iter().flat_map(|name| put(name, "drain"))).collect()
}

async fn socat(site: &BenchSite, to: Half) -> io::Result<()> {
    let script = site.script(&format!("to-{}.sh", to.group()), || {
        let socket = site.haproxy.socket();
        let line = |name: &str, state: &str| {
            format!("echo \"set server web/{name} state {state}\" | socat stdio unix-connect:{}\n", socket.display())
        };
        let coming = to.servers().map(|name| line(name, "ready")).concat();
        let going = to.other().servers().map(|name| line(name, "drain")).concat();
        format!("#!/bin/sh\nset -e\n{coming}{going}")
    })?;
    run(Command::new(script)).await
}

async fn playbook(site: &BenchSite, to: Half) -> io::Result<()> {
    let program = site.tools.ansible.as_ref().ok_or_else(|| failure("--ansible is not given".to_owned()))?;
    let file = site.dir().join("flip.yml");
    std::fs::write(&file, PLAYBOOK.replace("@SOCKET@", &site.haproxy.socket().display().to_string()))?;
    let hosts = serde_json::json!({"coming": to.servers(), "going": to.other().servers()});
    let mut command = Command::new(program);
    command.args(["-i", "localhost,", "-c", "local", "-e", &hosts.to_string()]).arg(file);
    // Ansible writes a directory of its own, which must not be the user's.
    command.current_dir(site.dir()).env("ANSIBLE_HOME", site.dir().join("ansible"));
    run(command).await
}

async fn run(mut command: Command) -> io::Result<()> {
    command.stdin(Stdio::null()).kill_on_drop(true);
    let output = timeout(FLIP, command.output()).await??;
    if output.status.success() {
        return Ok(());
    }
    let [out, err] = [&output.stdout, &output.stderr].map(|bytes| String::from_utf8_lossy(bytes));
    Err(failure(format!("{command:?}: {}\n{out}{err}", output.status)))
}

const PLAYBOOK: &str = "- hosts: localhost
  gather_facts: false
  vars: {ansible_python_interpreter: '{{ ansible_playbook_python }}'}
  tasks:
    - community.general.haproxy:
        {state: enabled, host: '{{ item }}', backend: web, socket: '@SOCKET@', fail_on_not_found: true}
      loop: '{{ coming }}'
    - community.general.haproxy:
        {state: drain, host: '{{ item }}', backend: web, socket: '@SOCKET@', fail_on_not_found: true}
      loop: '{{ going }}'
";

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_peer_brings_servers_in_before_it_takes_others_out() {
        for commands in [ansible_commands(Half::B), dataplane_commands(Half::B)] {
            let changes: Vec<_> =
                commands.iter().filter(|line| line.contains("enable server") || line.contains(" state ")).collect();
            let changes: Vec<_> = changes.into_iter().filter(|line| line.contains("web/")).collect();
            assert_eq!(changes.len(), 4);
            let names = ["web03", "web04", "web01", "web02"];
            assert!(changes.iter().zip(names).all(|(command, name)| command.contains(name)), "{changes:?}");
            assert!(changes.iter().skip(2).all(|command| command.ends_with("drain")));
        }
    }
}
