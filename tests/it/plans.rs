//! What a plan makes of a farm that is not as it was thought to be: refused before anything is installed, or gone around.

use crate::site::{finish, until};
use crate::stand::{Stand, since};

const HALVES: &str = "[farm.web]\nmembers = [\"app/*\"]\ngroups = { a = [\"web01\", \"web02\"], b = [\"web03\", \"web04\"] }\n\
                      drain = { grace = \"0s\", deadline = \"10s\" }\n";

fn backend(more: &str) -> String {
    let servers = "server web01 {web01}\n  server web02 {web02}\n  server web03 {web03}\n  server web04 {web04}\n";
    format!("backend app\n  {more}default-server check inter 100ms\n  {servers}")
}

const CANARY: [&str; 10] =
    ["deploy", "web", "--to", "v2", "--strategy", "canary", "--steps", "5%,50%", "--pause", "1s"];

#[tokio::test]
async fn a_share_that_weights_cannot_give_is_refused_before_anything_moves() {
    let stand = Stand::start(&backend("balance source\n  "), HALVES).await;
    let words = if since((2, 6), "the answer by which one knows that a hash takes weights") {
        "`balance source` takes no other weights"
    } else {
        "does not say whether `balance source`"
    };
    for more in [&["--dry-run"][..], &["--", "false"]] {
        let refused = stand.teeter(&[&CANARY[..], more].concat()).await;
        assert_eq!(refused.code, 6, "{refused:?}");
        assert!(refused.err.contains(words) && refused.err.contains("hash-type consistent"), "{refused:?}");
    }
    assert!(stand.json(&["runs"]).await["runs"].as_array().is_some_and(Vec::is_empty));
    if words.starts_with('`') {
        stand.reload(&backend("balance source\n  hash-type consistent\n  ")).await;
        let planned = stand.done(&[&CANARY[..], &["--dry-run"]].concat()).await;
        assert!(planned.contains("share 5% a"), "{planned}");
    }
}

#[tokio::test]
async fn a_server_in_repair_is_left_aside_by_every_strategy_and_named_when_it_comes_back() {
    let stand = Stand::start(&backend(""), HALVES).await;
    for server in ["web01", "web02", "web03", "web04"] {
        stand.haproxy.wait_for_check(&format!("app/{server}")).await.unwrap();
    }
    stand.done(&["maint", "web02", "--reason", "new disk on Friday"]).await;
    for strategy in ["see-saw", "canary", "rolling"] {
        let plan = ["deploy", "web", "--strategy", strategy, "--dry-run"];
        let planned = stand.teeter(&plan).await;
        assert_eq!(planned.code, 0, "{strategy}: {planned:?}");
        assert!(planned.out.contains("left alone: web02 (held by"), "{strategy}: {planned:?}");
        assert!(planned.out.contains("new disk on Friday"), "{strategy}: {planned:?}");
        assert!(!planned.out.contains("work a: web01 web02"), "{strategy}: {planned:?}");
    }
    let refused = stand.teeter(&["deploy", "web", "--without", "db01", "--dry-run"]).await;
    assert_eq!(refused.code, 3, "{refused:?}");
    let refused = stand.teeter(&["deploy", "web", "--without", "web0[34]", "--dry-run"]).await;
    assert_eq!(refused.code, 6, "{refused:?}");
    assert!(refused.err.contains("web03 is left alone (left aside by --without)"), "{refused:?}");
    // While the run is under way the server comes back, as it was.
    let go = stand.dir().join("go");
    let waits = format!("while [ ! -e {} ]; do sleep 0.05; done", go.display());
    let deploy = stand.daemon.spawn(&["deploy", "web", "--without", "web03", "--", "sh", "-c", &waits]);
    until(|| async { stand.json(&["show", "1"]).await["work"]["group"] == "a" }).await;
    assert_eq!(stand.json(&["show", "1"]).await["work"]["servers"], serde_json::json!(["web01"]));
    stand.done(&["ready", "web02"]).await;
    std::fs::write(&go, "").unwrap();
    let ended = finish(deploy).await;
    assert_eq!(ended.code, 0, "{ended:?}");
    for server in ["web02", "web03"] {
        assert!(ended.err.contains(&format!("{server} was left alone and takes traffic")), "{ended:?}");
    }
    let run = stand.json(&["show", "1"]).await;
    assert_eq!(run["remarks"].as_array().map(Vec::len), Some(2), "{run}");
    assert!(stand.recorded("web02 was left alone and takes traffic").await);
}
