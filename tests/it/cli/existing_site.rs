//! The sample configuration of a site that existed before teeter, unchanged, on two HAProxy instances.

use teeter_lab::{FarmSpec, Haproxy, Sample, TestFarm, free_port};

use crate::fixtures::site::{DRAIN, Daemon, MAINT, edited, finish, until};

#[tokio::test]
async fn existing_site_is_deployed_unchanged() {
    let spec = FarmSpec { sample: Sample::Site, version: "v1".to_owned(), ..FarmSpec::default() };
    let farm = TestFarm::start_spec(spec).await.expect("a farm starts");
    // The other HAProxy has the same configuration with another socket and another port.
    let ford = farm.dir().join("ford");
    std::fs::create_dir(&ford).expect("a directory is made");
    let config = std::fs::read_to_string(farm.dir().join("haproxy.cfg")).expect("there is a configuration");
    let config = config.replace(&farm.socket().display().to_string(), &ford.join("admin.sock").display().to_string());
    let bind = |port: u16| format!("bind 127.0.0.1:{port}");
    let config = config.replace(&bind(farm.addr().port()), &bind(free_port().expect("a port is free")));
    let ford = Haproxy::start(&ford, &config).await.expect("HAProxy starts");
    let toml = farm.toml().expect("it has a configuration");
    let socket = ford.socket().display().to_string();
    let toml = edited(&toml, &[("tcp://10.0.0.2:9998", &socket), ("grace = \"30s\"", "grace = \"200ms\"")]);
    let daemon = Daemon::start(farm.dir(), &toml).await;
    let done = async |args: &[&str]| {
        let ended = daemon.teeter(args).await;
        assert_eq!(ended.code, 0, "{args:?}: {ended:?}\n{}", daemon.log());
        ended.out
    };
    let bits = async |lines: &[&str]| {
        let mut found = Vec::new();
        for haproxy in [farm.haproxy(), &ford] {
            for line in lines {
                found.push(haproxy.server_admin_bits(line).await.expect("HAProxy has it"));
            }
        }
        found
    };
    // A server is one member, whatever its lines are called. The drain reports clients that stick to it.
    farm.haproxy().tell("set table app key 127.0.0.1 data.server_id 1").await.expect("HAProxy does so");
    let drained = daemon.teeter(&["drain", "web01", "--reason", "kernel"]).await;
    assert_eq!(drained.code, 0, "{drained:?}");
    assert_eq!(bits(&["app/web01"]).await, [DRAIN; 2]);
    let holds = done(&["holds"]).await;
    assert!(holds.contains("web01") && !holds.contains("web01-ws"), "{holds}");
    for text in [&drained.err, &daemon.teeter(&["--json", "holds"]).await.out] {
        assert!(text.contains("clients that stick to web01 may come back"), "{text}");
    }
    done(&["ready", "web01"]).await;
    assert!(!done(&["holds"]).await.contains("web01"));
    // A deploy takes out both halves, with every line of both HAProxy instances.
    let deploy = daemon.spawn(&["begin", "web", "--to", "v1"]);
    until(|| async { bits(&["app/web01", "app/web02"]).await.iter().all(|bits| bits & MAINT > 0) }).await;
    assert!(bits(&["ws/web01-ws", "ws/web02-ws"]).await.iter().all(|bits| *bits != 0));
    assert!(bits(&["app/web03", "ws/web03-ws"]).await.iter().all(|bits| *bits == 0));
    assert_eq!(finish(deploy).await.code, 0);
    done(&["abort", "1"]).await;
    for strategy in [&["see-saw"][..], &["rolling", "--settle", "0s"]] {
        let hook = ["--", "sh", "-c", "echo on $TEETER_SERVERS"];
        let printed = done(&[&["deploy", "web", "--to", "v1", "--strategy"], strategy, &hook].concat()).await;
        assert!(printed.contains("on web01") && !printed.contains("-ws"), "{printed}");
        assert!(bits(&["app/web01", "ws/web01-ws", "app/web04", "ws/web04-ws"]).await.iter().all(|bits| *bits == 0));
    }
}
