//! Clients that stick to a server by a stick table have their grace, as those with a cookie do.

use teeter_lab::{App, request};

use crate::fixtures::custom_config::Given;
use crate::fixtures::site::{finish, until};

const FARM: &str = "[farm.web]\nmembers = [\"app/*\"]\ngroups = { a = [\"w1\"], b = [\"w2\"] }\n\
                    [farm.web.drain]\ngrace = \"1h\"\ndeadline = \"2h\"\n";

#[tokio::test]
async fn grace_lasts_while_the_stick_table_has_entries() {
    let app = |name| async move { App::start(name, "v1").await.expect("it starts") };
    let apps = [app("w1").await, app("w2").await];
    let servers = format!("  server w1 {}\n  server w2 {}\n", apps[0].addr(), apps[1].addr());
    let it = Given::start(
        |_, front| {
            format!(
                "frontend www\n  bind {front}\n  http-request track-sc0 src table rates\n  \
                 use_backend ws if {{ path_beg /shared }}\n  use_backend plain if {{ path_beg /plain }}\n  \
                 default_backend app\n\
                 backend rates\n  stick-table type ip size 1k expire 5m store http_req_rate(10s)\n\
                 backend shared\n  stick-table type string len 32 size 1k expire 30m\n\
                 backend app\n  stick-table type string len 32 size 1k expire 30m\n  stick on req.hdr(x-user)\n{servers}\
                 backend ws\n  stick on req.hdr(x-user) table shared\n  server other 127.0.0.1:1 disabled\n{servers}\
                 backend plain\n  stick-table type string len 32 size 1k expire 30m\n  \
                 stick on req.hdr(x-user) if FALSE\n{servers}"
            )
        },
        FARM,
    )
    .await;
    let stuck = || async { it.json(&["holds"]).await.to_string().contains("sticky clients may go on") };
    // Nobody sticks to it yet, though another table has entries: nothing is waited for.
    request(it.front, "GET", "/plain", &[("x-user", "ann")]).await.expect("it answers");
    let drained = it.daemon.teeter(&["drain", "plain/w1", "--grace", "1h", "--reason", "r"]).await;
    assert_eq!(drained.code, 0, "{drained:?}\n{}", it.daemon.log());
    for user in 0..8 {
        let user = format!("user{user}");
        request(it.front, "GET", "/", &[("x-user", &user)]).await.expect("it answers");
        request(it.front, "GET", "/shared", &[("x-user", &user)]).await.expect("it answers");
    }
    // By a table of its own.
    let begun = it.daemon.spawn(&["begin", "web"]);
    until(stuck).await;
    it.haproxy.tell("clear table app").await.expect("HAProxy does so");
    let ended = finish(begun).await;
    assert_eq!(ended.code, 0, "{ended:?}\n{}", it.daemon.log());
    // By one that is not called as the backend, and has the servers by other numbers.
    let drain = it.daemon.spawn(&["drain", "ws/w1", "--grace", "1h", "--deadline", "2h", "--reason", "r"]);
    until(stuck).await;
    it.haproxy.tell("clear table shared").await.expect("HAProxy does so");
    let ended = finish(drain).await;
    assert_eq!(ended.code, 0, "{ended:?}\n{}", it.daemon.log());
}
