//! The verification of a server before it takes traffic: its version or build time, TLS, and the warm-up.

use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use teeter_lab::{App, FarmSpec, Load, LoadSpec};
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::TcpListener;
use tokio_rustls::TlsAcceptor;
use tokio_rustls::rustls::ServerConfig;
use tokio_rustls::rustls::crypto::ring;
use tokio_rustls::rustls::pki_types::pem::PemObject as _;
use tokio_rustls::rustls::pki_types::{CertificateDer, PrivateKeyDer};

use crate::fixtures::certificate_authority::Authority;
use crate::fixtures::exit;
use crate::fixtures::site::{MAINT, Site, check_config, edited, finish, until};

/// The request of the site's farm, with the version in a header.
const HEADER: &str = r#"verify.http = { path = "/_status", version = { header = "x-version" } }"#;

/// A request whose answer has the version in the body.
fn about(version: &str) -> String {
    format!(r#"verify.http = {{ path = "/_about", version = {version} }}"#)
}

/// A site with these settings of the verification and a short deadline.
async fn site_with(verify: &str) -> Site {
    let site = Site::start_with("verify.deadline = \"6s\"", FarmSpec::default()).await;
    replace_setting(&site, HEADER, verify).await;
    site
}

/// Replaces a part of teeterd's configuration.
async fn replace_setting(site: &Site, before: &str, after: &str) {
    site.daemon.reconfigure(|toml| edited(toml, &[(before, after)])).await;
}

/// Deploys a version to all servers; returns the versions that the run has recorded.
async fn deploy(site: &Site, version: &str) -> String {
    let ended = site.teeter(&["deploy", "web", "--to", version, "--", &site.hook()]).await;
    assert_eq!(ended.code, 0, "{ended:?}\n{}", site.daemon.log());
    assert_eq!(site.farm.versions(), [version; 4]);
    assert_eq!(site.bits().await, [0; 4]);
    site.json(&["show"]).await["versions"].to_string()
}

#[tokio::test]
async fn version_is_read_from_a_body() {
    let (json, regex) = (about("{ json = \"/app/version\" }"), about("{ regex = '\"version\":\"(v[0-9]+)\"' }"));
    let site = site_with(&json).await;
    assert_eq!(deploy(&site, "v2").await.matches("v2").count(), 4);
    replace_setting(&site, &json, &regex).await;
    assert_eq!(deploy(&site, "v3").await.matches("v3").count(), 4);
    // The verification recognises the old version.
    let ended = site.teeter(&["deploy", "web", "--to", "v4", "--", "true"]).await;
    assert_eq!(ended.code, exit::FAILED, "{ended:?}");
    assert!(ended.err.contains("runs v3 and not v4"), "{ended:?}");
}

#[tokio::test]
async fn probe_without_a_version_is_refused_before_any_change() {
    let (page, pointer) =
        (r#"{ path = "/_status", version = { json = "/version" } }"#, about("{ json = \"/version\" }"));
    let site = site_with(&format!("verify.http = {page}")).await;
    let ended = site.teeter(&["deploy", "web", "--", "true"]).await;
    assert_eq!(ended.code, exit::REFUSED, "{ended:?}");
    assert!(ended.err.contains("not JSON") && ended.err.contains(r#""healthy\n""#), "{ended:?}");
    replace_setting(&site, &format!("verify.http = {page}"), &pointer).await;
    let ended = site.teeter(&["deploy", "web", "--", "true"]).await;
    assert_eq!(ended.code, exit::REFUSED, "{ended:?}");
    assert!(ended.err.contains("nothing at \"/version\""), "{ended:?}");
    assert_eq!(site.bits().await, [0; 4]);
}

#[tokio::test]
async fn build_time_verifies_the_new_build() {
    let header = about("{ built = { header = \"x-built\" } }");
    let site = site_with(&header).await;
    // The version name is only for the hook: the verification compares build times.
    deploy(&site, "v2").await;
    assert!(site.teeter(&["show"]).await.out.contains("by its build time"));
    replace_setting(&site, &header, &about("{ built = { json = \"/built\" } }")).await;
    let ended = site.teeter(&["deploy", "web", "--", "true"]).await;
    assert_eq!(ended.code, exit::FAILED, "{ended:?}");
    assert!(ended.err.contains("was built 20") && ended.err.contains("before the run began"), "{ended:?}");
    assert_eq!(site.bits().await, [MAINT, MAINT, 0, 0]);
    // An abort brings back servers that are as old as those in service.
    let ended = site.teeter(&["abort", "2"]).await;
    assert_eq!(ended.code, 0, "{ended:?}");
    assert_eq!(site.bits().await, [0; 4]);
    // It brings back no server with a new build while the old build serves.
    let hook = format!("TEETER_VERSION=v3 {}; exit 1", site.hook());
    assert_eq!(site.teeter(&["deploy", "web", "--", "sh", "-c", &hook]).await.code, exit::FAILED);
    let ended = site.teeter(&["abort", "3"]).await;
    assert!(ended.out.contains("web01") && ended.out.contains("web02"), "{ended:?}");
    assert_eq!(site.bits().await, [MAINT, MAINT, 0, 0]);
}

#[tokio::test]
async fn cold_server_gets_no_traffic() {
    let warm_up = "verify.warm_up = { paths = [\"/\", \"/api/\"], below = \"250ms\", in_a_row = 2, requests = 8 }";
    let site = site_with(&format!("{HEADER}\n{warm_up}")).await;
    site.farm.apps().iter().for_each(|app| app.set_cold(4, Duration::from_millis(500)));
    let load = Load::start(LoadSpec { pause: Duration::from_millis(2), ..LoadSpec::new(site.farm.addr()) });
    let load = load.expect("load starts");
    load.more(200).await;
    deploy(&site, "v2").await;
    load.more(200).await;
    let report = load.stop().await.expect("load ends");
    assert!(report.failed().is_empty(), "{report}");
    assert_eq!(report.by_version().len(), 2, "{report}");
    assert_eq!(site.farm.apps().iter().map(App::cold_visitors).collect::<Vec<_>>(), [0; 4]);
    let shown = site.teeter(&["events", "--limit", "500"]).await.out;
    assert!(shown.contains("probes passed; warming up") && shown.contains("warm; HAProxy's checks"), "{shown}");
}

#[tokio::test]
async fn rolling_deploy_warms_up_each_server_and_checks_all_build_times_at_the_end() {
    let warm_up = "verify.warm_up = { paths = [\"/\"], below = \"199ms\" }\nrolling.settle = \"100ms\"";
    let site = site_with(&format!("{}\n{warm_up}", about("{ built = { json = \"/built\" } }"))).await;
    site.farm.apps().iter().for_each(|app| app.set_cold(2, Duration::from_millis(300)));
    let args = ["deploy", "web", "--strategy", "rolling", "--to", "v2", "--", &site.hook()];
    let ended = site.teeter(&args).await;
    assert_eq!(ended.code, 0, "{ended:?}\n{}", site.daemon.log());
    let events = site.teeter(&["events", "--limit", "500"]).await.out;
    assert_eq!(events.matches("warm; HAProxy's checks must pass").count(), 4, "{events}");
    assert_eq!(site.farm.apps().iter().map(App::cold_visitors).collect::<Vec<_>>(), [0; 4]);

    assert_eq!((site.farm.versions(), site.bits().await), (vec!["v2".to_owned(); 4], vec![0; 4]));
}

#[tokio::test]
async fn warm_up_deadline_fails_or_proceeds() {
    let warm_up =
        |policy: &str| format!("warm_up = {{ paths = [\"/\"], below = \"99ms\", deadline = \"3s\", {policy} }}");
    let (proceed, fail) = (warm_up("on_deadline = \"proceed\""), warm_up("in_a_row = 2"));
    let site = site_with(&format!("{HEADER}\nverify.{proceed}")).await;
    site.farm.apps().iter().for_each(|app| app.set_cold(usize::MAX, Duration::from_millis(200)));
    deploy(&site, "v2").await;
    let events = site.teeter(&["events", "--limit", "500"]).await.out;
    assert!(events.contains("a is healthy, except not warm: web01 GET / took "), "{events}");
    replace_setting(&site, &proceed, &fail).await;
    let deploy = site.daemon.spawn(&["deploy", "web", "--to", "v3", "--", &site.hook()]);
    let waiting = || async { site.json(&["show"]).await["waiting"].to_string() };
    until(|| async { waiting().await.contains("warming up: web01 ") }).await;
    assert_eq!(site.bits().await, [MAINT, MAINT, 0, 0]);
    let ended = finish(deploy).await;
    assert_eq!(ended.code, exit::FAILED, "{ended:?}");
    assert!(ended.err.contains("GET / took") && ended.err.contains("request, not below 99 ms"), "{ended:?}");
    assert_eq!(site.bits().await, [MAINT, MAINT, 0, 0]);
    // An abort needs no warm-up: servers with the version in service come back at once.
    for name in ["web01", "web02"] {
        site.farm.app(name).replace("v2").await.expect("it is replaced");
    }
    assert_eq!(site.teeter(&["abort", "2"]).await.code, 0);
    assert_eq!(site.bits().await, [0; 4]);
}

#[tokio::test]
async fn warm_up_continues_after_a_killed_daemon() {
    let warm_up = "verify.warm_up = { paths = [\"/\"], below = \"199ms\", deadline = \"50s\" }";
    let mut site = site_with(&format!("{HEADER}\n{warm_up}")).await;
    site.farm.apps().iter().for_each(|app| app.set_cold(usize::MAX, Duration::from_millis(200)));
    assert_eq!(site.teeter(&["begin", "web"]).await.code, 0);
    for name in ["web01", "web02"] {
        site.farm.app(name).replace("v2").await.expect("it is replaced");
    }
    let advance = site.daemon.spawn(&["advance", "1"]);
    until(|| async { site.json(&["show"]).await["waiting"].to_string().contains("warming up") }).await;
    site.daemon.kill().await;
    drop(advance);
    for name in ["web01", "web02"] {
        let app = site.farm.app(name);
        app.set_cold(0, Duration::ZERO);
        app.replace("v2").await.expect("it is replaced");
    }
    site.daemon.restart().await;
    until(|| async { site.json(&["show"]).await["work"]["group"] == "b" }).await;
    assert_eq!(site.bits().await, [0, 0, MAINT, MAINT]);
}

/// Starts a TLS server that answers each request with 200; returns its port.
async fn tls_server(certificate: &Path) -> u16 {
    let chain: Result<Vec<_>, _> = CertificateDer::pem_file_iter(certificate).expect("it is there").collect();
    let config = ServerConfig::builder_with_provider(Arc::new(ring::default_provider()))
        .with_safe_default_protocol_versions()
        .expect("there are versions")
        .with_no_client_auth()
        .with_single_cert(
            chain.expect("they are certificates"),
            PrivateKeyDer::from_pem_file(certificate).expect("a key"),
        );
    let acceptor = TlsAcceptor::from(Arc::new(config.expect("they fit")));
    let listener = TcpListener::bind("127.0.0.1:0").await.expect("it listens");
    let port = listener.local_addr().expect("it has an address").port();
    tokio::spawn(async move {
        while let Ok((stream, _)) = listener.accept().await {
            // A client that does not trust the certificate ends the handshake.
            let Ok(mut stream) = acceptor.accept(stream).await else { continue };
            let mut head = Vec::new();
            while !head.ends_with(b"\r\n\r\n") && stream.read_buf(&mut head).await.is_ok_and(|count| count > 0) {}
            let answer = b"HTTP/1.1 200 OK\r\nContent-Length: 0\r\nConnection: close\r\n\r\n";
            let _ = stream.write_all(answer).await;
            let _ = stream.shutdown().await;
        }
    });
    port
}

#[tokio::test]
async fn tls_probe_verifies_the_certificate_of_the_server() {
    let site = Site::start().await;
    let (ours, theirs) = (Authority::new(site.farm.dir(), "ours"), Authority::new(site.farm.dir(), "theirs"));
    let port = tls_server(&ours.certify("app.pem", "app.test")).await;
    let probe = |more: &str| format!("verify.http = {{ path = \"/\", port = {port}{more} }}");
    let trusting = |ca: &Path, more: &str| probe(&format!(", tls = {{ ca = {ca:?}{more} }}"));
    let named = trusting(&ours.ca(), ", server_name = \"app.test\"");
    let mut before = HEADER.to_owned();
    for (verify, code, words) in [
        (named.clone(), 0, ""),
        (trusting(&ours.ca(), "").replace("tls", "host = \"app.test:443\", tls"), 0, ""),
        (probe(", tls = { insecure = true }"), 0, ""),
        (trusting(&ours.ca(), ""), exit::REFUSED, "certificate"),
        (trusting(&theirs.ca(), ", server_name = \"app.test\""), exit::REFUSED, "certificate"),
        (trusting(&site.farm.dir().join("absent.pem"), ""), exit::REFUSED, "absent.pem"),
        (probe(""), exit::REFUSED, "at 127.0.0.1"),
    ] {
        replace_setting(&site, &before, &verify).await;
        let ended = site.teeter(&["deploy", "web", "--dry-run"]).await;
        assert!(ended.code == code && ended.err.contains(words), "{verify}: {ended:?}");
        before = verify;
    }
    replace_setting(&site, &before, &named).await;
    let ended = site.teeter(&["deploy", "web", "--", "true"]).await;
    assert_eq!(ended.code, 0, "{ended:?}");
}

#[tokio::test]
async fn config_check_reports_the_position_of_mistakes() {
    let site = Site::start().await;
    let good = std::fs::read_to_string(site.daemon.config()).expect("it is there");
    let line = good.lines().position(|line| line.starts_with("verify.http")).expect("it is there") + 1;
    for (verify, column, words) in [
        ("verify.http = { path = \"/\", version = { json = \"v\" } }", 48, "not a JSON pointer"),
        ("verify.http = { path = \"/\", version = { regex = \"(\" } }", 49, "not a regular expression"),
        ("verify.http = { path = \"/\", version = { header = \"x\", regex = \"x\" } }", 39, "exactly one of"),
        ("verify.http = { path = \"/\", tls = true }", 29, "insecure = true"),
        ("verify.warm_up = { paths = [], below = \"1s\" }", 20, "give at least one path"),
        ("verify.warm_up = { paths = [\"x\"], below = \"1s\" }", 29, "is not a path"),
        ("verify.warm_up = { paths = [\"/\"], below = \"0s\" }", 35, "below is zero"),
        ("verify.warm_up = { paths = [\"/\"], below = \"1s\", in_a_row = 0 }", 49, "at least 1"),
    ] {
        std::fs::write(site.daemon.config(), good.replace(HEADER, verify)).expect("it is written");
        let checked = check_config(site.daemon.config()).await;
        assert_eq!(checked.code, exit::USAGE, "{checked:?}");
        let position = format!("teeter.toml:{line}:{column}: ");
        assert!(checked.err.contains(&position) && checked.err.contains(words), "{verify}: {checked:?}");
    }
}
