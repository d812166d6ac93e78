//! Clients with a session on a server or a pinned version, with the cookies that HAProxy sets.

use teeter_lab::{Browser, Sample};

use crate::fixtures::site::{MAINT, Site, finish, until};

/// Replaces the grace of the sample by one that a test can wait for.
const SHORT_GRACE: (&str, &str) = ("grace = \"15m\"", "grace = \"3s\"");

/// Sends a request; returns the server and the version that answered.
async fn visit(browser: &mut Browser) -> (String, String) {
    let answer = browser.get("/").await.expect("it answers");
    assert_eq!(answer.status, 200, "{answer:?}");
    (answer.server().to_owned(), answer.version().to_owned())
}

/// A visitor with a session on this server.
async fn visitor_on(site: &Site, server: &str) -> Browser {
    loop {
        let mut browser = Browser::new(site.farm.addr());
        if visit(&mut browser).await.0 == server {
            return browser;
        }
    }
}

#[tokio::test]
async fn session_stays_on_its_server_until_the_grace_ends() {
    let site = Site::start_sample(Sample::RouteSticky, &[SHORT_GRACE]).await;
    let mut old = visitor_on(&site, "web01").await;
    let flip = site.daemon.spawn(&["flip", "web", "b"]);
    until(|| async { site.route("web").await == "web_b" }).await;
    assert_eq!(site.route("web@a").await, "web_a");
    assert!(site.map_file().contains("web@a web_a"), "{}", site.map_file());
    let mut new = Browser::new(site.farm.addr());
    assert!(matches!(visit(&mut new).await.0.as_str(), "web03" | "web04"));
    for _ in 0..20 {
        assert_eq!(visit(&mut old).await.0, "web01");
    }
    // A reload keeps the sessions.
    site.farm.haproxy().reload().await.expect("HAProxy reloads");
    assert_eq!(visit(&mut old).await.0, "web01");
    let ended = finish(flip).await;
    assert_eq!(ended.code, 0, "{ended:?}\n{}", site.daemon.log());
    assert_eq!(site.route("web@a").await, "");
    assert!(!site.map_file().contains("web@a"), "{}", site.map_file());
    let moved = visit(&mut old).await.0;
    assert!(matches!(moved.as_str(), "web03" | "web04"), "{moved}");
    assert!(old.cookie("SRV").is_some_and(|cookie| cookie.starts_with("b.")), "{}", old.cookies());
}

#[tokio::test]
async fn sticky_break_moves_every_client_at_the_flip() {
    let site = Site::start_sample(Sample::RouteSticky, &[("sticky = \"honour\"", "sticky = \"break\"")]).await;
    let mut old = visitor_on(&site, "web02").await;
    let flipped = site.teeter(&["flip", "web", "b"]).await;
    assert_eq!(flipped.code, 0, "{flipped:?}");
    assert!(matches!(visit(&mut old).await.0.as_str(), "web03" | "web04"));
    assert_eq!(site.route("web@a").await, "");
}

#[tokio::test]
async fn client_keeps_its_first_version() {
    let site = Site::start_sample(Sample::Pin, &[("grace = \"1h\"", "grace = \"4s\"")]).await;
    let mut first = Browser::new(site.farm.addr());
    assert_eq!(visit(&mut first).await.1, "v1");
    assert_eq!(first.cookie("release"), Some("v1"));
    let begun = site.teeter(&["begin", "web", "--to", "v2"]).await;
    assert_eq!(begun.code, 0, "{begun:?}\n{}", site.daemon.log());
    assert_eq!(visit(&mut first).await.1, "v1");
    for app in &site.farm.apps()[..2] {
        app.replace("v2").await.expect("it is replaced");
    }
    let advance = site.daemon.spawn(&["advance", "1"]);
    until(|| async { site.route("web").await == "web_a" }).await;
    assert_eq!((site.route("web@v1").await, site.route("web.a").await), ("web_b".to_owned(), "v2".to_owned()));
    // A client that began on v1 keeps v1, a new one begins on v2, and so does one with a forged cookie.
    let mut late = Browser::new(site.farm.addr());
    let mut forger = Browser::new(site.farm.addr());
    forger.forge("release", "v9");
    for _ in 0..20 {
        assert_eq!(visit(&mut first).await.1, "v1");
        assert_eq!(visit(&mut late).await.1, "v2");
        assert_eq!(visit(&mut forger).await.1, "v2");
    }
    assert_eq!((first.cookie("release"), late.cookie("release")), (Some("v1"), Some("v2")));
    let ended = finish(advance).await;
    assert_eq!(ended.code, 0, "{ended:?}\n{}", site.daemon.log());
    // The grace is over.
    assert_eq!(site.route("web@v1").await, "");
    assert_eq!(site.bits().await, [0, 0, MAINT, MAINT]);
    assert_eq!(visit(&mut first).await.1, "v2");
    assert_eq!(first.cookie("release"), Some("v2"));
    for app in &site.farm.apps()[2..] {
        app.replace("v2").await.expect("it is replaced");
    }
    let ended = site.teeter(&["advance", "1"]).await;
    assert_eq!(ended.code, 0, "{ended:?}\n{}", site.daemon.log());
    assert_eq!((site.route("web").await.as_str(), site.route("web.all").await.as_str()), ("web_all", "v2"));
    assert_eq!(visit(&mut first).await.1, "v2");
}

#[tokio::test]
async fn sticky_break_works_without_a_route() {
    for (sticky, stays) in [("honour", true), ("break", false)] {
        // HAProxy generates the values of the cookie.
        let cookie = (
            "balance roundrobin",
            "balance roundrobin\n    dynamic-cookie-key k\n    cookie SRV insert indirect nocache dynamic",
        );
        let extra = vec![(cookie.0.to_owned(), cookie.1.to_owned())];
        let spec = teeter_lab::FarmSpec { extra, ..teeter_lab::FarmSpec::default() };
        let site = Site::start_with(&format!("flip = {{ sticky = {sticky:?} }}"), spec).await;
        let mut old = visitor_on(&site, "web01").await;
        let begin = site.daemon.spawn(&["begin", "web", "--grace", "3s"]);
        until(|| async { site.bits().await[0] != 0 }).await;
        assert_eq!(visit(&mut old).await.0 == "web01", stays, "{sticky}");
        assert_eq!(finish(begin).await.code, 0);
    }
}
