//! Servers that are added and deleted while HAProxy runs, also while teeter holds them; and server templates.

use crate::fixtures::custom_backends::{CustomBackends, since};
use crate::fixtures::exit;
use crate::fixtures::site::{DRAIN, MAINT, until};

const ONE: &str = "backend app\n  balance roundrobin\n  default-server inter 100ms\n  server web01 {web01} check\n  \
    server web02 {web02} check\n";
const OTHER: &str =
    "backend api\n  default-server inter 100ms\n  server web03 {web03} check\n  server web04 {web04} check\n";

/// Adds the server `app/added`, which HAProxy leaves in maintenance.
async fn add(site: &CustomBackends) {
    let added = site.haproxy.cmd(&format!("add server app/added {} check inter 100ms", site.app("web03").addr())).await;
    assert!(added.expect("HAProxy answers").contains("registered"));
}

/// Deletes the server once HAProxy allows it: in maintenance and without idle connections.
async fn delete(site: &CustomBackends) {
    until(|| async { site.haproxy.cmd("del server app/added").await.is_ok_and(|reply| reply.contains("deleted")) })
        .await;
}

#[tokio::test]
async fn added_server_is_restored_as_it_was_added() {
    if !since((2, 6), "`add server`") {
        return;
    }
    let site = CustomBackends::start(ONE, "").await;
    add(&site).await;
    assert_eq!(site.held_by("app/added").await, "maint, set outside teeter");
    site.done(&["drain", "app/added", "--reason", "r"]).await;
    assert_eq!(site.bits("app/added").await, MAINT);
    site.done(&["ready", "app/added"]).await;
    assert_eq!(site.bits("app/added").await, MAINT);
    site.tell("enable health app/added").await;
    site.tell("enable server app/added").await;
    site.haproxy.wait_for_check("app/added").await.unwrap();
    for (command, bits) in [("drain", DRAIN), ("maint", MAINT)] {
        site.done(&[command, "app/added", "--reason", "r"]).await;
        assert_eq!(site.bits("app/added").await, bits);
        let ready = site.done(&["ready", "app/added"]).await;
        assert!(ready.contains("app/added takes traffic (UP)"), "{ready}");
    }
}

#[tokio::test]
async fn hold_of_a_deleted_server_can_be_released() {
    if !since((2, 6), "`del server`") {
        return;
    }
    let farm = "[farm.web]\nmembers = [\"app/*\"]\nverify.http = { path = \"/_status\" }\n";
    let site = CustomBackends::start(ONE, farm).await;
    add(&site).await;
    site.tell("enable server app/added").await;
    site.done(&["maint", "app/added", "--reason", "r"]).await;
    delete(&site).await;
    until(|| async { site.done(&["holds"]).await.contains("edge:app/added is not in HAProxy edge any more") }).await;
    let ready = site.done(&["ready", "app/added"]).await;
    assert!(ready.contains("HAProxy does not have it any more"), "{ready}");
    assert_eq!(site.holds().await, 0);
    assert!(site.recorded("released; edge:app/added: is not in HAProxy edge any more").await);
}

#[tokio::test]
async fn server_added_again_while_held_is_a_new_one() {
    if !since((2, 6), "`del server`") {
        return;
    }
    let site = CustomBackends::start(ONE, "").await;
    for command in ["maint", "drain"] {
        add(&site).await;
        site.tell("enable server app/added").await;
        site.done(&[command, "app/added", "--reason", "r"]).await;
        site.tell("set server app/added state maint").await;
        delete(&site).await;
        until(|| async { site.done(&["holds"]).await.contains("is not in HAProxy") }).await;
        add(&site).await;
        until(|| async { site.held_by("app/added").await.ends_with("maint, set outside teeter") }).await;
        assert_eq!(site.bits("app/added").await, MAINT, "{command}");
        // The new server was never made ready: a release leaves it in maintenance.
        let ready = site.done(&["ready", "app/added"]).await;
        assert!(ready.contains("app/added stays out: maint, set outside teeter"), "{ready}");
        assert_eq!(site.bits("app/added").await, MAINT, "{command}");
        delete(&site).await;
    }
}

#[tokio::test]
async fn server_added_again_and_made_ready_is_released_ready() {
    if !since((2, 6), "`del server`") {
        return;
    }
    let site = CustomBackends::start(ONE, "").await;
    add(&site).await;
    site.tell("enable health app/added").await;
    site.tell("enable server app/added").await;
    site.haproxy.wait_for_check("app/added").await.unwrap();
    for command in ["maint", "drain"] {
        site.done(&[command, "app/added", "--reason", "r"]).await;
        site.tell("set server app/added state maint").await;
        delete(&site).await;
        until(|| async { site.done(&["holds"]).await.contains("is not in HAProxy") }).await;
        // In one line, so that teeter first sees the new server when it is ready.
        let address = site.app("web03").addr();
        let add = format!(
            "add server app/added {address} check inter 100ms; enable health app/added; enable server app/added"
        );
        site.haproxy.cmd(&add).await.unwrap();
        until(|| async {
            site.recorded("app/added was deleted and added again: it is held like the server before").await
        })
        .await;
        until(|| async { site.bits("app/added").await != 0 }).await;
        site.done(&["ready", "app/added"]).await;
        assert_eq!(site.bits("app/added").await, 0, "{command}");
    }
}

#[tokio::test]
async fn hold_in_a_removed_backend_can_be_released() {
    let farm = "[farm.web]\nmembers = [\"app/web0[12]\", \"api/web0[34]\"]\n\
                groups = { a = [\"web01\", \"web03\"], b = [\"web02\", \"web04\"] }\nverify.deadline = \"2s\"\n\
                verify.http = { path = \"/_status\" }\n";
    let site = CustomBackends::start(&format!("{ONE}{OTHER}"), farm).await;
    site.done(&["maint", "api/web04", "--reason", "r"]).await;
    site.reload(ONE).await;
    until(|| async { site.done(&["holds"]).await.contains("edge:api/web04 is not in HAProxy edge any more") }).await;
    let ready = site.done(&["ready", "api/web04"]).await;
    assert!(ready.contains("HAProxy does not have it any more"), "{ready}");
    assert_eq!(site.holds().await, 0);
    // A deploy whose servers have gone stops, and can be aborted.
    site.reload(&format!("{ONE}{OTHER}")).await;
    site.haproxy.wait_for_check("api/web04").await.unwrap();
    site.done(&["begin", "web"]).await;
    site.reload(ONE).await;
    let advanced = site.teeter(&["advance", "1"]).await;
    assert_eq!(advanced.code, exit::FAILED, "{advanced:?}");
    assert!(advanced.err.contains("web03 is not in HAProxy edge any more"), "{advanced:?}");
    site.teeter(&["abort", "1"]).await;
    assert_eq!((site.json(&["show", "1"]).await["state"].clone(), site.holds().await), ("aborted".into(), 0));
}

#[tokio::test]
async fn server_template_is_deployed_like_any_farm() {
    let backends = "backend app\n  option httpchk GET /_status\n  server-template web 1-4 {web01} check inter 100ms\n";
    let farm = "[farm.web]\nmembers = [\"app/web*\"]\nhalves = \"auto\"\nmin_available = \"50%\"\n";
    let site = CustomBackends::start(backends, farm).await;
    // Like a resolver, give each server an address of its own.
    for (server, app) in [("web2", "web02"), ("web3", "web03"), ("web4", "web04")] {
        let addr = site.app(app).addr();
        site.haproxy.cmd(&format!("set server app/{server} addr {} port {}", addr.ip(), addr.port())).await.unwrap();
    }
    site.haproxy.wait_for_check("app/web4").await.unwrap();
    let deployed = site.teeter(&["deploy", "web", "--", "sh", "-c", "echo $TEETER_SERVERS"]).await;
    assert_eq!(deployed.code, 0, "{deployed:?}");
    assert!(deployed.out.contains("web1 web2") && deployed.out.contains("web3 web4"), "{deployed:?}");
    for server in ["app/web1", "app/web2", "app/web3", "app/web4"] {
        assert_eq!(site.bits(server).await, 0, "{server}");
    }
}
