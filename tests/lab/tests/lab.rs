//! Tests of the lab itself: its counts must be correct before other tests rely on them.

use std::io;
use std::time::Duration;

use teeter_lab::sample::render;
use teeter_lab::{App, FarmSpec, Haproxy, Held, Load, LoadSpec, Sample, TestFarm, get, request};
use tokio::time::{sleep, timeout};

/// Waits for a condition, ten seconds at most.
async fn until(what: &str, met: impl Fn() -> bool) {
    let wait = async {
        while !met() {
            sleep(Duration::from_millis(2)).await;
        }
    };
    assert!(timeout(Duration::from_secs(10), wait).await.is_ok(), "{what}");
}

#[tokio::test]
async fn an_app_reports_its_name_version_and_health() -> io::Result<()> {
    let app = App::start("web01", "v1").await?;
    let answer = get(app.addr(), "/").await?;
    assert_eq!((answer.status, answer.body.as_str()), (200, "web01 v1\n"));
    assert_eq!((answer.version(), answer.server()), ("v1", "web01"));
    app.set_healthy(false);
    assert_eq!(get(app.addr(), "/_status").await?.status, 503);
    request(app.admin_addr(), "POST", "/healthy", &[]).await?;
    assert_eq!(get(app.addr(), "/_status").await?.status, 200);
    assert_eq!(request(app.addr(), "HEAD", "/_status", &[]).await?.body, "");
    assert_eq!(get(app.addr(), "/nothing").await?.status, 404);
    let stream = get(app.addr(), "/stream?ms=250").await?;
    assert_eq!(stream.body, "tick\ntick\n");
    Ok(())
}

#[tokio::test]
async fn a_replacement_cuts_off_requests_in_flight_and_counts_them() -> io::Result<()> {
    let app = App::start("web01", "v1").await?;
    let addr = app.addr();
    let slow = tokio::spawn(async move { get(addr, "/slow?ms=60000").await });
    let mut held = Held::open(addr, "/ws", &[]).await?;
    held.echo(b"hello").await?;
    until("two in flight", || app.in_flight() == 2).await;
    let answer = request(app.admin_addr(), "POST", "/replace?version=v2", &[]).await?;
    assert_eq!(answer.status, 200, "{}", answer.body);
    held.closed().await;
    assert!(slow.await.is_ok_and(|answer| answer.is_err()));
    assert_eq!((app.in_flight(), app.broken()), (0, 2));
    assert_eq!(get(addr, "/").await?.version(), "v2");
    let log = app.log_of_replacements();
    assert_eq!(log.len(), 1);
    assert!(log.iter().all(|replacement| replacement.in_flight == 2 && replacement.version == "v2"));
    Ok(())
}

#[tokio::test]
async fn a_stopped_app_refuses_connections() -> io::Result<()> {
    let app = App::start("web01", "v1").await?;
    app.stop().await?;
    assert!(get(app.addr(), "/").await.is_err());
    app.start_again().await?;
    assert_eq!(get(app.addr(), "/").await?.status, 200);
    assert_eq!(app.broken(), 0);
    Ok(())
}

#[tokio::test]
async fn a_load_records_every_request() -> io::Result<()> {
    let app = App::start("web01", "v1").await?;
    let mut spec = LoadSpec::new(app.addr());
    spec.slow_every = Some((50, "/slow?ms=20".to_owned()));
    let load = Load::start(spec)?;
    assert!(load.more(2000).await);
    let report = load.stop().await?;
    assert_eq!(report.failed().len(), 0, "{report}");
    assert_eq!(report.requests() as u64, app.served());
    assert!(report.longest() >= Duration::from_millis(20));
    assert_eq!(report.by_version().get("v1"), Some(&report.requests()));
    assert!(report.inversions("v0", "v1").causal == 0);
    Ok(())
}

#[tokio::test]
async fn a_load_records_failures() -> io::Result<()> {
    let app = App::start("web01", "v1").await?;
    let load = Load::start(LoadSpec { path: "/slow?ms=60000".to_owned(), ..LoadSpec::new(app.addr()) })?;
    until("all in flight", || app.in_flight() == 8).await;
    app.stop().await?;
    until("all failed", || load.failures() >= 8).await;
    let report = load.stop().await?;
    assert_eq!(app.broken(), 8);
    assert!(report.failed().iter().all(|record| record.status == 0));
    Ok(())
}

#[tokio::test]
async fn a_reload_starts_a_new_process() -> io::Result<()> {
    for master in [false, true] {
        let farm = TestFarm::start_spec(FarmSpec { version: "v1".to_owned(), master, ..FarmSpec::default() }).await?;
        let haproxy = farm.haproxy();
        haproxy.cmd("set server app/web01 state drain").await?;
        assert_eq!(haproxy.server_admin_bits("app/web01").await?, 8);
        assert_eq!(haproxy.server_admin_bits("api/web01").await?, 16);
        assert_eq!(haproxy.stat("app/web01").await?["status"], "DRAIN");
        let old = haproxy.pid().await?;
        let load = Load::start(LoadSpec::new(farm.addr()))?;
        assert!(load.more(1000).await);
        haproxy.reload().await?;
        assert!(load.more(1000).await);
        assert_ne!(haproxy.pid().await?, old);
        assert_eq!(haproxy.server_admin_bits("app/web01").await?, 0);
        let report = load.stop().await?;
        assert_eq!(report.failed().len(), 0, "{report}");
        if master {
            let processes = teeter_lab::haproxy::ask(&haproxy.master_socket(), "show proc").await?;
            assert!(processes.contains("# workers"), "{processes}");
        }
        let old = haproxy.pid().await?;
        haproxy.restart().await?;
        assert_ne!(haproxy.pid().await?, old);
        farm.all_up().await?;
        assert_eq!(get(farm.addr(), "/api/").await?.version(), "v1");
        let pids = haproxy.pids();
        drop(farm);
        assert!(!pids.is_empty());
        for pid in pids {
            let stat = std::fs::read_to_string(format!("/proc/{pid}/stat")).unwrap_or_default();
            assert!(stat.is_empty() || stat.contains(") Z "), "{stat}");
        }
    }
    Ok(())
}

#[tokio::test]
async fn a_paused_haproxy_does_not_answer() -> io::Result<()> {
    let farm = TestFarm::start("v1").await?;
    farm.haproxy().pause()?;
    let answered = timeout(Duration::from_millis(200), farm.haproxy().pid()).await;
    assert!(answered.is_err());
    farm.haproxy().resume()?;
    assert!(farm.haproxy().pid().await.is_ok());
    Ok(())
}

#[tokio::test]
async fn a_failed_start_is_reported_with_its_reason() -> io::Result<()> {
    let dir = tempfile::tempdir()?;
    let error = Haproxy::start(dir.path(), "global\n    nonsense here\n").await;
    assert!(error.is_err_and(|error| error.to_string().contains("nonsense")));
    Ok(())
}

#[tokio::test]
async fn the_hook_replaces_the_servers_of_its_environment() -> io::Result<()> {
    let farm = TestFarm::start("v1").await?;
    let hook = farm.write_hook(farm.dir())?;
    let status = tokio::process::Command::new(hook)
        .env("TEETER_SERVERS", "web01 web03")
        .env("TEETER_VERSION", "v2")
        .status()
        .await?;
    assert!(status.success());
    assert_eq!(farm.versions(), ["v2", "v1", "v2", "v1"]);
    Ok(())
}

#[test]
fn haproxy_accepts_the_sample() -> io::Result<()> {
    let dir = tempfile::tempdir()?;
    let path = dir.path().join("servers.cfg");
    let socket = dir.path().join("admin.sock");
    std::fs::write(&path, render(Sample::servers(), &socket, 8080, &[], &[])?)?;
    assert_eq!(Haproxy::check_config(&path), Ok(()));
    Ok(())
}

#[test]
fn an_unknown_name_in_a_selection_fails_and_lists_the_names() {
    for (args, words) in [
        (["chaos", "--only", "no-such-fault"], "there is no fault no-such-fault; there are: "),
        (["chaos", "--way", "no-such-way"], "there is no way no-such-way; there are: "),
        (["drains", "--only", "no-such-kind"], "there is no kind of traffic no-such-kind; there are: "),
    ] {
        let output = std::process::Command::new(env!("CARGO_BIN_EXE_lab")).args(args).output().unwrap();
        let printed = String::from_utf8_lossy(&output.stderr).into_owned();
        assert!(!output.status.success() && printed.contains(words), "{args:?}: {printed}");
    }
}
