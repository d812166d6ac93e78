//! `tests/deps`, which `make test` and `make demo` begin with: nothing is installed before it is said.

use std::os::unix::fs::PermissionsExt;
use std::process::{Command, Stdio};

/// Everything that is said and done, in its order, by a user with this id on a machine where all of Debian's commands
/// only write down how they were called.
fn said_and_done(user: u32, wanted: &[&str]) -> String {
    let dir = tempfile::tempdir().unwrap();
    let heard = dir.path().join("heard");
    let command = |name: &str, text: &str| {
        let path = dir.path().join(name);
        std::fs::write(&path, format!("#!/bin/sh\n{text}\n")).unwrap();
        std::fs::set_permissions(&path, PermissionsExt::from_mode(0o755)).unwrap();
    };
    command("id", &format!("echo {user}"));
    for name in ["sudo", "env", "apt-get"] {
        command(name, &format!("echo \"ran: {name} $*\" >>{}", heard.display()));
    }
    let words = std::fs::OpenOptions::new().append(true).create(true).open(&heard).unwrap();
    let path = format!("{}:{}", dir.path().display(), std::env::var("PATH").unwrap());
    let mut script = Command::new("bash");
    script.arg("tests/deps").args(wanted).env("PATH", path).stdout(words).stderr(Stdio::null());
    assert!(script.status().unwrap().success());
    std::fs::read_to_string(heard).unwrap()
}

#[test]
fn packages_are_named_before_they_are_installed() {
    let wanted = ["apt-get:apt", "no-such-command:its-package", "no-other:another"];
    let options = "-y -qq --no-install-recommends its-package another";
    let installed = format!("env DEBIAN_FRONTEND=noninteractive apt-get install {options}");
    assert_eq!(
        said_and_done(1000, &wanted).lines().collect::<Vec<_>>(),
        [
            "missing here: its-package another; it is installed with:",
            "    sudo apt-get update -qq",
            &format!("    sudo {installed}"),
            "ran: sudo apt-get update -qq",
            &format!("ran: sudo {installed}"),
        ]
    );
    let as_root = said_and_done(0, &wanted);
    assert!(as_root.contains("ran: apt-get update -qq\n") && !as_root.contains("sudo"), "{as_root}");
    assert_eq!(said_and_done(1000, &["apt-get:apt"]), "");
}
