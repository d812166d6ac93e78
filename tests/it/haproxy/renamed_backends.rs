//! Server lines that change during holds and runs: renamed backends, and servers that get another address.

use crate::fixtures::custom_backends::CustomBackends;
use crate::fixtures::site::{DRAIN, MAINT, until};

const LINES: &str = "  option httpchk GET /_status\n  default-server inter 100ms check\n  server web01 {web01}\n  \
    server web02 {web02}\n  server web03 {web03}\n  server web04 {web04}\n";

const FARM: &str = "[farm.web]\nmembers = [\"app*/*\"]\nhalves = \"auto\"\nverify.http = { path = \"/_status\" }\n\
    [farm.web.drain]\ngrace = \"0s\"\n";

async fn start() -> CustomBackends {
    let site = CustomBackends::start(&format!("backend app\n{LINES}"), FARM).await;
    for server in ["app/web01", "app/web02", "app/web03", "app/web04"] {
        site.haproxy.wait_for_status(server, "UP").await.expect("it comes up");
    }
    site
}

#[tokio::test]
async fn deploy_continues_after_its_backend_is_renamed() {
    let site = start().await;
    site.done(&["begin", "web"]).await;
    site.reload(&format!("backend app2\n{LINES}")).await;
    for server in ["app2/web01", "app2/web02"] {
        site.wait_for_bits(server, MAINT).await;
    }
    // A missing line does not keep out a server that has another line.
    let advanced = site.done(&["advance", "1"]).await;
    assert!(advanced.contains("TEETER_GROUP=b"), "{advanced}");
    site.done(&["advance", "1"]).await;
    assert_eq!(site.json(&["show", "1"]).await["state"], "done");
    for server in ["app2/web01", "app2/web02", "app2/web03", "app2/web04"] {
        assert_eq!(site.bits(server).await, 0, "{server}");
    }
    assert_eq!(site.holds().await, 0);
}

#[tokio::test]
async fn show_names_a_line_in_traffic_of_a_server_at_work() {
    let site = start().await;
    site.done(&["begin", "web"]).await;
    let web01 = site.app("web01").addr();
    let moved = format!("set server app/web04 addr {} port {}", web01.ip(), web01.port());
    site.haproxy.cmd(&moved).await.expect("HAProxy answers");
    let note = "note: edge:app/web04 takes requests and is not held: it has the same address";
    until(|| async { site.done(&["show", "1"]).await.contains(note) }).await;
}

#[tokio::test]
async fn host_hold_covers_lines_that_move_to_its_address() {
    let site = CustomBackends::start(&format!("backend app\n{LINES}backend api\n{LINES}"), "").await;
    let web01 = site.app("web01").addr();
    site.done(&["drain", &format!("host:{web01}"), "--reason", "kernel"]).await;
    for server in ["app/web03", "api/web04"] {
        assert_eq!(site.bits(server).await, 0);
        let moved = format!("set server {server} addr {} port {}", web01.ip(), web01.port());
        site.haproxy.cmd(&moved).await.expect("HAProxy answers");
        site.wait_for_bits(server, DRAIN).await;
    }
}
