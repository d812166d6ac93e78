//! Visitors with cookies during a switch of a route: those that stick to a server, and those that keep a version.
//!
//! The tests send the commands of teeter, in teeter's order: first the entry that keeps the old visitors, then the
//! route.

use std::io;
use std::net::SocketAddr;
use std::time::{Duration, Instant};

use teeter_lab::{Answer, Browser, FarmSpec, Load, LoadSpec, Sample, TestFarm};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;

const A: [&str; 2] = ["web01", "web02"];
const B: [&str; 2] = ["web03", "web04"];

async fn farm(sample: Sample) -> io::Result<TestFarm> {
    TestFarm::start_spec(FarmSpec { sample, version: "v1".to_owned(), ..FarmSpec::default() }).await
}

/// Changes the map: `add web@a web_a`, `set web web_b`, `del web@a`.
async fn map(farm: &TestFarm, change: &str) -> io::Result<()> {
    let (verb, rest) = change.split_once(' ').expect("a verb");
    farm.haproxy().tell(&format!("{verb} map {} {rest}", farm.map().display())).await
}

/// A new visitor that has sent one request.
async fn visitor(farm: &TestFarm) -> io::Result<(Browser, Answer)> {
    let mut browser = Browser::new(farm.addr());
    let answer = browser.get("/").await?;
    assert_eq!(answer.status, 200);
    Ok((browser, answer))
}

/// A visitor whose session is on one of these servers, and that server.
async fn visitor_on(farm: &TestFarm, names: [&str; 2]) -> io::Result<(Browser, String)> {
    loop {
        let (browser, answer) = visitor(farm).await?;
        if names.contains(&answer.server()) {
            return Ok((browser, answer.server().to_owned()));
        }
    }
}

/// Waits until these backends have no requests in flight, then installs a version on these servers.
async fn replace(farm: &TestFarm, backends: [&str; 2], names: [&str; 2], version: &str) -> io::Result<()> {
    for backend in backends.into_iter().chain(backends) {
        farm.haproxy().wait_for(&format!("{backend}/BACKEND"), "scur", |now| now == "0").await?;
    }
    for name in names {
        farm.app(name).replace(version).await?;
    }
    farm.all_up().await
}

/// Sends a request with any bytes as its cookie, and returns the answer unchanged.
async fn raw(target: SocketAddr, cookie: &[u8]) -> io::Result<String> {
    let mut stream = TcpStream::connect(target).await?;
    let head = [b"GET / HTTP/1.1\r\nHost: lab\r\nConnection: close\r\nCookie: ", cookie, b"\r\n\r\n"].concat();
    stream.write_all(&head).await?;
    let mut answer = Vec::new();
    stream.read_to_end(&mut answer).await?;
    Ok(String::from_utf8_lossy(&answer).into_owned())
}

fn served_by(answer: &str, names: [&str; 2]) -> bool {
    answer.starts_with("HTTP/1.1 200") && names.iter().any(|name| answer.contains(&format!("x-server: {name}\r\n")))
}

#[tokio::test]
async fn a_visitor_stays_on_the_server_until_the_grace_ends() -> io::Result<()> {
    let farm = farm(Sample::RouteSticky).await?;
    let (mut old, server) = visitor_on(&farm, A).await?;
    let (mut other, other_server) = visitor_on(&farm, B).await?;
    let cookie = format!("a.{server}");
    assert_eq!(old.cookie("SRV"), Some(cookie.as_str()));

    map(&farm, "add web@a web_a").await?;
    map(&farm, "set web web_b").await?;
    for _ in 0..5 {
        let answer = old.get("/").await?;
        assert_eq!((answer.server(), answer.field("set-cookie")), (server.as_str(), ""));
        assert_eq!(other.get("/").await?.server(), other_server);
        let (new, answer) = visitor(&farm).await?;
        assert!(B.contains(&answer.server()), "{answer:?}");
        assert_eq!(new.cookie("SRV"), Some(format!("b.{}", answer.server()).as_str()));
    }
    assert_eq!(old.open("/ws").await?.answer().server(), server);

    map(&farm, "del web@a").await?;
    let answer = old.get("/").await?;
    assert!(B.contains(&answer.server()), "{answer:?}");
    let (server, cookie) = (answer.server().to_owned(), format!("b.{}", answer.server()));
    assert_eq!(old.cookie("SRV"), Some(cookie.as_str()));
    assert!(answer.field("set-cookie").ends_with("path=/; HttpOnly; SameSite=Lax"), "{answer:?}");
    map(&farm, "set web web_all").await?;
    assert_eq!(old.get("/").await?.server(), server, "a session stays on its server in the other backend");
    assert_eq!(other.get("/").await?.server(), other_server);
    Ok(())
}

#[tokio::test]
async fn a_load_with_cookies_fails_no_request_and_moves_only_at_the_end_of_a_grace() -> io::Result<()> {
    let farm = farm(Sample::RouteSticky).await?;
    let load = Load::start(LoadSpec { cookies: true, ..LoadSpec::new(farm.addr()) })?;
    assert!(load.more(500).await);
    let mut ends = Vec::new();
    for (kept, names, live) in [("a", A, "b"), ("b", B, "a"), ("a", A, "b")] {
        map(&farm, &format!("add web@{kept} web_{kept}")).await?;
        map(&farm, &format!("set web web_{live}")).await?;
        assert!(load.more(300).await);
        let begun = Instant::now();
        map(&farm, &format!("del web@{kept}")).await?;
        ends.push((names, begun, Instant::now()));
        assert!(load.more(300).await);
    }
    let report = load.stop().await?;
    assert_eq!(report.failed().len(), 0, "{report}");
    let at = |nanos| report.started + Duration::from_nanos(nanos);
    let mut moves = 0;
    for conn in 0..8 {
        let records: Vec<_> = report.records.iter().filter(|record| record.conn == conn).collect();
        for (was, is) in records.iter().zip(records.iter().skip(1)) {
            let (old, new) = (report.server(was), report.server(is));
            if old == new {
                continue;
            }
            moves += 1;
            // A client leaves its server only for the other half, and only when its grace ends.
            let allowed = ends.iter().any(|(names, begun, done)| {
                names.contains(&old) && !names.contains(&new) && at(was.sent) <= *done && *begun <= at(is.answered)
            });
            assert!(allowed, "client {conn} went from {old} to {new} at {:?}\n{report}", at(is.sent) - report.started);
        }
    }
    assert!(moves >= 8, "{moves} moves of 8 clients in 3 flips\n{report}");
    Ok(())
}

#[tokio::test]
async fn a_session_outlives_a_drain_but_not_its_server() -> io::Result<()> {
    let farm = farm(Sample::RouteSticky).await?;
    let (mut old, server) = visitor_on(&farm, A).await?;
    map(&farm, "add web@a web_a").await?;
    map(&farm, "set web web_b").await?;
    for name in A {
        farm.haproxy().tell(&format!("set server web_a/{name} state drain")).await?;
    }
    assert_eq!(old.get("/").await?.server(), server);
    for name in A {
        farm.haproxy().tell(&format!("set server web_a/{name} state ready")).await?;
    }
    farm.app(&server).stop().await?;
    // Before the checks notice it, the connection is refused, and HAProxy tries another server of the half.
    let answer = old.get("/").await?;
    assert_eq!(answer.status, 200);
    assert!(A.contains(&answer.server()) && answer.server() != server, "{answer:?}");
    farm.haproxy().wait_for(&format!("web_a/{server}"), "status", |now| now == "DOWN").await?;
    let answer = old.get("/").await?;
    assert!(A.contains(&answer.server()) && answer.server() != server, "{answer:?}");
    assert_eq!(old.cookie("SRV"), Some(format!("a.{}", answer.server()).as_str()));
    Ok(())
}

#[tokio::test]
async fn a_forged_cookie_follows_the_route() -> io::Result<()> {
    let farm = farm(Sample::RouteSticky).await?;
    map(&farm, "add web@a web_a").await?;
    map(&farm, "set web web_b").await?;
    let long = format!("SRV={}", "a".repeat(6000));
    let texts = ["", "SRV", "SRV=", "SRV=.", "SRV=.web01", "SRV=A.web01", "SRV=web_a", "SRV=@a", "SRV=web@a.web01"];
    let texts = texts.into_iter().chain(["SRV=x.web01", "SRV=\"a.web01\"", "SRV=aa.web01", "srv=a.web01", &long]);
    let bytes: [&[u8]; 4] = [b"SRV=\xff\xfe.web01", b"SRV=a\x01.web01", b"SRV=%61.web01", b"SRV=a\t.web01"];
    for cookie in texts.map(str::as_bytes).chain(bytes) {
        let answer = raw(farm.addr(), cookie).await?;
        assert!(served_by(&answer, B), "{:?}\n{answer}", String::from_utf8_lossy(cookie));
    }
    // These name the old half, which serves them until the grace ends.
    for cookie in ["SRV=a", "SRV=a.", "SRV=a.absent", "SRV=a.web03", "SRV=a.web01.more", "SRV=b.web03; SRV=a.web01"] {
        let answer = raw(farm.addr(), cookie.as_bytes()).await?;
        assert!(served_by(&answer, A), "{cookie}\n{answer}");
    }
    let answer = raw(farm.addr(), b"SRV=a.web01; SRV=b.web03").await?;
    assert!(served_by(&answer, B), "the last one counts\n{answer}");
    map(&farm, "del web@a").await?;
    assert!(served_by(&raw(farm.addr(), b"SRV=a.web01").await?, B));
    Ok(())
}

#[tokio::test]
async fn a_client_stays_on_the_version_it_started_on() -> io::Result<()> {
    let farm = farm(Sample::Pin).await?;
    let (mut old, answer) = visitor(&farm).await?;
    assert_eq!(answer.version(), "v1");
    assert_eq!(answer.field("set-cookie"), "release=v1; Path=/; Max-Age=86400; HttpOnly; SameSite=Lax");
    assert_eq!(answer.field("cache-control"), "private");
    let answer = old.get("/").await?;
    assert_eq!((answer.field("set-cookie"), answer.field("cache-control")), ("", ""), "the cookie is set once");

    // The work on half a. Both halves run v1, so no visitor needs an entry.
    map(&farm, "set web web_b").await?;
    replace(&farm, ["web_a", "web_all"], A, "v2").await?;
    map(&farm, "set web.a v2").await?;
    assert_eq!(old.get("/").await?.version(), "v1");
    // The flip.
    map(&farm, "add web@v1 web_b").await?;
    map(&farm, "set web web_a").await?;
    let (mut new, answer) = visitor(&farm).await?;
    assert_eq!((answer.version(), new.cookie("release")), ("v2", Some("v2")));
    for _ in 0..5 {
        let (was, is) = (old.get("/").await?, new.get("/").await?);
        assert_eq!((was.version(), was.field("set-cookie")), ("v1", ""));
        assert_eq!((is.version(), is.field("set-cookie")), ("v2", ""));
    }
    assert_eq!(old.open("/ws").await?.answer().version(), "v1");
    assert_eq!(new.open("/ws").await?.answer().version(), "v2");
    // The end of the grace.
    map(&farm, "del web@v1").await?;
    let answer = old.get("/").await?;
    assert_eq!((answer.version(), old.cookie("release")), ("v2", Some("v2")));
    // The work on half b, then all servers serve.
    replace(&farm, ["web_b", "web_all"], B, "v2").await?;
    for change in ["set web.b v2", "set web.all v2", "set web web_all"] {
        map(&farm, change).await?;
    }
    for browser in [&mut old, &mut new] {
        for _ in 0..4 {
            let answer = browser.get("/").await?;
            assert_eq!((answer.version(), answer.field("set-cookie")), ("v2", ""));
        }
    }
    assert_eq!(farm.broken(), 0);
    Ok(())
}

#[tokio::test]
async fn clients_of_a_load_change_their_version_once() -> io::Result<()> {
    let farm = farm(Sample::Pin).await?;
    let load = Load::start(LoadSpec { cookies: true, ..LoadSpec::new(farm.addr()) })?;
    assert!(load.more(500).await);
    map(&farm, "set web web_b").await?;
    replace(&farm, ["web_a", "web_all"], A, "v2").await?;
    map(&farm, "set web.a v2").await?;
    map(&farm, "add web@v1 web_b").await?;
    map(&farm, "set web web_a").await?;
    let newcomers = Load::start(LoadSpec { cookies: true, connections: 2, ..LoadSpec::new(farm.addr()) })?;
    assert!(newcomers.more(200).await && load.more(200).await);
    let report = newcomers.stop().await?;
    assert_eq!((report.failed().len(), report.answers_of("v1").count()), (0, 0), "{report}");
    let before = load.count();
    map(&farm, "del web@v1").await?;
    assert!(load.more(200).await);
    let report = load.stop().await?;
    assert_eq!(report.failed().len(), 0, "{report}");
    assert!(report.answers_of("v1").count() as u64 >= before, "no old client got v2 before the end\n{report}");
    assert_eq!(report.inversions("v1", "v2").causal, 0, "{report}");
    Ok(())
}

#[tokio::test]
async fn a_forged_version_follows_the_route() -> io::Result<()> {
    let farm = farm(Sample::Pin).await?;
    map(&farm, "set web web_b").await?;
    replace(&farm, ["web_a", "web_all"], A, "v2").await?;
    for change in ["set web.a v2", "add web@v1 web_b", "set web web_a"] {
        map(&farm, change).await?;
    }
    let long = format!("release={}", "v1".repeat(3000));
    let texts = ["", "release", "release=", "release=v0", "release=V1", "release=\"v1\"", "release=v1.", "release=@v1"];
    let texts = texts.into_iter().chain(["release=web_b", "Release=v1", "release=v1; release=v9", &long]);
    let bytes: [&[u8]; 3] = [b"release=\xff\xfe", b"release=v1\x01", b"release=%76%31"];
    for cookie in texts.map(str::as_bytes).chain(bytes) {
        let answer = raw(farm.addr(), cookie).await?;
        assert!(served_by(&answer, A), "{:?}\n{answer}", String::from_utf8_lossy(cookie));
        assert!(answer.contains("release=v2; Path=/"), "{:?}\n{answer}", String::from_utf8_lossy(cookie));
    }
    let mut forger = Browser::new(farm.addr());
    forger.forge("release", "v1");
    assert_eq!(forger.get("/").await?.version(), "v1", "a forged cookie may name a version in service");
    Ok(())
}

#[tokio::test]
async fn a_version_that_is_down_lets_its_visitors_go_for_good() -> io::Result<()> {
    let farm = farm(Sample::Pin).await?;
    let (mut old, _) = visitor(&farm).await?;
    map(&farm, "set web web_b").await?;
    replace(&farm, ["web_a", "web_all"], A, "v2").await?;
    for change in ["set web.a v2", "add web@v1 web_b", "set web web_a"] {
        map(&farm, change).await?;
    }
    assert_eq!(old.get("/").await?.version(), "v1");
    for name in B {
        farm.app(name).stop().await?;
        farm.haproxy().wait_for_status(&format!("web_b/{name}"), "DOWN").await?;
    }
    let answer = old.get("/").await?;
    assert_eq!((answer.version(), old.cookie("release")), ("v2", Some("v2")));
    for name in B {
        farm.app(name).start_again().await?;
    }
    farm.all_up().await?;
    assert_eq!(old.get("/").await?.version(), "v2");
    Ok(())
}

#[tokio::test]
async fn a_slow_answer_names_the_version_that_made_it() -> io::Result<()> {
    let farm = farm(Sample::Pin).await?;
    map(&farm, "set web web_b").await?;
    let mut slow = Browser::new(farm.addr());
    let answer = tokio::spawn(async move { slow.get("/slow?ms=500").await });
    farm.haproxy().wait_for("web_b/BACKEND", "scur", |now| now == "1").await?;
    map(&farm, "set web.b v2").await?;
    let answer = answer.await.map_err(io::Error::other)??;
    assert!(answer.field("set-cookie").starts_with("release=v1;"), "{answer:?}");
    Ok(())
}
