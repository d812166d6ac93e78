//! The login user of a root process behind sudo owns its holds. A process that is not root cannot claim another user.

use std::path::{Path, PathBuf};

use serde_json::Value;

use crate::fixtures::exit;
use crate::fixtures::site::{Ended, Site};
use crate::fixtures::system_users::{ROOT, User, can_change, nameless, open_to_all, teeter};

/// Runs `teeter` as a user, in a process with the login user `LOGIN`.
async fn logged_in(site: &Site, user: User, program: &Path, args: &str) -> Ended {
    let script = format!("echo {LOGIN} >/proc/self/loginuid && exec {} {args}", program.display());
    teeter(user, &PathBuf::from("/bin/sh"), &site.daemon, &["-c", &script]).await
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
        teeter_lab::skip("this kernel does not record login users");
        return;
    }
    assert_eq!(drained.code, 0, "{drained:?}");
    assert_eq!(site.json(&["holds"]).await["holds"][0]["owner"], LOGIN);
    let caller = caller_of(&site, "hold.created").await;
    assert_eq!((&caller["uid"], &caller["user"], &caller["login"]["user"]), (&0.into(), &"root".into(), &LOGIN.into()));
    assert!(site.teeter(&["events"]).await.out.contains(&format!("({LOGIN} as root, ")));
    // Root without that login user is another owner; the login user can release the hold.
    assert_eq!(site.teeter(&["ready", "web01"]).await.code, exit::BUSY);
    let ready = logged_in(&site, ROOT, &program, "ready web01").await;
    assert_eq!(ready.code, 0, "{ready:?}");
    // A process without a login user can set any. If it is not root, that changes nothing.
    let user = nameless(64_999);
    let drained = logged_in(&site, user, &program, "drain web02 --reason r").await;
    assert_eq!(drained.code, 0, "{drained:?}");
    assert_eq!(site.json(&["holds"]).await["holds"][0]["owner"], "64999");
    assert_eq!(caller_of(&site, "hold.created").await["login"]["user"], LOGIN, "it is recorded");
}

/// A user id without a name.
const LOGIN: &str = "64998";
