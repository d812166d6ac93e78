//! Every state that a server of HAProxy can be in: what teeter shows, what a hold does, what a release gives back.

use crate::fixtures::custom_backends::Stand;
use crate::fixtures::exit;
use crate::fixtures::site::{DRAIN, MAINT, finish, until};

/// A name that nobody resolves.
const UNRESOLVED: &str =
    "resolvers nobody\n  nameserver none 127.0.0.1:1\n  resolve_retries 1\n  timeout retry 100ms\n";

#[tokio::test]
async fn status_says_what_keeps_a_server_out() {
    let backends = format!(
        "{UNRESOLVED}backend app\n  default-server inter 100ms\n  server up {{web01}} check\n  \
         server off {{web01}} check disabled\n  \
         server named nowhere.invalid:80 check resolvers nobody init-addr none\n  server spare {{web02}} check backup\n  \
         server told {{web03}} check\n  server drained {{web03}}\n  server light {{web04}} check\n  \
         server held {{web04}} check\nbackend api\n  server named {{web02}} track app/named\n  \
         server held {{web04}} track app/held\nbackend old\n  server named {{web02}} track api/named\n"
    );
    let stand = Stand::start(&backends, "").await;
    stand.tell("set server app/told state maint").await;
    stand.tell("set server app/drained state drain").await;
    stand.tell("set server app/light weight 0").await;
    stand.done(&["drain", "app/held", "--reason", "kernel", "--allow-outage"]).await;
    let user = stand.json(&["holds"]).await["holds"][0]["owner"].as_str().unwrap_or_default().to_owned();
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
        assert_eq!((stand.bits(server).await, stand.held_by(server).await), (bits, held_by), "{server}");
        let up = matches!(server, "app/up" | "app/spare");
        assert_eq!(stand.status(server).await["in_service"], up, "{server}");
    }
    let table = stand.done(&["status", "app/*"]).await;
    let row = |server: &str| table.lines().find(|line| line.starts_with(server)).unwrap_or_default().to_owned();
    assert!(row("app/spare").contains("UP (backup)"), "{table}");
    assert!(row("app/named").ends_with("its name has no address"), "{table}");
    // A hold does not hide what else keeps a server out.
    stand.done(&["maint", "app/light", "app/told", "--reason", "disk", "--allow-outage"]).await;
    assert_eq!(stand.held_by("app/light").await, format!("{user} (disk); its weight is 0"));
    assert_eq!(stand.held_by("app/told").await, format!("{user} (disk); maint, set outside teeter"));
    let waited = stand.teeter(&["wait", "app/named", "--until", "up", "--timeout", "200ms"]).await;
    assert!(
        waited.code == exit::TIMED_OUT && waited.err.contains("app/named out: its name has no address"),
        "{waited:?}"
    );
}

#[tokio::test]
async fn server_without_an_address_fails_the_verification_in_time() {
    let backends = format!(
        "{UNRESOLVED}backend app\n  option httpchk GET /_status\n  default-server inter 100ms\n  \
         server web01 nowhere.invalid:80 check resolvers nobody init-addr none\n  server web02 {{web02}} check\n  \
         server web03 {{web03}} check\n"
    );
    let farm = "[farm.web]\nmembers = [\"app/*\"]\nverify.deadline = \"2s\"\nverify.http = { path = \"/_status\" }\n";
    let stand = Stand::start(&backends, farm).await;
    for (command, bits) in [("drain", DRAIN), ("maint", MAINT)] {
        stand.done(&[command, "app/web01", "app/web02", "--reason", "r"]).await;
        assert_eq!((stand.bits("app/web01").await, stand.bits("app/web02").await), (32 | bits, bits));
        // The one that can show that it is well does not wait for the other.
        let ready = stand.teeter(&["ready", "app/web01", "app/web02"]).await;
        assert_eq!(ready.code, exit::FAILED, "{ready:?}");
        assert!(ready.err.contains("web01 has no address"), "{ready:?}");
        stand.wait_for_bits("app/web02", 0).await;
        stand.done(&["ready", "app/web01", "--no-verify"]).await;
        assert_eq!((stand.bits("app/web01").await, stand.holds().await), (32, 0));
    }
}

#[tokio::test]
async fn release_keeps_other_reasons_for_being_out() {
    let backends = format!(
        "{UNRESOLVED}backend app\n  default-server inter 100ms\n  server up {{web01}} check\n  \
         server off {{web01}} check disabled\n  server light {{web04}} check\n  server told {{web04}} check\n  \
         server named nowhere.invalid:80 check resolvers nobody init-addr none\nbackend api\n  \
         server named {{web02}} track app/named\n  server up {{web01}} track app/up\n"
    );
    let stand = Stand::start(&backends, "").await;
    stand.tell("set server app/told state drain").await;
    let all = ["app/off", "app/light", "app/told", "app/named", "api/named"];
    for command in ["drain", "maint"] {
        stand.done(&[&[command, "--reason", "r", "--allow-outage"], &all[..]].concat()).await;
        stand.tell("set server app/light weight 0").await;
        let ready = stand.done(&[&["ready"], &all[..]].concat()).await;
        for (server, bits, said) in [
            ("app/off", MAINT | 4, "disabled in haproxy.cfg"),
            ("app/light", 0, "its weight is 0"),
            ("app/told", DRAIN, "drain, set outside teeter"),
            ("app/named", 32, "its name has no address"),
            ("api/named", 2, "tracks app/named"),
        ] {
            assert_eq!(stand.bits(server).await, bits, "{server} after {command}");
            assert!(ready.contains(&format!("{server} stays out: {said}")), "{server}: {ready}");
        }
        assert_eq!(stand.holds().await, 0);
    }
    assert!(stand.recorded("edge:app/named: its name has no address").await);
    assert!(!stand.recorded("healthy; released").await);
}

#[tokio::test]
async fn unchecked_server_is_released_and_not_called_healthy() {
    let backends = "backend app\n  default-server inter 100ms\n  server web01 {web01}\n  server web02 {web02} check\n  \
                    server web03 {web03} check\nbackend api\n  server web02 {web02} track app/web02\n";
    let stand = Stand::start(backends, "").await;
    stand.haproxy.wait_for_check("app/web02").await.unwrap();
    stand.tell("disable health app/web02").await;
    for command in ["drain", "maint"] {
        stand.done(&[command, "app/web01", "app/web02", "--reason", "r", "--allow-outage"]).await;
        let ready = stand.done(&["ready", "app/web01", "app/web02"]).await;
        assert!(ready.contains("app/web01 takes traffic (no check)"), "{ready}");
        assert!(ready.contains("app/web02 takes traffic (no check)"), "{ready}");
    }
    assert!(stand.recorded("edge:app/web01: not verified: it has no checks").await);
    assert!(stand.recorded("edge:app/web02: not verified: its health checks are switched off").await);
    assert!(!stand.recorded("healthy; released").await);
    // Frozen while it is down: a drain leaves it so, and no waiting would change it.
    stand.tell("set server app/web02 health down").await;
    stand.done(&["drain", "app/web02", "--reason", "r", "--allow-outage"]).await;
    let ready = stand.done(&["ready", "app/web02"]).await;
    assert!(ready.contains("app/web02 is released, but HAProxy says DOWN"), "{ready}");
    assert!(stand.recorded("edge:app/web02: DOWN, and its health checks are switched off").await);
}

#[tokio::test]
async fn checks_disabled_during_a_verification_fail_it() {
    let backends = "backend app\n  default-server inter 1h fastinter 1h downinter 1h\n  server web01 {web01} check\n  \
                    server web02 {web02} check\n";
    let farm = "[farm.web]\nmembers = [\"app/*\"]\nverify.deadline = \"2s\"\n";
    let stand = Stand::start(backends, farm).await;
    stand.done(&["maint", "app/web01", "--reason", "r"]).await;
    let ready = stand.daemon.spawn(&["ready", "app/web01"]);
    // Told to be down, and its next check is an hour away.
    until(|| async { stand.status("app/web01").await["status"] == "DOWN" }).await;
    stand.tell("disable health app/web01").await;
    let ready = finish(ready).await;
    assert_eq!(ready.code, exit::FAILED, "{ready:?}");
    assert!(ready.err.contains("its health checks are switched off"), "{ready:?}");
    stand.wait_for_bits("app/web01", MAINT).await;
}
