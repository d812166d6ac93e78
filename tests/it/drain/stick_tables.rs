//! Clients that stick to a server by a stick table get the grace, like those with a cookie.

use teeter_lab::{App, request};

use crate::fixtures::custom_config::CustomConfig;
use crate::fixtures::site::{finish, until};

const FARM: &str = "[farm.web]\nmembers = [\"app/*\"]\ngroups = { a = [\"w1\"], b = [\"w2\"] }\n\
                    [farm.web.drain]\ngrace = \"1h\"\ndeadline = \"2h\"\n";

#[tokio::test]
async fn grace_lasts_while_the_stick_table_has_entries() {
    let app = |name| async move { App::start(name, "v1").await.expect("it starts") };
    let apps = [app("w1").await, app("w2").await];
    let servers = format!("  server w1 {}\n  server w2 {}\n", apps[0].addr(), apps[1].addr());
    let site = CustomConfig::start(
        |_, front| {
            format!(
                "frontend www\n  bind {front}\n  http-request track-sc0 src table rates\n  \
                 use_backend ws if {{ path_beg /shared }}\n  use_backend plain if {{ path_beg /plain }}\n  \
                 default_backend app\n\
                 backend rates\n  stick-table type ip size 1k expire 5m store http_req_rate(10s)\n\
                 backend shared\n  stick-table type string len 32 size 1k expire 30m\n\
                 backend app\n  stick-table type string len 32 size 1k expire 30m\n  \
                 stick on req.hdr(x-user)\n{servers}\
                 backend ws\n  stick on req.hdr(x-user) table shared\n  server other 127.0.0.1:1 disabled\n{servers}\
                 backend plain\n  stick-table type string len 32 size 1k expire 30m\n  \
                 stick on req.hdr(x-user) if FALSE\n{servers}"
            )
        },
        FARM,
    )
    .await;
    let waits_for_grace = || async { site.json(&["holds"]).await.to_string().contains("sticky clients may go on") };
    // No client sticks to plain/w1, although another table has entries: the drain does not wait.
    request(site.front, "GET", "/plain", &[("x-user", "ann")]).await.expect("it answers");
    let drained = site.daemon.teeter(&["drain", "plain/w1", "--grace", "1h", "--reason", "r"]).await;
    assert_eq!(drained.code, 0, "{drained:?}\n{}", site.daemon.log());
    for user in 0..8 {
        let user = format!("user{user}");
        request(site.front, "GET", "/", &[("x-user", &user)]).await.expect("it answers");
        request(site.front, "GET", "/shared", &[("x-user", &user)]).await.expect("it answers");
    }
    // The backend has a table of its own.
    let begun = site.daemon.spawn(&["begin", "web"]);
    until(waits_for_grace).await;
    site.haproxy.tell("clear table app").await.expect("HAProxy does so");
    let ended = finish(begun).await;
    assert_eq!(ended.code, 0, "{ended:?}\n{}", site.daemon.log());
    // The table has another name than the backend, and the servers have other ids there.
    let drain = site.daemon.spawn(&["drain", "ws/w1", "--grace", "1h", "--deadline", "2h", "--reason", "r"]);
    until(waits_for_grace).await;
    site.haproxy.tell("clear table shared").await.expect("HAProxy does so");
    let ended = finish(drain).await;
    assert_eq!(ended.code, 0, "{ended:?}\n{}", site.daemon.log());
}
