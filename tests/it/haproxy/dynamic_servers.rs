//! Servers that come and go while teeter holds them, and servers of every making.

use crate::fixtures::custom_backends::{Stand, since};
use crate::fixtures::exit;
use crate::fixtures::site::{DRAIN, MAINT, until};

const ONE: &str = "backend app\n  balance roundrobin\n  default-server inter 100ms\n  server web01 {web01} check\n  server web02 {web02} check\n";
const OTHER: &str =
    "backend api\n  default-server inter 100ms\n  server web03 {web03} check\n  server web04 {web04} check\n";

/// Adds the server `app/added`, as somebody does who will make it ready later.
async fn add(stand: &Stand) {
    let added =
        stand.haproxy.cmd(&format!("add server app/added {} check inter 100ms", stand.app("web03").addr())).await;
    assert!(added.expect("HAProxy answers").contains("registered"));
}

/// Deletes it: HAProxy wants servers in maintenance for that, and without idle connections.
async fn delete(stand: &Stand) {
    until(|| async { stand.haproxy.cmd("del server app/added").await.is_ok_and(|said| said.contains("deleted")) })
        .await;
}

#[tokio::test]
async fn added_server_is_restored_as_it_was_added() {
    if !since((2, 6), "`add server`") {
        return;
    }
    let stand = Stand::start(ONE, "").await;
    add(&stand).await;
    assert_eq!(stand.held_by("app/added").await, "maint, set outside teeter");
    stand.done(&["drain", "app/added", "--reason", "r"]).await;
    assert_eq!(stand.bits("app/added").await, MAINT);
    stand.done(&["ready", "app/added"]).await;
    assert_eq!(stand.bits("app/added").await, MAINT);
    stand.tell("enable health app/added").await;
    stand.tell("enable server app/added").await;
    stand.haproxy.wait_for_check("app/added").await.unwrap();
    for (command, bits) in [("drain", DRAIN), ("maint", MAINT)] {
        stand.done(&[command, "app/added", "--reason", "r"]).await;
        assert_eq!(stand.bits("app/added").await, bits);
        let ready = stand.done(&["ready", "app/added"]).await;
        assert!(ready.contains("app/added takes traffic (UP)"), "{ready}");
    }
}

#[tokio::test]
async fn hold_of_a_deleted_server_can_be_released() {
    if !since((2, 6), "`del server`") {
        return;
    }
    let farm = "[farm.web]\nmembers = [\"app/*\"]\nverify.http = { path = \"/_status\" }\n";
    let stand = Stand::start(ONE, farm).await;
    add(&stand).await;
    stand.tell("enable server app/added").await;
    stand.done(&["maint", "app/added", "--reason", "r"]).await;
    delete(&stand).await;
    until(|| async { stand.done(&["holds"]).await.contains("edge:app/added is not in HAProxy edge any more") }).await;
    let ready = stand.done(&["ready", "app/added"]).await;
    assert!(ready.contains("HAProxy does not have it any more"), "{ready}");
    assert_eq!(stand.holds().await, 0);
    assert!(stand.recorded("released; edge:app/added: is not in HAProxy edge any more").await);
}

#[tokio::test]
async fn server_added_again_while_held_is_a_new_one() {
    if !since((2, 6), "`del server`") {
        return;
    }
    let stand = Stand::start(ONE, "").await;
    for command in ["maint", "drain"] {
        add(&stand).await;
        stand.tell("enable server app/added").await;
        stand.done(&[command, "app/added", "--reason", "r"]).await;
        stand.tell("set server app/added state maint").await;
        delete(&stand).await;
        until(|| async { stand.done(&["holds"]).await.contains("is not in HAProxy") }).await;
        add(&stand).await;
        until(|| async { stand.held_by("app/added").await.ends_with("maint, set outside teeter") }).await;
        assert_eq!(stand.bits("app/added").await, MAINT, "{command}");
        // Nobody has made this one ready yet: a release does not either.
        let ready = stand.done(&["ready", "app/added"]).await;
        assert!(ready.contains("app/added stays out: maint, set outside teeter"), "{ready}");
        assert_eq!(stand.bits("app/added").await, MAINT, "{command}");
        delete(&stand).await;
    }
}

#[tokio::test]
async fn server_added_again_and_made_ready_is_released_ready() {
    if !since((2, 6), "`del server`") {
        return;
    }
    let stand = Stand::start(ONE, "").await;
    add(&stand).await;
    stand.tell("enable health app/added").await;
    stand.tell("enable server app/added").await;
    stand.haproxy.wait_for_check("app/added").await.unwrap();
    for command in ["maint", "drain"] {
        stand.done(&[command, "app/added", "--reason", "r"]).await;
        stand.tell("set server app/added state maint").await;
        delete(&stand).await;
        until(|| async { stand.done(&["holds"]).await.contains("is not in HAProxy") }).await;
        // In one line: nobody sees it as added and not ready, and teeter takes it out as soon as it sees it.
        let address = stand.app("web03").addr();
        let add = format!(
            "add server app/added {address} check inter 100ms; enable health app/added; enable server app/added"
        );
        stand.haproxy.cmd(&add).await.unwrap();
        until(|| async {
            stand.recorded("app/added was deleted and added again: it is held like the server before").await
        })
        .await;
        until(|| async { stand.bits("app/added").await != 0 }).await;
        stand.done(&["ready", "app/added"]).await;
        assert_eq!(stand.bits("app/added").await, 0, "{command}");
    }
}

#[tokio::test]
async fn hold_in_a_removed_backend_can_be_released() {
    let farm = "[farm.web]\nmembers = [\"app/web0[12]\", \"api/web0[34]\"]\n\
                groups = { a = [\"web01\", \"web03\"], b = [\"web02\", \"web04\"] }\nverify.deadline = \"2s\"\n\
                verify.http = { path = \"/_status\" }\n";
    let stand = Stand::start(&format!("{ONE}{OTHER}"), farm).await;
    stand.done(&["maint", "api/web04", "--reason", "r"]).await;
    stand.reload(ONE).await;
    until(|| async { stand.done(&["holds"]).await.contains("edge:api/web04 is not in HAProxy edge any more") }).await;
    let ready = stand.done(&["ready", "api/web04"]).await;
    assert!(ready.contains("HAProxy does not have it any more"), "{ready}");
    assert_eq!(stand.holds().await, 0);
    // A deploy that has lost its servers stops, and ends when it is told to.
    stand.reload(&format!("{ONE}{OTHER}")).await;
    stand.haproxy.wait_for_check("api/web04").await.unwrap();
    stand.done(&["begin", "web"]).await;
    stand.reload(ONE).await;
    let advanced = stand.teeter(&["advance", "1"]).await;
    assert_eq!(advanced.code, exit::FAILED, "{advanced:?}");
    assert!(advanced.err.contains("web03 is not in HAProxy edge any more"), "{advanced:?}");
    stand.teeter(&["abort", "1"]).await;
    assert_eq!((stand.json(&["show", "1"]).await["state"].clone(), stand.holds().await), ("aborted".into(), 0));
}

#[tokio::test]
async fn server_template_is_deployed_like_any_farm() {
    let backends = "backend app\n  option httpchk GET /_status\n  server-template web 1-4 {web01} check inter 100ms\n";
    let farm = "[farm.web]\nmembers = [\"app/web*\"]\nhalves = \"auto\"\nmin_available = \"50%\"\n";
    let stand = Stand::start(backends, farm).await;
    // As a resolver does: each of its servers has an address of its own.
    for (server, app) in [("web2", "web02"), ("web3", "web03"), ("web4", "web04")] {
        let addr = stand.app(app).addr();
        stand.haproxy.cmd(&format!("set server app/{server} addr {} port {}", addr.ip(), addr.port())).await.unwrap();
    }
    stand.haproxy.wait_for_check("app/web4").await.unwrap();
    let deployed = stand.teeter(&["deploy", "web", "--", "sh", "-c", "echo $TEETER_SERVERS"]).await;
    assert_eq!(deployed.code, 0, "{deployed:?}");
    assert!(deployed.out.contains("web1 web2") && deployed.out.contains("web3 web4"), "{deployed:?}");
    for server in ["app/web1", "app/web2", "app/web3", "app/web4"] {
        assert_eq!(stand.bits(server).await, 0, "{server}");
    }
}
