//! Stats sockets that are no files: abstract sockets and TLS, each of a real HAProxy.

use std::path::Path;
use std::time::Duration;

use teeter::haproxy::commands::{Level, ShowCliLevel};
use teeter::haproxy::{Address, Client, Endpoint, Error, Quirk, TlsSettings};
use teeter::platform::chain;
use teeter_lab::{Haproxy, free_port};

use crate::fixtures::certificate_authority::Authority;
use crate::fixtures::site::Daemon;

/// An HAProxy with a second stats socket, of level admin, and further sections.
async fn haproxy(dir: &Path, socket: &str, sections: &str) -> Haproxy {
    let config = format!(
        "global\n  stats socket {}/admin.sock level operator\n  stats socket {socket} level admin\n\
         defaults\n  mode http\n  timeout connect 1s\n  timeout client 10s\n  timeout server 10s\n\
         backend app\n  server web01 127.0.0.1:1\n{sections}",
        dir.display()
    );
    Haproxy::start(dir, &config).await.unwrap()
}

/// An HAProxy whose stats socket is reached by TLS at this port, as docs/haproxy.md describes.
async fn haproxy_with_tls(dir: &Path, port: u16, tls: &str) -> Haproxy {
    let socket = format!("abns@teeter-test-tls-{port}");
    let listen = format!("listen cli\n  mode tcp\n  bind 127.0.0.1:{port} {tls}\n  server cli {socket}\n");
    haproxy(dir, &socket, &listen).await
}

/// The level of a socket.
async fn level(endpoint: impl Into<Endpoint>) -> Result<Level, Error> {
    Client::new(endpoint, Duration::from_secs(5)).ask(&ShowCliLevel).await
}

/// Asserts that teeterd can change a server through this socket.
async fn assert_changes(dir: &Path, haproxy: &Haproxy, settings: &str) {
    let daemon = Daemon::start(dir, &format!("[[haproxy]]\nname = \"edge\"\n{settings}\n")).await;
    let ended = daemon.teeter(&["maint", "app/web01", "--reason", "r", "--allow-outage"]).await;
    assert_eq!(ended.code, 0, "{ended:?}");
    assert_eq!(haproxy.server_admin_bits("app/web01").await.unwrap(), 1);
}

#[tokio::test]
async fn abstract_socket_is_reached_by_its_name() {
    let dir = tempfile::tempdir().unwrap();
    let name = format!("abns@teeter-test-{}", std::process::id());
    let haproxy = haproxy(dir.path(), &name, "").await;
    assert_eq!(level(name.parse::<Address>().unwrap()).await.unwrap(), Level::Admin);
    let absent = chain(&level("abns@teeter-test-none".parse::<Address>().unwrap()).await.unwrap_err());
    assert!(absent.starts_with("cannot connect to HAProxy at abns@teeter-test-none: "), "{absent}");
    assert_changes(dir.path(), &haproxy, &format!("socket = {name:?}")).await;
}

#[tokio::test]
async fn unpadded_abstract_name_is_a_different_name() {
    let name = format!("teeter-test-z-{}", std::process::id());
    let listener = tokio::net::UnixListener::bind(format!("\0{name}")).unwrap();
    let accepted = tokio::spawn(async move { listener.accept().await.map(drop) });
    let filled = level(format!("abns@{name}").parse::<Address>().unwrap()).await;
    assert!(matches!(filled, Err(Error::Connect { .. })), "{filled:?}");
    let exact = level(format!("abnsz@{name}").parse::<Address>().unwrap()).await;
    assert!(matches!(exact, Err(Error::Frame { .. })), "{exact:?}");
    accepted.await.unwrap().unwrap();
}

#[tokio::test]
async fn over_tls_both_sides_present_certificates() {
    let dir = tempfile::tempdir().unwrap();
    let (ours, theirs) = (Authority::new(dir.path(), "ours"), Authority::new(dir.path(), "theirs"));
    let port = free_port().unwrap();
    let (ca, shown) = (ours.ca(), ours.certify("haproxy.pem", "lb.test"));
    let options = format!("ssl crt {} ca-file {} verify required", shown.display(), ca.display());
    let haproxy = haproxy_with_tls(dir.path(), port, &options).await;

    let address: Address = format!("tls://127.0.0.1:{port}").parse().unwrap();
    let certificate = ours.certify("teeter.pem", "teeter.test");
    let good = TlsSettings {
        ca: ca.clone(),
        certificate: Some(certificate.clone()),
        key: None,
        server_name: Some("lb.test".to_owned()),
    };
    let try_with = async |tls: TlsSettings| level(Endpoint { address: address.clone(), tls: Some(tls) }).await;
    assert_eq!(try_with(good.clone()).await.unwrap(), Level::Admin);

    // HAProxy or teeter refuses other certificates and settings, with the address and the reason.
    let foreign = theirs.certify("teeter.pem", "teeter.test");
    let absent = dir.path().join("absent.pem");
    for (tls, word) in [
        (TlsSettings { certificate: None, ..good.clone() }, "alert"),
        (TlsSettings { certificate: Some(foreign), ..good.clone() }, "alert"),
        (TlsSettings { ca: theirs.ca(), ..good.clone() }, "certificate"),
        (TlsSettings { server_name: None, ..good.clone() }, "127.0.0.1"),
        (TlsSettings { server_name: Some("other.test".to_owned()), ..good.clone() }, "other.test"),
        (TlsSettings { ca: absent.clone(), ..good.clone() }, "absent.pem"),
        (TlsSettings { key: Some(ca.clone()), ..good.clone() }, "ca.pem"),
    ] {
        let error = chain(&try_with(tls.clone()).await.unwrap_err());
        assert!(error.contains(&address.to_string()) && error.contains(word), "{tls:?}: {error}");
    }
    // Plain TCP to that port is an error, and does not hang.
    let plain = level(format!("tcp://127.0.0.1:{port}").parse::<Address>().unwrap()).await.unwrap_err();
    assert!(matches!(plain, Error::Frame { .. } | Error::Command { .. }), "{plain}");

    let settings = format!(
        "socket = \"{address}\"\ntls = {{ ca = {ca:?}, certificate = {certificate:?}, server_name = \"lb.test\" }}"
    );
    assert_changes(dir.path(), &haproxy, &settings).await;
}

#[tokio::test]
async fn renewed_certificate_is_used_without_a_restart() {
    let dir = tempfile::tempdir().unwrap();
    let (ours, theirs) = (Authority::new(dir.path(), "ours"), Authority::new(dir.path(), "theirs"));
    let port = free_port().unwrap();
    let shown = ours.certify("haproxy.pem", "lb.test");
    let options = format!("ssl crt {} ca-file {} verify required", shown.display(), ours.ca().display());
    let _haproxy = haproxy_with_tls(dir.path(), port, &options).await;
    let certificate = dir.path().join("teeter.pem");
    std::fs::copy(theirs.certify("teeter.pem", "teeter.test"), &certificate).unwrap();
    let tls = TlsSettings {
        ca: ours.ca(),
        certificate: Some(certificate.clone()),
        key: None,
        server_name: Some("lb.test".to_owned()),
    };
    let address = format!("tls://127.0.0.1:{port}").parse().unwrap();
    let client = Client::new(Endpoint { address, tls: Some(tls) }, Duration::from_secs(5));
    assert!(client.ask(&ShowCliLevel).await.is_err());
    // Like certbot, put another file in the place of the old one.
    std::fs::rename(ours.certify("new.pem", "teeter.test"), &certificate).unwrap();
    assert_eq!(client.ask(&ShowCliLevel).await.unwrap(), Level::Admin);
}

#[tokio::test]
async fn stats_socket_with_ssl_may_speak_plain_text() {
    let dir = tempfile::tempdir().unwrap();
    let ours = Authority::new(dir.path(), "ours");
    let port = free_port().unwrap();
    let (ca, shown) = (ours.ca(), ours.certify("haproxy.pem", "lb.test"));
    let socket = format!("ipv4@127.0.0.1:{port} ssl crt {} ca-file {} verify required", shown.display(), ca.display());
    let _haproxy = haproxy(dir.path(), &socket, "").await;
    let certificate = Some(ours.certify("teeter.pem", "teeter.test"));
    let tls = TlsSettings { ca, certificate, key: None, server_name: Some("lb.test".to_owned()) };
    let plain = level(format!("tcp://127.0.0.1:{port}").parse::<Address>().unwrap()).await;
    let address = format!("tls://127.0.0.1:{port}").parse().unwrap();
    let secured = level(Endpoint { address, tls: Some(tls) }).await;
    if Quirk::StatsSocketWithoutTls.is_in(Haproxy::version().unwrap().parse().unwrap()) {
        // With TLS configured, teeter does not accept an answer in plain text.
        assert!(matches!((plain, secured), (Ok(Level::Admin), Err(Error::Connect { .. }))));
    } else {
        assert!(matches!((plain, secured), (Err(_), Ok(Level::Admin))));
    }
}
