//! The roles of users, tested with processes of real users.

use std::path::{Path, PathBuf};

use serde_json::Value;
use teeter_lab::FarmSpec;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::UnixStream;

use crate::fixtures::exit;
use crate::fixtures::site::{Daemon, MAINT, PATIENCE, Site, farm_config, instance, until};
use crate::fixtures::system_users::{
    ROOT, User, can_change, curl, give, in_mount_namespace, nameless, open_to_all, teeter, thread_as,
};

// Users with a role by uid, by name and by group, and one without a role.
const VIEWER: User = nameless(54_001);
const OPERATOR: User = User { uid: 1, gid: 1 };
const DEPLOYER: User = User { uid: 5, gid: 54_777 };
const ADMIN: User = nameless(54_004);
const OUTSIDER: User = nameless(54_005);

const ROLES: &str = r#"
[control.roles]
viewer = ["user:54001", "group:54002"]
operator = ["user:daemon"]
deployer = ["group:games"]
admin = ["user:54004"]
"#;

/// A site whose control socket every user can reach, and a `teeter` that every user may run.
async fn open_site(roles: &str) -> (Site, PathBuf) {
    let spec = FarmSpec { version: "v1".to_owned(), ..FarmSpec::default() };
    let farm = teeter_lab::TestFarm::start_spec(spec).await.expect("a farm starts");
    let daemon = Daemon::start(farm.dir(), &format!("{}{roles}", farm_config(&farm, ""))).await;
    let teeter = open_to_all(&daemon);
    (Site { daemon, farm }, teeter)
}

fn is_refused((status, problem): &(u16, Value)) -> bool {
    *status == 403 && problem["type"] == "urn:teeter:role"
}

/// Every request, the least role that may send it (0 viewer, 1 operator, 2 deployer, 3 admin), and its body.
const REQUESTS: [(&str, &str, usize, &str); 28] = [
    ("GET", "/v1/status", 0, ""),
    ("HEAD", "/v1/status", 0, ""),
    ("GET", "/v1/holds", 0, ""),
    ("GET", "/v1/holds/9", 0, ""),
    ("GET", "/v1/sessions?sel=web01", 0, ""),
    ("GET", "/v1/runs", 0, ""),
    ("GET", "/v1/runs/9", 0, ""),
    ("GET", "/v1/farms/web/idle", 0, ""),
    ("GET", "/v1/farms/web/runs", 0, ""),
    ("GET", "/v1/doctor", 0, ""),
    ("GET", "/v1/events", 0, ""),
    ("HEAD", "/v1/events/stream", 0, ""),
    ("GET", "/v1/openapi.json", 0, ""),
    ("GET", "/metrics", 0, ""),
    ("GET", "/v1/nowhere", 0, ""),
    ("POST", "/v1/holds", 1, r#"{"selectors":["none"],"mode":"drain","reason":"r"}"#),
    ("POST", "/v1/release", 1, r#"{"selectors":["none"],"verify":true}"#),
    ("POST", "/v1/runs", 2, r#"{"farm":"none"}"#),
    ("POST", "/v1/runs/9/advance", 2, "{}"),
    ("POST", "/v1/runs/9/abort", 2, ""),
    ("POST", "/v1/runs/9/rollback", 2, "{}"),
    ("POST", "/v1/runs/9/pause", 2, ""),
    ("POST", "/v1/runs/9/retry", 2, ""),
    ("POST", "/v1/runs/9/output", 2, r#"{"lines":[]}"#),
    ("GET", "/v1/runs/9/attend", 2, ""),
    ("POST", "/v1/forget", 2, r#"{"farm":"none"}"#),
    ("POST", "/v1/holds", 3, r#"{"selectors":["none"],"mode":"drain","reason":"r","allow_outage":true}"#),
    ("POST", "/v1/release", 3, r#"{"selectors":["none"],"verify":true,"owner":"root"}"#),
];

#[tokio::test]
async fn each_role_is_allowed_its_own_requests_only() {
    if !can_change() {
        return;
    }
    let (site, _) = open_site(ROLES).await;
    let users = [VIEWER, OPERATOR, DEPLOYER, ADMIN];
    for (method, path, needed, body) in REQUESTS {
        for (role, user) in users.into_iter().enumerate() {
            let answer = curl(user, &site.daemon, method, path, body).await;
            assert_eq!(is_refused(&answer), role < needed, "{user:?} {method} {path} {body}: {answer:?}");
        }
        let outside = curl(OUTSIDER, &site.daemon, method, path, body).await;
        // An answer to HEAD has no document.
        assert_eq!(outside.0, 403, "{method} {path}: {outside:?}");
        assert!(!is_refused(&curl(ROOT, &site.daemon, method, path, body).await), "root {method} {path}");
    }
    assert_eq!(site.bits().await, [0; 4]);
}

#[tokio::test]
async fn refusal_names_the_caller_the_needed_role_and_its_setting() {
    if !can_change() {
        return;
    }
    let (site, program) = open_site(ROLES).await;
    let run = async |user, args: &[&str]| teeter(user, &program, &site.daemon, args).await;
    let status = run(VIEWER, &["status"]).await;
    assert_eq!(status.code, 0, "{status:?}");
    let refused = run(VIEWER, &["drain", "app/web01", "--reason", "kernel"]).await;
    assert_eq!(refused.code, exit::NOT_PERMITTED, "{refused:?}");
    let config = site.daemon.config().display().to_string();
    for words in [
        "POST /v1/holds needs the role operator",
        "54001 (uid 54001) has the role viewer",
        &config,
        "operator = [\"user:54001\"] under [control.roles]",
        "systemctl reload teeterd",
    ] {
        assert!(refused.err.contains(words), "{words}: {refused:?}");
    }
    let outside = run(OUTSIDER, &["status"]).await;
    assert!(outside.code == exit::NOT_PERMITTED && outside.err.contains("has no role"), "{outside:?}");
    assert!(site.daemon.log().contains("POST /v1/holds needs the role operator"), "{}", site.daemon.log());

    // An operator may take servers out and bring them back, but may not deploy or overrule a guard.
    let drained = run(OPERATOR, &["maint", "web01", "--reason", "disk"]).await;
    assert_eq!(drained.code, 0, "{drained:?}");
    assert_eq!(site.bits().await, [MAINT, 0, 0, 0]);
    for args in [
        &["begin", "web", "--dry-run"][..],
        &["flip", "web", "a"],
        &["maint", "web02", "--reason", "disk", "--allow-outage"],
    ] {
        let refused = run(OPERATOR, args).await;
        assert_eq!(refused.code, exit::NOT_PERMITTED, "{args:?}: {refused:?}");
    }
    // A deployer may not end the hold of another user; an administrator may.
    let busy = run(DEPLOYER, &["ready", "web01"]).await;
    assert_eq!(busy.code, exit::BUSY, "{busy:?}");
    let others = run(DEPLOYER, &["ready", "web01", "--owner", "daemon"]).await;
    assert!(
        others.code == exit::NOT_PERMITTED && others.err.contains("ending another user's hold needs the role admin"),
        "{others:?}"
    );
    let admin = run(ADMIN, &["ready", "web01", "--owner", "daemon"]).await;
    assert_eq!(admin.code, 0, "{admin:?}");
    let again = run(OPERATOR, &["maint", "web01", "--reason", "disk"]).await;
    assert_eq!(again.code, 0, "{again:?}");
    let own = run(OPERATOR, &["ready", "web01", "--owner", "daemon"]).await;
    assert_eq!(own.code, 0, "{own:?}");
    let begun = run(DEPLOYER, &["begin", "web"]).await;
    assert_eq!(begun.code, 0, "{begun:?}");
    let aborted = run(DEPLOYER, &["abort", "1"]).await;
    assert_eq!(aborted.code, 0, "{aborted:?}");
    assert_eq!(site.bits().await, [0; 4]);
}

#[tokio::test]
async fn roles_are_reloaded_without_a_restart() {
    if !can_change() {
        return;
    }
    // Without roles every user that can open the socket may do everything.
    let (site, _) = open_site("").await;
    let begin = r#"{"farm":"web","dry_run":true}"#;
    let status = async |user, method, path, body| curl(user, &site.daemon, method, path, body).await.0;
    assert_eq!(status(OUTSIDER, "POST", "/v1/runs", begin).await, 200);
    let config = std::fs::read_to_string(site.daemon.config()).expect("it is there");
    let write = |roles: &str| std::fs::write(site.daemon.config(), format!("{config}{roles}")).expect("it is written");
    write(ROLES);
    site.daemon.signal("-HUP").await;
    until(|| async { status(OUTSIDER, "GET", "/v1/holds", "").await == 403 }).await;
    assert_eq!(status(VIEWER, "POST", "/v1/runs", begin).await, 403);
    assert_eq!(status(DEPLOYER, "POST", "/v1/runs", begin).await, 200);
    // With a table that names no existing user, only root has access.
    write("[control.roles]\nviewer = [\"user:no-such-user\"]");
    site.daemon.signal("-HUP").await;
    until(|| async { status(ADMIN, "GET", "/v1/holds", "").await == 403 }).await;
    assert_eq!(status(ROOT, "POST", "/v1/runs", begin).await, 200);
    assert!(site.daemon.log().contains("no such user or group: user:no-such-user"), "{}", site.daemon.log());
    // An invalid table is not loaded: the roles stay.
    write("[control.roles]\nviewer = [\"54005\"]");
    site.daemon.signal("-HUP").await;
    until(|| async { site.daemon.log().contains("is neither user:NAME nor group:NAME") }).await;
    assert_eq!(status(ADMIN, "GET", "/v1/holds", "").await, 403);
}

/// A daemon that sees another /etc/group, and the path of that file. `None` if mount namespaces are not allowed.
async fn with_groups(dir: &Path, members: &str) -> Option<(Daemon, PathBuf)> {
    let group = dir.join("group");
    std::fs::write(&group, groups(members)).expect("it is written");
    let starter = in_mount_namespace(&format!("mount --bind {} /etc/group", group.display()))?;
    let config = format!("{}[control.roles]\ndeployer = [\"group:deployers\"]\n", instance(&dir.join("none.sock")));
    let daemon = Daemon::start_by(&starter, dir, &config).await;
    open_to_all(&daemon);
    Some((daemon, group))
}

/// The groups of the machine, and the group `deployers` with these members.
fn groups(members: &str) -> String {
    let groups = std::fs::read_to_string("/etc/group").expect("there are groups");
    format!("{groups}deployers:x:{DEPLOYERS}:{members}\n")
}

const DEPLOYERS: u32 = 54_900;

#[tokio::test]
async fn group_roles_follow_the_group_database_not_the_process() {
    if !can_change() {
        return;
    }
    let dir = tempfile::tempdir().expect("a directory is made");
    let Some((daemon, group)) = with_groups(dir.path(), "bin").await else { return };
    let abort = async |user| curl(user, &daemon, "POST", "/v1/runs/9/abort", "").await.0;
    // A process of a member with another group id, and a process with the group's id whose user is no member.
    assert_eq!(abort(User { uid: 2, gid: 54_777 }).await, 404);
    assert_eq!(abort(User { uid: 1, gid: DEPLOYERS }).await, 403);
    std::fs::write(&group, groups("daemon")).expect("it is written");
    assert_eq!(abort(User { uid: 2, gid: DEPLOYERS }).await, 403);
    assert_eq!(abort(User { uid: 1, gid: 54_777 }).await, 404);
}

#[tokio::test]
async fn open_connection_loses_a_revoked_role() {
    if !can_change() {
        return;
    }
    let dir = tempfile::tempdir().expect("a directory is made");
    let Some((daemon, group)) = with_groups(dir.path(), "bin").await else { return };
    let member = User { uid: 2, gid: DEPLOYERS };
    let [mut requests, mut events] = [connect(member, &daemon).await, connect(member, &daemon).await];
    let abort = "POST /v1/runs/9/abort HTTP/1.1\r\nhost: t\r\ncontent-type: application/json\r\n\r\n";
    assert_eq!(status(&mut requests, abort).await, 404);
    assert_eq!(status(&mut events, "GET /v1/events/stream HTTP/1.1\r\nhost: t\r\n\r\n").await, 200);
    std::fs::write(&group, groups("")).expect("it is written");
    assert_eq!(status(&mut requests, abort).await, 403);
    // teeterd checks the role of a stream every few seconds, and at once after a reload.
    daemon.signal("-HUP").await;
    let mut rest = Vec::new();
    tokio::time::timeout(PATIENCE, events.read_to_end(&mut rest)).await.expect("the stream ends").expect("it is read");
}

/// Connects to the daemon as a user.
async fn connect(user: User, daemon: &Daemon) -> UnixStream {
    let path = daemon.socket().to_owned();
    let connected = thread_as(user, || std::os::unix::net::UnixStream::connect(path).expect("it connects"));
    let stream = connected.join().expect("the thread ends");
    stream.set_nonblocking(true).expect("it is set");
    UnixStream::from_std(stream).expect("it is taken over")
}

/// Sends a request on a connection that stays open; returns the status of the answer, which arrives in one piece.
async fn status(stream: &mut UnixStream, request: &str) -> u16 {
    stream.write_all(request.as_bytes()).await.expect("it is sent");
    let mut answer = vec![0; 16 << 10];
    let length = tokio::time::timeout(PATIENCE, stream.read(&mut answer)).await.expect("in time").expect("it is read");
    let text = String::from_utf8_lossy(&answer[..length]);
    text.split(' ').nth(1).and_then(|status| status.parse().ok()).unwrap_or_else(|| panic!("{text}"))
}

#[tokio::test]
async fn user_of_teeterd_may_do_everything() {
    if !can_change() {
        return;
    }
    let dir = tempfile::tempdir().expect("a directory is made");
    give(dir.path(), VIEWER);
    let id = VIEWER.uid.to_string();
    let starter = ["setpriv", "--reuid", &id, "--regid", &id, "--clear-groups"];
    let config = format!("{}[control.roles]\n", instance(&dir.path().join("none.sock")));
    let daemon = Daemon::start_by(&starter, dir.path(), &config).await;
    open_to_all(&daemon);
    let abort = async |user| curl(user, &daemon, "POST", "/v1/runs/9/abort", "").await.0;
    assert_eq!([abort(VIEWER).await, abort(ROOT).await, abort(OUTSIDER).await], [404, 404, 403]);
}

#[tokio::test]
async fn repeated_refusals_of_a_user_do_not_fill_the_log() {
    if !can_change() {
        return;
    }
    let (site, _) = open_site(ROLES).await;
    for _ in 0..30 {
        let answer =
            curl(VIEWER, &site.daemon, "POST", "/v1/release", r#"{"selectors":["web01"],"verify":true}"#).await;
        assert!(is_refused(&answer), "{answer:?}");
    }
    assert!(is_refused(&curl(OUTSIDER, &site.daemon, "GET", "/v1/status", "").await));
    let log = site.daemon.log();
    let lines: Vec<&str> = log.lines().filter(|line| line.contains("refused: ")).collect();
    assert_eq!(lines.len(), 2, "{log}");
    assert!(lines[0].contains("POST /v1/release needs the role operator") && lines[1].contains("54005"), "{log}");
}
