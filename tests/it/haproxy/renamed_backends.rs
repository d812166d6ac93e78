//! Lines that come and go under what is worked on: a backend that is renamed, an address that moves.

use crate::fixtures::custom_backends::Stand;
use crate::fixtures::site::{DRAIN, MAINT, until};

const LINES: &str = "  option httpchk GET /_status\n  default-server inter 100ms check\n  server web01 {web01}\n  \
    server web02 {web02}\n  server web03 {web03}\n  server web04 {web04}\n";

const FARM: &str = "[farm.web]\nmembers = [\"app*/*\"]\nhalves = \"auto\"\nverify.http = { path = \"/_status\" }\n\
    [farm.web.drain]\ngrace = \"0s\"\n";

async fn start() -> Stand {
    let stand = Stand::start(&format!("backend app\n{LINES}"), FARM).await;
    for server in ["app/web01", "app/web02", "app/web03", "app/web04"] {
        stand.haproxy.wait_for_status(server, "UP").await.expect("it comes up");
    }
    stand
}

#[tokio::test]
async fn deploy_continues_after_its_backend_is_renamed() {
    let stand = start().await;
    stand.done(&["begin", "web"]).await;
    stand.reload(&format!("backend app2\n{LINES}")).await;
    for server in ["app2/web01", "app2/web02"] {
        stand.wait_for_bits(server, MAINT).await;
    }
    // What is gone keeps nobody from coming back who has another line there.
    let advanced = stand.done(&["advance", "1"]).await;
    assert!(advanced.contains("TEETER_GROUP=b"), "{advanced}");
    stand.done(&["advance", "1"]).await;
    assert_eq!(stand.json(&["show", "1"]).await["state"], "done");
    for server in ["app2/web01", "app2/web02", "app2/web03", "app2/web04"] {
        assert_eq!(stand.bits(server).await, 0, "{server}");
    }
    assert_eq!(stand.holds().await, 0);
}

#[tokio::test]
async fn show_names_a_line_in_traffic_of_a_server_at_work() {
    let stand = start().await;
    stand.done(&["begin", "web"]).await;
    let web01 = stand.app("web01").addr();
    let moved = format!("set server app/web04 addr {} port {}", web01.ip(), web01.port());
    stand.haproxy.cmd(&moved).await.expect("HAProxy answers");
    let said = "note: edge:app/web04 takes requests and is not held: it has the same address";
    until(|| async { stand.done(&["show", "1"]).await.contains(said) }).await;
}

#[tokio::test]
async fn host_hold_covers_lines_that_move_to_its_address() {
    let stand = Stand::start(&format!("backend app\n{LINES}backend api\n{LINES}"), "").await;
    let web01 = stand.app("web01").addr();
    stand.done(&["drain", &format!("host:{web01}"), "--reason", "kernel"]).await;
    for server in ["app/web03", "api/web04"] {
        assert_eq!(stand.bits(server).await, 0);
        let moved = format!("set server {server} addr {} port {}", web01.ip(), web01.port());
        stand.haproxy.cmd(&moved).await.expect("HAProxy answers");
        stand.wait_for_bits(server, DRAIN).await;
    }
}
