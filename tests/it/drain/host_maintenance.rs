//! Maintenance of a host: of every server with its address, in all backends.

use crate::fixtures::custom_backends::CustomBackends;
use crate::fixtures::exit;

/// Beside real servers, two hosts that do not answer: one with an IPv4 and one with an IPv6 address.
const BACKENDS: &str = "backend app\n  server web01 {web01} check\n  server far 127.0.0.7:8080\n  \
    server farther 127.0.0.7:8081\n  server six [::7]:8080\nbackend api\n  server web01 {web01} check\n  \
    server far 127.0.0.7:8080\n  server six ipv6@0:0::7:8080\n";

async fn bits(site: &CustomBackends) -> Vec<u32> {
    let mut bits = Vec::new();
    for server in ["app/web01", "app/far", "app/farther", "app/six", "api/web01", "api/far", "api/six"] {
        bits.push(site.bits(server).await);
    }
    bits
}

#[tokio::test]
async fn host_is_taken_out_with_all_its_servers_and_released() {
    let site = CustomBackends::start(BACKENDS, "").await;
    let drained = site.teeter(&["drain", "--host", "127.0.0.7", "--reason", "kernel"]).await;
    assert_eq!(drained.code, 0, "{drained:?}");
    let preview = "host:127.0.0.7 is api/far (127.0.0.7:8080), app/far (127.0.0.7:8080), app/farther (127.0.0.7:8081)";
    assert!(drained.err.contains(preview), "{drained:?}");
    assert!(drained.out.contains("teeter ready host:127.0.0.7"), "{drained:?}");
    assert_eq!(bits(&site).await, [0, 8, 8, 0, 0, 8, 0]);
    site.done(&["wait", "--host", "127.0.0.7", "--until", "drained"]).await;
    site.done(&["why", "--host", "127.0.0.7"]).await;
    let status = site.done(&["status", "--host", "::ffff:127.0.0.7"]).await;
    assert!(status.contains("app/farther") && !status.contains("app/six"), "{status}");
    // Another hold of the same owner on one port of the host.
    site.done(&["maint", "--host", "127.0.0.7:8081", "--reason", "disk"]).await;
    assert_eq!(bits(&site).await, [0, 8, 1, 0, 0, 8, 0]);
    site.done(&["ready", "host:127.0.0.7"]).await;
    assert_eq!((bits(&site).await, site.holds().await), (vec![0; 7], 0));
    site.done(&["maint", "--host", "0::7", "--reason", "kernel"]).await;
    assert_eq!(bits(&site).await, [0, 0, 0, 1, 0, 0, 1]);
    site.done(&["ready", "--host", "[::7]:8080"]).await;
    assert_eq!(bits(&site).await, [0; 7]);
}

#[tokio::test]
async fn host_without_servers_and_host_name_are_errors() {
    let site = CustomBackends::start(BACKENDS, "").await;
    for command in ["drain", "maint"] {
        for host in ["127.0.0.9", "127.0.0.7:80", "::9"] {
            let ended = site.teeter(&[command, "--host", host, "--reason", "r"]).await;
            assert_eq!(ended.code, exit::NOT_FOUND, "{host}: {ended:?}");
            assert!(ended.err.contains("no server of HAProxy has that address"), "{ended:?}");
        }
        let ended = site.teeter(&[command, "--host", "web01.example.net", "--reason", "r"]).await;
        assert_eq!(ended.code, exit::USAGE, "{ended:?}");
        assert!(ended.err.contains("a host is an IP address"), "{ended:?}");
    }
    for args in [vec!["status"], vec!["why"], vec!["wait", "--until", "up"], vec!["ready"]] {
        let ended = site.teeter(&[&args[..], &["--host", "127.0.0.9"]].concat()).await;
        assert_eq!(ended.code, exit::NOT_FOUND, "{args:?}: {ended:?}");
    }
    // One selector without a match fails the command, although another one matches.
    let ended = site.teeter(&["drain", "app/far", "--host", "127.0.0.9", "--reason", "r"]).await;
    assert_eq!((ended.code, site.holds().await), (exit::NOT_FOUND, 0), "{ended:?}");
    assert_eq!(bits(&site).await, [0; 7]);
}

#[tokio::test]
async fn moved_server_is_released_by_its_old_address() {
    let site = CustomBackends::start(BACKENDS, "").await;
    site.done(&["maint", "--host", "127.0.0.7:8081", "--reason", "move"]).await;
    site.haproxy.cmd("set server app/farther addr 127.0.0.8").await.unwrap();
    assert_eq!(site.status("app/farther").await["address"], "127.0.0.8:8081");
    site.done(&["ready", "--host", "127.0.0.7:8081"]).await;
    assert_eq!((bits(&site).await, site.holds().await), (vec![0; 7], 0));
}
