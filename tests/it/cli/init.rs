//! `teeter init`: from a running HAProxy to a first dry run, and input that is wrong.

use std::os::unix::fs::PermissionsExt as _;
use std::path::Path;
use std::process::Stdio;

use teeter_lab::{FarmSpec, Haproxy, Sample, TestFarm, free_port};
use tokio::process::Command;

use crate::fixtures::site::{Daemon, Ended, finish};
use crate::fixtures::system_users::can_change;

async fn run(program: &str, args: &[&str]) -> Ended {
    let mut command = Command::new(program);
    command.args(args).env_remove("TEETER_SOCKET");
    command.stdin(Stdio::null()).stdout(Stdio::piped()).stderr(Stdio::piped()).kill_on_drop(true);
    finish(command.spawn().expect("the program starts")).await
}

async fn init(args: &[&str]) -> Ended {
    run(env!("CARGO_BIN_EXE_teeter"), &[&["init"], args].concat()).await
}

fn text(path: &Path) -> String {
    path.display().to_string()
}

/// Writes a configuration for a HAProxy, checks it, and makes a dry run of a farm with the rest of the command line.
async fn first_dry_run(dir: &Path, socket: &Path, dry_run: &[&str]) -> (String, String) {
    let file = dir.join("written.toml");
    let args = ["--haproxy", &text(socket), "--cfg", &text(&dir.join("haproxy.cfg")), "-o", &text(&file)];
    let ended = init(&args).await;
    assert_eq!((ended.code, ended.out.as_str()), (0, ""), "{ended:?}");
    let toml = std::fs::read_to_string(&file).expect("a file is written");
    let checked = run(env!("CARGO_BIN_EXE_teeterd"), &["--check", "--config", &text(&file)]).await;
    assert_eq!(checked.code, 0, "{checked:?}\n{toml}");
    let daemon = Daemon::start(dir, &toml).await;
    let planned = daemon.teeter(&[&["deploy"], dry_run, &["--dry-run"]].concat()).await;
    assert_eq!(planned.code, 0, "{planned:?}\n{toml}");
    (toml, planned.out)
}

/// A HAProxy with these proxies and a stats socket of this level.
async fn haproxy(level: &str, proxies: &str) -> (tempfile::TempDir, Haproxy) {
    let dir = tempfile::tempdir().expect("a directory");
    let head = format!(
        "global\n  stats socket {}/admin.sock level {level}\ndefaults\n  mode http\n  timeout connect 2s\n  \
         timeout client 30s\n  timeout server 30s\n",
        dir.path().display()
    );
    let haproxy = Haproxy::start(dir.path(), &format!("{head}{proxies}")).await.expect("HAProxy starts");
    (dir, haproxy)
}

#[tokio::test]
async fn sample_of_servers_leads_to_a_first_dry_run() {
    let farm = TestFarm::start_spec(FarmSpec::default()).await.expect("a farm starts");
    let (toml, plan) = first_dry_run(farm.dir(), &farm.socket(), &["api"]).await;
    assert!(toml.contains("groups = { a = [\"web01\", \"web02\"], b = [\"web03\", \"web04\"] }"), "{toml}");
    assert!(toml.contains("http = { path = \"/_status\", expect = 200 }"), "{toml}");
    assert!(plan.contains("web01"), "{plan}");
}

#[tokio::test]
async fn route_of_a_sample_is_found_and_used() {
    let farm =
        TestFarm::start_spec(FarmSpec { sample: Sample::Route, ..FarmSpec::default() }).await.expect("a farm starts");
    let (toml, _) = first_dry_run(farm.dir(), &farm.socket(), &["web"]).await;
    let route = format!(
        "route = {{ map = \"{}\", key = \"web\", all = \"web_all\", a = \"web_a\", b = \"web_b\" }}",
        farm.map().display()
    );
    assert!(toml.contains(&route), "{toml}");
}

#[tokio::test]
async fn sample_of_a_grown_site_gets_members_of_several_names_and_skips_its_slots() {
    let farm =
        TestFarm::start_spec(FarmSpec { sample: Sample::Site, ..FarmSpec::default() }).await.expect("a farm starts");
    let (toml, _) = first_dry_run(farm.dir(), &farm.socket(), &["app"]).await;
    assert!(toml.contains("web01 = [\"app/web01\", \"ws/web01-ws\"]"), "{toml}");
    assert!(toml.contains("halves = \"auto\"") && toml.contains("spare slots"), "{toml}");
}

/// The command that `teeter init` prints last is the first dry run of each sample.
#[tokio::test]
async fn printed_command_is_a_dry_run_of_each_sample() {
    // The servers of the lab have no roles, so its HAProxy would see no leader.
    for sample in Sample::ALL.into_iter().filter(|sample| *sample != Sample::Leader) {
        let farm = TestFarm::start_spec(FarmSpec { sample, ..FarmSpec::default() }).await.expect("a farm starts");
        let (socket, cfg) = (text(&farm.socket()), text(&farm.dir().join("haproxy.cfg")));
        let ended = init(&["--haproxy", &socket, "--cfg", &cfg]).await;
        assert_eq!(ended.code, 0, "{sample:?}: {ended:?}");
        let next = ended.err.trim_end().rsplit_once("teeter deploy ").expect("it prints a command").1;
        let args: Vec<&str> = next.trim_end_matches(" --dry-run").split(' ').collect();
        first_dry_run(farm.dir(), &farm.socket(), &args).await;
    }
}

#[tokio::test]
async fn socket_that_cannot_be_read_is_explained() {
    let proxies = "backend app\n  server a 127.0.0.1:1\n  server b 127.0.0.1:2\n";
    let dir = tempfile::tempdir().expect("a directory");
    let plain = dir.path().join("plain");
    std::fs::write(&plain, "").expect("a file is written");
    for (socket, code, words) in [(dir.path().join("none"), 9, "is HAProxy running?"), (plain, 2, "is not a socket")] {
        let ended = init(&["--haproxy", &text(&socket)]).await;
        assert_eq!(ended.code, code, "{ended:?}");
        assert!(ended.err.contains(words) && ended.err.contains("hint: "), "{ended:?}");
    }
    let (_dir, low) = haproxy("user", proxies).await;
    let ended = init(&["--haproxy", &text(&low.socket())]).await;
    assert_eq!(ended.code, 4, "{ended:?}");
    assert!(ended.err.contains("has level user") && ended.err.contains("level admin"), "{ended:?}");
    // At level operator everything can be read, and nothing changed.
    let (_dir, operator) = haproxy("operator", proxies).await;
    let ended = init(&["--haproxy", &text(&operator.socket())]).await;
    assert_eq!(ended.code, 0, "{ended:?}");
    assert!(ended.out.contains("[farm.app]") && ended.err.contains("the socket has level operator"), "{ended:?}");
}

#[tokio::test]
async fn socket_of_another_user_or_program_is_explained() {
    let dir = tempfile::tempdir().expect("a directory");
    let other = dir.path().join("other");
    let listener = tokio::net::UnixListener::bind(&other).expect("a socket is made");
    let answering = tokio::spawn(async move {
        while let Ok((mut stream, _)) = listener.accept().await {
            use tokio::io::AsyncWriteExt as _;
            stream.write_all(b"220 mail.example ESMTP\r\n").await.unwrap_or_default();
        }
    });
    let ended = init(&["--haproxy", &text(&other)]).await;
    answering.abort();
    assert_eq!(ended.code, 2, "{ended:?}");
    assert!(ended.err.contains("stats socket"), "{ended:?}");
}

#[tokio::test]
async fn user_who_may_not_open_the_socket_is_told_what_to_do() {
    if !can_change() {
        return;
    }
    let (dir, haproxy) = haproxy("admin", "backend app\n  server a 127.0.0.1:1\n").await;
    let mode = |path: &Path, mode| {
        std::fs::set_permissions(path, std::fs::Permissions::from_mode(mode)).expect("the mode is set");
    };
    let program = dir.path().join("teeter");
    std::fs::copy(env!("CARGO_BIN_EXE_teeter"), &program).expect("it is copied");
    mode(dir.path(), 0o711);
    mode(&program, 0o755);
    mode(&haproxy.socket(), 0o600);
    let mut command = Command::new(&program);
    command.args(["init", "--haproxy", &text(&haproxy.socket())]).uid(54001).gid(54001).current_dir("/");
    command.stdin(Stdio::null()).stdout(Stdio::piped()).stderr(Stdio::piped()).kill_on_drop(true);
    let ended = finish(command.spawn().expect("it starts")).await;
    assert_eq!(ended.code, 4, "{ended:?}");
    assert!(ended.err.contains("Permission denied") && ended.err.contains("hint: use sudo"), "{ended:?}");
}

#[tokio::test]
async fn haproxy_without_a_farm_is_explained() {
    let port = free_port().expect("a port");
    let (_dir, empty) = haproxy("admin", &format!("frontend f\n  bind 127.0.0.1:{port}\n")).await;
    let ended = init(&["--haproxy", &text(&empty.socket())]).await;
    assert_eq!(ended.code, 3, "{ended:?}");
    assert!(ended.err.contains("has no servers"), "{ended:?}");
    let (_dir, single) = haproxy("admin", "backend one\n  server a 127.0.0.1:1\n").await;
    let ended = init(&["--haproxy", &text(&single.socket())]).await;
    assert_eq!(ended.code, 3, "{ended:?}");
    assert!(ended.err.contains("no backend with two servers") && ended.err.contains("teeter drain"), "{ended:?}");
}

#[tokio::test]
async fn file_that_exists_is_never_replaced() {
    let (dir, haproxy) = haproxy("admin", "backend app\n  server a 127.0.0.1:1\n  server b 127.0.0.1:2\n").await;
    let file = dir.path().join("teeter.toml");
    std::fs::write(&file, "mine").expect("a file is written");
    let ended = init(&["--haproxy", &text(&haproxy.socket()), "-o", &text(&file)]).await;
    assert_eq!(ended.code, 1, "{ended:?}");
    assert!(ended.err.contains("exists, and stays as it is") && ended.err.contains("hint: "), "{ended:?}");
    assert_eq!(std::fs::read_to_string(&file).expect("it is there"), "mine");
    let missing = init(&["--haproxy", &text(&haproxy.socket()), "--cfg", "/nonexistent.cfg"]).await;
    assert_eq!(missing.code, 3, "{missing:?}");
    let tls = init(&["--haproxy", "tls://127.0.0.1:1"]).await;
    assert_eq!(tls.code, 2, "{tls:?}");
    let json = init(&["--haproxy", &text(&haproxy.socket()), "--json"]).await;
    let document: serde_json::Value = serde_json::from_str(&json.out).expect("a document");
    assert_eq!(document["farms"], serde_json::json!(["app"]), "{document}");
}
