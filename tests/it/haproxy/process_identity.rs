//! The identity of the answering process: a new process with the pid of the old one, and a worker that serves on after
//! a failed reload.

use std::path::{Path, PathBuf};

use teeter_lab::{App, Held, haproxy};
use tokio::io::{AsyncBufReadExt as _, AsyncReadExt as _, AsyncWriteExt as _, BufReader};
use tokio::net::{UnixListener, UnixStream};

use crate::fixtures::custom_config::CustomConfig;
use crate::fixtures::site::{DRAIN, finish, until};

/// A relay that replaces the pid in HAProxy's answers by 8, as in a container, where every process has the same pid.
fn relay_with_pid_8(haproxy: &Path, path: PathBuf) -> PathBuf {
    let listener = UnixListener::bind(&path).expect("it listens");
    let haproxy = haproxy.to_owned();
    tokio::spawn(async move {
        while let Ok((client, _)) = listener.accept().await {
            let haproxy = haproxy.clone();
            tokio::spawn(async move { pass(client, &haproxy).await });
        }
    });
    path
}

async fn pass(client: UnixStream, haproxy: &Path) -> Option<()> {
    let (read, mut write) = client.into_split();
    let (mut line, mut read) = (String::new(), BufReader::new(read));
    read.read_line(&mut line).await.ok()?;
    let mut server = UnixStream::connect(haproxy).await.ok()?;
    server.write_all(line.as_bytes()).await.ok()?;
    let mut reply = Vec::new();
    let text = loop {
        if server.read_buf(&mut reply).await.ok()? == 0 {
            return None;
        }
        let text = String::from_utf8_lossy(&reply);
        if let Some((before, after)) = text.split_once("\nPid: ")
            && let Some((_, after)) = after.split_once('\n')
        {
            break format!("{before}\nPid: 8\n{after}");
        }
    };
    write.write_all(text.as_bytes()).await.ok()?;
    let mut rest = Vec::new();
    tokio::select! {
        _ = tokio::io::copy(&mut server, &mut write) => {}
        _ = read.read_to_end(&mut rest) => {}
    }
    Some(())
}

/// HAProxy with two server lines of one application; teeterd sees pid 8 if `hide_pid`.
async fn start(toml: &str, hide_pid: bool) -> (CustomConfig, App) {
    let app = App::start("w1", "v1").await.expect("it starts");
    let proxies = |_: &Path, front| {
        format!(
            "frontend www\n  bind {front}\n  default_backend app\nbackend app\n  server w1 {0}\n  server w2 {0}\n",
            app.addr()
        )
    };
    let site = if hide_pid {
        CustomConfig::start_by(proxies, toml, |socket| relay_with_pid_8(socket, socket.with_extension("relay"))).await
    } else {
        CustomConfig::start(proxies, toml).await
    };
    (site, app)
}

#[tokio::test]
async fn new_process_with_a_reused_pid_gets_its_states_again() {
    for policy in ["yield", "alarm"] {
        let (site, _app) = start(&format!("[holds]\non_drift = {policy:?}\n"), true).await;
        assert_eq!(site.daemon.teeter(&["drain", "app/w1", "--reason", "r"]).await.code, 0);
        if policy == "alarm" {
            site.haproxy.tell("set server app/w1 state ready").await.expect("HAProxy does so");
            until(|| async {
                site.daemon.teeter(&["events"]).await.out.contains("from drain to ready: left in ready")
            })
            .await;
        }
        site.haproxy.restart().await.expect("HAProxy restarts");
        until(|| async { site.haproxy.server_admin_bits("app/w1").await.is_ok_and(|bits| bits == DRAIN) }).await;
        let events = || async { site.daemon.teeter(&["events"]).await.out };
        until(|| async { events().await.contains("8 as before, but started later") }).await;
        let events = events().await;
        assert_eq!(events.matches("a change outside teeter").count(), usize::from(policy == "alarm"), "{events}");
        assert_eq!(site.json(&["holds"]).await["holds"].as_array().map(Vec::len), Some(1));
    }
}

#[tokio::test]
async fn process_serving_after_a_failed_reload_is_not_an_old_worker() {
    let (site, app) = start("", false).await;
    let serving = site.haproxy.pid().await.expect("HAProxy answers");
    let config = std::fs::read_to_string(site.haproxy.config()).expect("it is there");
    site.haproxy.write_config(&format!("{config}\n  nonsense\n")).expect("it is written");
    until(|| async { haproxy::ask(&site.haproxy.master_socket(), "show proc").await.is_ok() }).await;
    haproxy::ask_bytes(&site.haproxy.master_socket(), "reload").await.expect("the master answers");
    let is_listed = |reply: std::io::Result<String>| reply.is_ok_and(|reply| reply.contains("# workers"));
    until(|| async { is_listed(haproxy::ask(&site.haproxy.master_socket(), "show proc").await) }).await;
    let held = loop {
        let held = Held::open(site.front, "/ws", &[]).await.expect("it opens");
        let sessions = site.haproxy.cmd("show sess").await.expect("HAProxy answers");
        if sessions.contains("srv=w1") {
            break held;
        }
    };
    assert_eq!((site.haproxy.pid().await.expect("HAProxy answers"), app.in_flight() > 0), (serving, true));
    // Some masters list the serving worker among the old ones.
    let doctor = site.doctor().await;
    assert!(doctor.contains("0 processes left behind"), "{doctor}");
    let drain = site.daemon.spawn(&["drain", "app/w1", "--reason", "r", "--deadline", "60s"]);
    until(|| async { site.json(&["holds"]).await["holds"][0]["stage"] == "draining" }).await;
    let shown = site.json(&["status", "app/w1"]).await;
    assert_eq!((&shown["servers"][0]["in_flight"], &shown["servers"][0]["old"]), (&1.into(), &serde_json::json!([])));
    let why = site.json(&["why", "app/w1"]).await;
    assert_eq!(why["sessions"].as_array().map(Vec::len), Some(1), "{why}");
    drop(held);
    let ended = finish(drain).await;
    assert_eq!(ended.code, 0, "{ended:?}\n{}", site.daemon.log());
}
