//! The recipes of docs/recipes that can run on this machine.

use std::path::{Path, PathBuf};
use std::process::Stdio;

use teeter_lab::write_script;
use tokio::process::Command;

use crate::fixtures::exit;
use crate::fixtures::site::{Ended, MAINT, Site, finish};

fn recipe(path: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("docs/recipes").join(path)
}

#[tokio::test]
async fn shell_recipe_installs_over_ssh() {
    let site = Site::start().await;
    let log = site.farm.dir().join("ssh.log");
    // In place of ssh: installs on the servers of the site.
    let ssh = format!(
        "#!/bin/sh\necho \"$@\" >>{}\ncase $* in *@\"$DEAD\"*) exit 255 ;; esac\nexec {}\n",
        log.display(),
        site.hook()
    );
    write_script(&site.farm.dir().join("ssh"), &ssh).expect("a script is written");
    let path = format!("PATH={}:{}", site.farm.dir().display(), std::env::var("PATH").unwrap_or_default());
    let script = recipe("shell/install.sh").display().to_string();
    let deploy = ["deploy", "web", "--to", "v2", "--per-server", "--", "env", &path, "DEAD=none", &script];
    let ended = site.teeter(&deploy).await;
    assert_eq!(ended.code, 0, "{ended:?}");
    assert_eq!(site.farm.versions(), ["v2"; 4]);
    let log = std::fs::read_to_string(log).expect("it was called");
    assert_eq!(log.lines().count(), 4);
    assert!(log.contains("deploy@web03 sudo /usr/local/bin/install-app v2"), "{log}");
    let ended = site.teeter(&["deploy", "web", "--to", "$(reboot)", "--", &script]).await;
    assert_eq!(ended.code, exit::FAILED, "{ended:?}");
    assert!(ended.err.contains("no version for a command line"), "{ended:?}");
    assert_eq!(site.bits().await, [MAINT, MAINT, 0, 0], "it fails at the first group");
    assert_eq!(site.teeter(&["abort", "2"]).await.code, 0);
    let ended =
        site.teeter(&["deploy", "web", "--to", "v3", "--per-server", "--", "env", &path, "DEAD=web04", &script]).await;
    assert_eq!(ended.code, exit::FAILED, "{ended:?}");
    assert!(ended.err.contains("hook exited with code 255 on web04"), "{ended:?}");
    assert_eq!(site.bits().await, [0, 0, MAINT, MAINT], "and at the second, when the first has the traffic");
    assert_eq!(site.farm.versions(), ["v3", "v3", "v3", "v2"]);
}

/// Runs the playbook of the recipe with these tasks for each server. `None`: Ansible is not installed.
async fn play(site: &Site, tasks: &str) -> Option<Ended> {
    let dir = site.farm.dir();
    if Command::new("ansible-playbook").arg("--version").stdout(Stdio::null()).status().await.is_err() {
        teeter_lab::skip("ansible-playbook is not here: the role in docs/recipes/ansible is not tried");
        return None;
    }
    let hosts =
        ["haproxy", "web01", "web02", "web03", "web04"].map(|host| format!("{host} ansible_connection=local\n"));
    std::fs::write(dir.join("hosts"), hosts.concat()).expect("it is written");
    std::fs::write(dir.join("tasks.yml"), tasks).expect("it is written");
    let variables = serde_json::json!({
        "version": "v2",
        "teeter_command": env!("CARGO_BIN_EXE_teeter"),
        "teeter_tasks": dir.join("tasks.yml"),
        "ansible_python_interpreter": "{{ ansible_playbook_python }}",
    });
    let mut command = Command::new("ansible-playbook");
    command.arg("-i").arg(dir.join("hosts")).arg(recipe("ansible/site.yml")).arg("-e").arg(variables.to_string());
    command.env("TEETER_SOCKET", site.daemon.socket()).env("ANSIBLE_HOME", dir.join("ansible"));
    command.env("LC_ALL", "C.UTF-8").env("ANSIBLE_NOCOLOR", "1").stdin(Stdio::null()).kill_on_drop(true);
    Some(finish(command.stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().expect("it starts")).await)
}

fn install(site: &Site) -> String {
    format!(
        "- name: Install\n  ansible.builtin.command: {}\n  changed_when: true\n  environment:\n    \
         TEETER_SERVERS: \"{{{{ teeter_server }}}}\"\n    TEETER_VERSION: \"{{{{ teeter_version }}}}\"\n",
        site.hook()
    )
}

#[tokio::test]
async fn ansible_role_works_on_every_group_and_reports() {
    let site = Site::start().await;
    let Some(ended) = play(&site, &install(&site)).await else { return };
    assert_eq!(ended.code, 0, "{ended:?}");
    assert_eq!(site.farm.versions(), ["v2"; 4]);
    assert_eq!(site.bits().await, [0; 4]);
    assert!(ended.out.contains("haproxy -> web04"), "each server's work is delegated to it: {ended:?}");
    assert_eq!(site.json(&["show", "1"]).await["state"], "done");
}

#[tokio::test]
async fn failed_ansible_task_fails_the_run() {
    let site = Site::start().await;
    let fail = "- name: Unpack\n  ansible.builtin.fail:\n    msg: no room\n  when: teeter_server == 'web02'\n";
    let Some(ended) = play(&site, &format!("{fail}{}", install(&site))).await else { return };
    assert_eq!(ended.code, 2, "{ended:?}");
    assert!(ended.out.contains("Run 1 has failed"), "{ended:?}");
    let run = site.json(&["show", "1"]).await;
    assert!(run["why"].as_str().is_some_and(|why| why.contains("ansible: Unpack")), "{run}");
    assert_eq!(site.bits().await, [MAINT, MAINT, 0, 0]);
}
