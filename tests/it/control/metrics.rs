//! The metrics: their text, the sockets and the file that have it, and a real Prometheus that reads it.

use std::path::{Path, PathBuf};
use std::process::Stdio;

use teeter_lab::{FarmSpec, TestFarm, free_port};
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::{TcpStream, UnixStream};
use tokio::process::Command;

use crate::fixtures::site::{Daemon, Site, farm_config, finish, until};

/// A site with these lines in `[metrics]`.
async fn site(metrics: impl FnOnce(&Path) -> String) -> Site {
    let spec = FarmSpec { version: "v1".to_owned(), ..FarmSpec::default() };
    let farm = TestFarm::start_spec(spec).await.expect("a farm starts");
    let metrics = metrics(farm.dir());
    let daemon = Daemon::start(farm.dir(), &format!("{}[metrics]\n{metrics}", farm_config(&farm, ""))).await;
    Site { daemon, farm }
}

/// The whole answer to `GET /metrics` with this `Accept` header.
async fn scrape(mut stream: impl tokio::io::AsyncRead + tokio::io::AsyncWrite + Unpin, accept: &str) -> String {
    let request = format!("GET /metrics HTTP/1.1\r\nhost: x\r\naccept: {accept}\r\nconnection: close\r\n\r\n");
    stream.write_all(request.as_bytes()).await.expect("it is sent");
    let mut answer = String::new();
    stream.read_to_string(&mut answer).await.expect("it is answered");
    assert!(answer.starts_with("HTTP/1.1 200 OK\r\n"), "{answer}");
    answer
}

async fn control(site: &Site) -> String {
    scrape(UnixStream::connect(site.daemon.socket()).await.expect("it is there"), "*/*").await
}

/// Prometheus's programs; `None` if they cannot be had here. CI must have them.
async fn prometheus() -> Option<PathBuf> {
    let mut command = Command::new("tests/prometheus/fetch");
    command.stdin(Stdio::null()).stdout(Stdio::piped()).stderr(Stdio::piped());
    let ended = finish(command.spawn().expect("the script starts")).await;
    if ended.code == 0 {
        return Some(ended.out.trim().into());
    }
    assert!(std::env::var_os("CI").is_none(), "CI has no Prometheus: {ended:?}");
    teeter_lab::skip(&format!("there is no Prometheus: {}", ended.err.lines().last().unwrap_or_default()));
    None
}

/// Runs promtool with this text as its input.
async fn promtool(programs: &Path, args: &[&str], input: &str) -> (i32, String) {
    let mut command = Command::new(programs.join("promtool"));
    command.args(args).stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::piped());
    let mut child = command.spawn().expect("promtool starts");
    let mut stdin = child.stdin.take().expect("it has an input");
    stdin.write_all(input.as_bytes()).await.expect("it reads");
    drop(stdin);
    let ended = finish(child).await;
    (ended.code, ended.out + &ended.err)
}

#[tokio::test]
async fn metrics_tell_of_haproxy_holds_and_runs() {
    let site = site(|_| String::new()).await;
    let before = control(&site).await;
    assert!(before.contains("content-type: application/openmetrics-text"), "{before}");
    for line in ["teeter_haproxy_up{haproxy=\"edge\"} 1.0", "teeter_haproxy_agrees{haproxy=\"edge\"} 1.0", "# EOF"] {
        assert!(before.contains(line), "{line}: {before}");
    }
    let drained = site.teeter(&["drain", "app/web01", "--reason", "disk"]).await;
    assert_eq!(drained.code, 0, "{drained:?}");
    let held = control(&site).await;
    for line in [
        "teeter_holds{stage=\"out\",ends=\"no\"} 1.0",
        "teeter_oldest_hold_timestamp_seconds{stage=\"out\",ends=\"no\"} ",
        "teeter_drain_duration_seconds_count{farm=\"web\",outcome=\"drained\"} 1",
        "teeter_store_size_bytes ",
    ] {
        assert!(held.contains(line), "{line}: {held}");
    }
    let refused = site.teeter(&["drain", "none/none", "--reason", "x"]).await;
    assert_ne!(refused.code, 0);
    assert!(control(&site).await.contains("teeter_refused_requests_total{reason=\"not-found\"} "));
    assert_eq!(site.teeter(&["ready", "app/web01"]).await.code, 0);
    assert!(!control(&site).await.contains("teeter_holds"));
    // A run that waits for its work.
    let begun = site.teeter(&["begin", "web", "--to", "v1"]).await;
    assert_eq!(begun.code, 0, "{begun:?}");
    let runs = control(&site).await;
    assert!(runs.contains("teeter_active_runs{farm=\"web\",state=\"running\"} 1.0"), "{runs}");
    assert!(runs.contains("teeter_run_waiting_seconds{farm=\"web\",for=\"work\"} "), "{runs}");
    assert!(runs.contains("teeter_holds{stage=\"out\",ends=\"yes\"} 1.0"), "{runs}");
    assert_eq!(site.teeter(&["abort", "1"]).await.code, 0);
    let ended = "teeter_run_duration_seconds_count{farm=\"web\",strategy=\"see-saw\",outcome=\"aborted\"} 1";
    until(|| async { control(&site).await.contains(ended) }).await;
}

#[tokio::test]
async fn metrics_have_sockets_of_their_own_and_a_file() {
    let port = free_port().expect("a port");
    let site = site(|dir| {
        let (socket, file) = (dir.join("metrics.sock"), dir.join("teeter.prom"));
        format!("socket = {socket:?}\nlisten = \"127.0.0.1:{port}\"\ntextfile = {file:?}\ninterval = \"1s\"\n")
    })
    .await;
    let unix = UnixStream::connect(site.farm.dir().join("metrics.sock")).await.expect("it is there");
    assert!(scrape(unix, "application/openmetrics-text;version=1.0.0").await.contains("# EOF"));
    let tcp = TcpStream::connect(("127.0.0.1", port)).await.expect("it is there");
    let plain = scrape(tcp, "text/plain;version=0.0.4").await;
    assert!(plain.contains("content-type: text/plain; version=0.0.4") && !plain.contains("# EOF"), "{plain}");
    // Nothing else is served there.
    let mut other = TcpStream::connect(("127.0.0.1", port)).await.expect("it is there");
    other.write_all(b"GET /v1/status HTTP/1.1\r\nhost: x\r\nconnection: close\r\n\r\n").await.expect("it is sent");
    let mut answer = String::new();
    other.read_to_string(&mut answer).await.expect("it is answered");
    assert!(answer.starts_with("HTTP/1.1 404"), "{answer}");
    let file = site.farm.dir().join("teeter.prom");
    let has = |line: &str| std::fs::read_to_string(&file).is_ok_and(|text| text.contains(line));
    until(|| async { has("teeter_haproxy_up{haproxy=\"edge\"} 1.0") }).await;
    let drained = site.teeter(&["drain", "app/web01", "--reason", "disk", "--for", "1h"]).await;
    assert_eq!(drained.code, 0, "{drained:?}");
    until(|| async { has("teeter_holds{stage=\"out\",ends=\"yes\"} 1.0") }).await;
}

#[tokio::test]
async fn file_that_cannot_be_written_is_reported_until_it_can() {
    let site = site(|dir| format!("textfile = {:?}\ninterval = \"1s\"\n", dir.join("later/teeter.prom"))).await;
    let reported = || async { site.teeter(&["status"]).await };
    until(|| async {
        let status = reported().await;
        (status.out + &status.err).contains("the textfile of [metrics]")
    })
    .await;
    std::fs::create_dir(site.farm.dir().join("later")).expect("a directory is made");
    until(|| async {
        let status = reported().await;
        !(status.out + &status.err).contains("the textfile of [metrics]")
    })
    .await;
}

#[tokio::test]
async fn wrong_settings_of_metrics_are_refused_with_their_line() {
    let dir = tempfile::tempdir().expect("a directory");
    let config = dir.path().join("teeter.toml");
    for (line, words) in [
        ("listen = \"0.0.0.0:9101\"", "set allow_remote = true, too"),
        ("listen = \"localhost:9101\"", "invalid socket address"),
        ("listen = \"127.0.0.1:0\"", "port 0"),
        ("socket = \"metrics.sock\"", "not an absolute path"),
        ("socket = \"/run/teeter/control.sock\"", "teeterd's own control socket"),
        ("textfile = \"/tmp/teeter.txt\"", "must end in .prom"),
        ("interval = \"0s\"", "too short"),
        ("mode = \"rw\"", "not a file mode"),
        ("port = 9101", "unknown field"),
    ] {
        std::fs::write(&config, format!("[metrics]\n{line}\n")).expect("a file is written");
        let mut command = Command::new(env!("CARGO_BIN_EXE_teeterd"));
        command.arg("--check").arg("--config").arg(&config).stdin(Stdio::null());
        command.stdout(Stdio::piped()).stderr(Stdio::piped());
        let ended = finish(command.spawn().expect("teeterd starts")).await;
        assert_eq!(ended.code, 2, "{line}: {ended:?}");
        assert!(ended.err.contains(words) && ended.err.contains("teeter.toml:2:"), "{line}: {ended:?}");
    }
}

#[tokio::test]
async fn prometheus_accepts_the_metrics_and_the_documented_rules() {
    let Some(programs) = prometheus().await else { return };
    let port = free_port().expect("a port");
    let site = site(|_| format!("listen = \"127.0.0.1:{port}\"\n")).await;
    assert_eq!(site.teeter(&["drain", "app/web01", "--reason", "disk"]).await.code, 0);
    assert_ne!(site.teeter(&["drain", "none/none", "--reason", "x"]).await.code, 0);
    let tcp = TcpStream::connect(("127.0.0.1", port)).await.expect("it is there");
    let plain = scrape(tcp, "text/plain;version=0.0.4").await;
    let text = plain.split_once("\r\n\r\n").expect("it has a body").1;
    let (code, said) = promtool(&programs, &["check", "metrics"], text).await;
    assert_eq!((code, said.as_str()), (0, ""), "{text}");
    let docs = std::fs::read_to_string("docs/metrics.md").expect("there is a page");
    let rules = docs.split("```yaml\n").find(|block| block.starts_with("groups:")).expect("it has rules");
    let rules = rules.split("```").next().unwrap_or_default();
    let path = site.farm.dir().join("rules.yml");
    std::fs::write(&path, rules).expect("a file is written");
    let (code, said) = promtool(&programs, &["check", "rules", &path.display().to_string()], "").await;
    assert!(code == 0 && said.contains("3 rules found"), "{said}");
    // A real scrape.
    let own = free_port().expect("a port");
    let config = site.farm.dir().join("prometheus.yml");
    let text = format!(
        "global:\n  scrape_interval: 1s\nscrape_configs:\n  - job_name: teeter\n    static_configs:\n      - targets: \
         [\"127.0.0.1:{port}\"]\n"
    );
    std::fs::write(&config, text).expect("a file is written");
    let mut command = Command::new(programs.join("prometheus"));
    command.arg(format!("--config.file={}", config.display()));
    command.arg(format!("--storage.tsdb.path={}", site.farm.dir().join("tsdb").display()));
    command.arg(format!("--web.listen-address=127.0.0.1:{own}"));
    command.stdin(Stdio::null()).stdout(Stdio::null()).stderr(Stdio::null()).kill_on_drop(true);
    let _child = command.spawn().expect("Prometheus starts");
    let query = |query: &'static str| async move {
        let Ok(mut stream) = TcpStream::connect(("127.0.0.1", own)).await else { return String::new() };
        let request = format!("GET /api/v1/query?query={query} HTTP/1.0\r\nhost: x\r\n\r\n");
        let mut answer = String::new();
        if stream.write_all(request.as_bytes()).await.is_ok() {
            stream.read_to_string(&mut answer).await.unwrap_or_default();
        }
        answer
    };
    until(|| async { query("teeter_haproxy_up").await.contains("\"haproxy\":\"edge\"") }).await;
    let drains = query("teeter_drain_duration_seconds_count").await;
    assert!(drains.contains("\"outcome\":\"drained\"") && drains.contains(",\"1\"]"), "{drains}");
}

/// Every metric is on the page, and the page has no other.
#[tokio::test]
async fn page_of_metrics_lists_each_of_them() {
    let docs = std::fs::read_to_string("docs/metrics.md").expect("there is a page");
    let rows = docs.lines().filter_map(|line| line.strip_prefix("| `teeter_")).map(|row| row.split(['`', '{']).next());
    let documented: std::collections::BTreeSet<String> = rows.flatten().map(|name| format!("teeter_{name}")).collect();
    let source = std::fs::read_to_string("src/metrics/families.rs").expect("there is a source");
    let names = source.split("\"teeter_").skip(1).filter_map(|rest| rest.split('"').next());
    let base = |name: &String| {
        let suffixes = ["_total", "_seconds", "_bytes"];
        suffixes.iter().fold(name.clone(), |name, end| name.strip_suffix(end).unwrap_or(&name).to_owned())
    };
    let written: std::collections::BTreeSet<String> = names.map(|name| format!("teeter_{name}")).collect();
    assert_eq!(documented.iter().map(base).collect::<std::collections::BTreeSet<_>>(), written);
}
