//! Who has logged in, behind sudo: whose hold it is, and what nobody can claim.

use std::path::{Path, PathBuf};

use serde_json::Value;

use crate::fixtures::exit;
use crate::fixtures::site::Site;
use crate::fixtures::system_users::{ROOT, User, can_change, nameless, open_to_all, teeter};

/// Runs `teeter` as a user, in a process for which somebody else has logged in.
async fn logged_in(site: &Site, as_whom: User, program: &Path, args: &str) -> crate::fixtures::site::Ended {
    let script = format!("echo {LOGIN} >/proc/self/loginuid && exec {} {args}", program.display());
    teeter(as_whom, &PathBuf::from("/bin/sh"), &site.daemon, &["-c", &script]).await
}

async fn caller_of(site: &Site, kind: &str) -> Value {
    let events = site.json(&["events"]).await;
    let events = events["events"].as_array().cloned().unwrap_or_default();
    events.into_iter().rfind(|event| event["kind"] == kind).expect("it is recorded")["caller"].clone()
}

#[tokio::test]
async fn login_user_behind_sudo_owns_the_hold() {
    if !can_change() {
        return;
    }
    let site = Site::start().await;
    let program = open_to_all(&site.daemon);
    let drained = logged_in(&site, ROOT, &program, "drain web01 --reason r").await;
    if drained.err.contains("loginuid") {
        teeter_lab::skip("this kernel does not keep who has logged in");
        return;
    }
    assert_eq!(drained.code, 0, "{drained:?}");
    assert_eq!(site.json(&["holds"]).await["holds"][0]["owner"], LOGIN);
    let caller = caller_of(&site, "hold.created").await;
    assert_eq!((&caller["uid"], &caller["user"], &caller["login"]["user"]), (&0.into(), &"root".into(), &LOGIN.into()));
    assert!(site.teeter(&["events"]).await.out.contains(&format!("({LOGIN} as root, ")));
    // Root itself is somebody else, and the person brings back what is theirs.
    assert_eq!(site.teeter(&["ready", "web01"]).await.code, exit::BUSY);
    let ready = logged_in(&site, ROOT, &program, "ready web01").await;
    assert_eq!(ready.code, 0, "{ready:?}");
    // Where nobody has logged in a process can name whom it likes. Without being root it gains nothing.
    let pretends = nameless(64_999);
    let drained = logged_in(&site, pretends, &program, "drain web02 --reason r").await;
    assert_eq!(drained.code, 0, "{drained:?}");
    assert_eq!(site.json(&["holds"]).await["holds"][0]["owner"], "64999");
    assert_eq!(caller_of(&site, "hold.created").await["login"]["user"], LOGIN, "it is on record all the same");
}

/// No user of any system.
const LOGIN: &str = "64998";
