//! Every state of a server in HAProxy: what teeter shows, what a hold does, what a release restores.

use crate::fixtures::custom_backends::CustomBackends;
use crate::fixtures::exit;
use crate::fixtures::site::{DRAIN, MAINT, finish, until};

/// A resolver that does not answer.
const UNRESOLVED: &str =
    "resolvers absent\n  nameserver none 127.0.0.1:1\n  resolve_retries 1\n  timeout retry 100ms\n";

#[tokio::test]
async fn status_says_what_keeps_a_server_out() {
    let backends = format!(
        "{UNRESOLVED}backend app\n  default-server inter 100ms\n  server up {{web01}} check\n  \
         server off {{web01}} check disabled\n  \
         server named nowhere.invalid:80 check resolvers absent init-addr none\n  \
         server spare {{web02}} check backup\n  \
         server told {{web03}} check\n  server drained {{web03}}\n  server light {{web04}} check\n  \
         server held {{web04}} check\nbackend api\n  server named {{web02}} track app/named\n  \
         server held {{web04}} track app/held\nbackend old\n  server named {{web02}} track api/named\n"
    );
    let site = CustomBackends::start(&backends, "").await;
    site.tell("set server app/told state maint").await;
    site.tell("set server app/drained state drain").await;
    site.tell("set server app/light weight 0").await;
    site.done(&["drain", "app/held", "--reason", "kernel", "--allow-outage"]).await;
    let user = site.json(&["holds"]).await["holds"][0]["owner"].as_str().unwrap_or_default().to_owned();
    for (server, bits, held_by) in [
        ("app/up", 0, String::new()),
        ("app/off", MAINT | 4, "disabled in haproxy.cfg".to_owned()),
        ("app/named", 32, "its name has no address".to_owned()),
        ("api/named", 2, "tracks app/named".to_owned()),
        ("old/named", 2, "tracks api/named".to_owned()),
        ("app/spare", 0, String::new()),
        ("app/told", MAINT, "maint, set outside teeter".to_owned()),
        ("app/drained", DRAIN, "drain, set outside teeter".to_owned()),
        ("app/light", 0, "its weight is 0".to_owned()),
        ("app/held", DRAIN, format!("{user} (kernel)")),
        ("api/held", DRAIN | 16, format!("{user} (kernel)")),
    ] {
        assert_eq!((site.bits(server).await, site.held_by(server).await), (bits, held_by), "{server}");
        let up = matches!(server, "app/up" | "app/spare");
        assert_eq!(site.status(server).await["in_service"], up, "{server}");
    }
    let table = site.done(&["status", "app/*"]).await;
    let row = |server: &str| table.lines().find(|line| line.starts_with(server)).unwrap_or_default().to_owned();
    assert!(row("app/spare").contains("UP (backup)"), "{table}");
    assert!(row("app/named").ends_with("its name has no address"), "{table}");
    // A hold does not hide what else keeps a server out.
    site.done(&["maint", "app/light", "app/told", "--reason", "disk", "--allow-outage"]).await;
    assert_eq!(site.held_by("app/light").await, format!("{user} (disk); its weight is 0"));
    assert_eq!(site.held_by("app/told").await, format!("{user} (disk); maint, set outside teeter"));
    let waited = site.teeter(&["wait", "app/named", "--until", "up", "--timeout", "200ms"]).await;
    assert!(
        waited.code == exit::TIMED_OUT && waited.err.contains("app/named out: its name has no address"),
        "{waited:?}"
    );
}

#[tokio::test]
async fn server_without_an_address_fails_the_verification_in_time() {
    let backends = format!(
        "{UNRESOLVED}backend app\n  option httpchk GET /_status\n  default-server inter 100ms\n  \
         server web01 nowhere.invalid:80 check resolvers absent init-addr none\n  server web02 {{web02}} check\n  \
         server web03 {{web03}} check\n"
    );
    let farm = "[farm.web]\nmembers = [\"app/*\"]\nverify.deadline = \"2s\"\nverify.http = { path = \"/_status\" }\n";
    let site = CustomBackends::start(&backends, farm).await;
    for (command, bits) in [("drain", DRAIN), ("maint", MAINT)] {
        site.done(&[command, "app/web01", "app/web02", "--reason", "r"]).await;
        assert_eq!((site.bits("app/web01").await, site.bits("app/web02").await), (32 | bits, bits));
        // The server that can be verified does not wait for the other.
        let ready = site.teeter(&["ready", "app/web01", "app/web02"]).await;
        assert_eq!(ready.code, exit::FAILED, "{ready:?}");
        assert!(ready.err.contains("web01 has no address"), "{ready:?}");
        site.wait_for_bits("app/web02", 0).await;
        site.done(&["ready", "app/web01", "--no-verify"]).await;
        assert_eq!((site.bits("app/web01").await, site.holds().await), (32, 0));
    }
}

#[tokio::test]
async fn release_keeps_other_reasons_for_being_out() {
    let backends = format!(
        "{UNRESOLVED}backend app\n  default-server inter 100ms\n  server up {{web01}} check\n  \
         server off {{web01}} check disabled\n  server light {{web04}} check\n  server told {{web04}} check\n  \
         server named nowhere.invalid:80 check resolvers absent init-addr none\nbackend api\n  \
         server named {{web02}} track app/named\n  server up {{web01}} track app/up\n"
    );
    let site = CustomBackends::start(&backends, "").await;
    site.tell("set server app/told state drain").await;
    let all = ["app/off", "app/light", "app/told", "app/named", "api/named"];
    for command in ["drain", "maint"] {
        site.done(&[&[command, "--reason", "r", "--allow-outage"], &all[..]].concat()).await;
        site.tell("set server app/light weight 0").await;
        let ready = site.done(&[&["ready"], &all[..]].concat()).await;
        for (server, bits, reason) in [
            ("app/off", MAINT | 4, "disabled in haproxy.cfg"),
            ("app/light", 0, "its weight is 0"),
            ("app/told", DRAIN, "drain, set outside teeter"),
            ("app/named", 32, "its name has no address"),
            ("api/named", 2, "tracks app/named"),
        ] {
            assert_eq!(site.bits(server).await, bits, "{server} after {command}");
            assert!(ready.contains(&format!("{server} stays out: {reason}")), "{server}: {ready}");
        }
        assert_eq!(site.holds().await, 0);
    }
    assert!(site.recorded("edge:app/named: its name has no address").await);
    assert!(!site.recorded("healthy; released").await);
}

#[tokio::test]
async fn unchecked_server_is_released_and_not_called_healthy() {
    let backends = "backend app\n  default-server inter 100ms\n  server web01 {web01}\n  server web02 {web02} check\n  \
                    server web03 {web03} check\nbackend api\n  server web02 {web02} track app/web02\n";
    let site = CustomBackends::start(backends, "").await;
    site.haproxy.wait_for_check("app/web02").await.unwrap();
    site.tell("disable health app/web02").await;
    for command in ["drain", "maint"] {
        site.done(&[command, "app/web01", "app/web02", "--reason", "r", "--allow-outage"]).await;
        let ready = site.done(&["ready", "app/web01", "app/web02"]).await;
        assert!(ready.contains("app/web01 takes traffic (no check)"), "{ready}");
        assert!(ready.contains("app/web02 takes traffic (no check)"), "{ready}");
    }
    assert!(site.recorded("edge:app/web01: not verified: it has no checks").await);
    assert!(site.recorded("edge:app/web02: not verified: its health checks are switched off").await);
    assert!(!site.recorded("healthy; released").await);
    // Its checks are disabled while it is down: it stays down, during a drain and after it.
    site.tell("set server app/web02 health down").await;
    site.done(&["drain", "app/web02", "--reason", "r", "--allow-outage"]).await;
    let ready = site.done(&["ready", "app/web02"]).await;
    assert!(ready.contains("app/web02 is released, but HAProxy says DOWN"), "{ready}");
    assert!(site.recorded("edge:app/web02: DOWN, and its health checks are switched off").await);
}

#[tokio::test]
async fn checks_disabled_during_a_verification_fail_it() {
    let backends = "backend app\n  default-server inter 1h fastinter 1h downinter 1h\n  server web01 {web01} check\n  \
                    server web02 {web02} check\n";
    let farm = "[farm.web]\nmembers = [\"app/*\"]\nverify.deadline = \"2s\"\n";
    let site = CustomBackends::start(backends, farm).await;
    site.done(&["maint", "app/web01", "--reason", "r"]).await;
    let ready = site.daemon.spawn(&["ready", "app/web01"]);
    // Maintenance has left it DOWN, and its next check is an hour away.
    until(|| async { site.status("app/web01").await["status"] == "DOWN" }).await;
    site.tell("disable health app/web01").await;
    let ready = finish(ready).await;
    assert_eq!(ready.code, exit::FAILED, "{ready:?}");
    assert!(ready.err.contains("its health checks are switched off"), "{ready:?}");
    site.wait_for_bits("app/web01", MAINT).await;
}
