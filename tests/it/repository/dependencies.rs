//! `tests/deps`, the first command of `make test` and `make demo`: it names packages before it installs them.

use std::os::unix::fs::PermissionsExt;
use std::process::{Command, Stdio};

/// The output of `tests/deps` and the commands that it runs, in their order. The commands only record how they were
/// called.
fn output_and_commands(user: u32, wanted: &[&str]) -> String {
    let dir = tempfile::tempdir().unwrap();
    let log = dir.path().join("log");
    let command = |name: &str, text: &str| {
        let path = dir.path().join(name);
        std::fs::write(&path, format!("#!/bin/sh\n{text}\n")).unwrap();
        std::fs::set_permissions(&path, PermissionsExt::from_mode(0o755)).unwrap();
    };
    command("id", &format!("echo {user}"));
    for name in ["sudo", "env", "apt-get"] {
        command(name, &format!("echo \"ran: {name} $*\" >>{}", log.display()));
    }
    let stdout = std::fs::OpenOptions::new().append(true).create(true).open(&log).unwrap();
    let path = format!("{}:{}", dir.path().display(), std::env::var("PATH").unwrap());
    let mut script = Command::new("bash");
    script.arg("tests/deps").args(wanted).env("PATH", path).stdout(stdout).stderr(Stdio::null());
    assert!(script.status().unwrap().success());
    std::fs::read_to_string(log).unwrap()
}

#[test]
fn packages_are_named_before_they_are_installed() {
    let wanted = ["apt-get:apt", "no-such-command:its-package", "no-other:another"];
    let options = "-y -qq --no-install-recommends its-package another";
    let installed = format!("env DEBIAN_FRONTEND=noninteractive apt-get install {options}");
    assert_eq!(
        output_and_commands(1000, &wanted).lines().collect::<Vec<_>>(),
        [
            "missing here: its-package another; it is installed with:",
            "    sudo apt-get update -qq",
            &format!("    sudo {installed}"),
            "ran: sudo apt-get update -qq",
            &format!("ran: sudo {installed}"),
        ]
    );
    let as_root = output_and_commands(0, &wanted);
    assert!(as_root.contains("ran: apt-get update -qq\n") && !as_root.contains("sudo"), "{as_root}");
    assert_eq!(output_and_commands(1000, &["apt-get:apt"]), "");
}
