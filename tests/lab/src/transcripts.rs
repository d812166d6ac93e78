//! Transcripts: the answers of a real HAProxy to every command that teeter sends, and to some that fail.
//!
//! A transcript is one file: the line that was sent, with its newline, and then the answer as received, byte for byte.
//! Process ids, pointers and times are those of the recording.

use std::io;
use std::path::{Path, PathBuf};
use std::time::Duration;

use clap::Args;
use teeter_lab::{App, Haproxy, Held, free_port, haproxy};
use tokio::time::{Instant, sleep};

#[derive(Args)]
pub(crate) struct TranscriptsArgs {
    /// The directory of transcripts, with one directory for each series.
    #[arg(long, default_value = "tests/transcripts")]
    into: PathBuf,
}

/// Records the HAProxy that `TEETER_TEST_HAPROXY` names.
pub(crate) async fn run(args: TranscriptsArgs) -> io::Result<()> {
    let version = Haproxy::version()?;
    // The series of `3.5-dev5` is `3.5`.
    let number = |part: &str| part.split(|end: char| !end.is_ascii_digit()).next().unwrap_or_default().to_owned();
    let series: Vec<_> = version.split('.').take(2).map(number).collect();
    let into = args.into.join(series.join("."));
    if into.exists() {
        std::fs::remove_dir_all(&into)?;
    }
    std::fs::create_dir_all(&into)?;
    record_commands(&into).await?;
    record_balances(&into).await?;
    record_master(&into).await
}

/// The commands to the stats socket, each on a line as teeter writes it.
async fn record_commands(into: &Path) -> io::Result<()> {
    let dir = tempfile::Builder::new().prefix("lab-").tempdir()?;
    let map = dir.path().join("live.map");
    std::fs::write(&map, MAP)?;
    let (app, port) = (App::start("web01", "v1").await?, free_port()?);
    let haproxy = Haproxy::start(dir.path(), &config(dir.path(), &app, port)).await?;
    haproxy.wait_for_check("app/web01").await?;
    haproxy.wait_for_check("app/web03").await?;
    let mut held = Held::open(([127, 0, 0, 1], port).into(), "/ws", &[]).await?;
    held.echo(b"hello").await?;
    let session = session(&haproxy).await?;

    let record = async |name: &str, line: String| {
        let answer = haproxy::ask_bytes(&haproxy.socket(), &line).await?;
        write(into, name, &line, &answer)
    };
    for (name, command) in COMMANDS {
        let command = command.replace("MAP", &map.display().to_string()).replace("SESSION", &session);
        record(name, format!("prompt;show info;{command}")).await?;
    }
    record("show-info", "prompt;show info".to_owned()).await?;
    // Without the prompt, as a user or a script sends it.
    for (name, line) in [("plain-silent", "set server app/web02 state ready"), ("plain-level", "show cli level")] {
        record(name, line.to_owned()).await?;
    }
    let line = "prompt;show info;set server app/web01 state drain";
    let denied = haproxy::ask_bytes(&dir.path().join("low.sock"), line).await?;
    write(into, "permission-denied", line, &denied)
}

/// The answers about weights of backends with different balancing.
async fn record_balances(into: &Path) -> io::Result<()> {
    let dir = tempfile::Builder::new().prefix("lab-").tempdir()?;
    let config = format!(
        "global\n  node lab\n  stats socket {}/admin.sock level admin\ndefaults\n  mode http\n  timeout connect 1s\n  \
         timeout client 10s\n  timeout server 10s\nbackend app\n  balance roundrobin\n  \
         server web01 127.0.0.1:1 weight 50\n\
         backend hashed\n  balance source\n  server web01 127.0.0.1:1\n",
        dir.path().display()
    );
    let haproxy = Haproxy::start(dir.path(), &config).await?;
    for (name, command) in BALANCE_COMMANDS {
        let line = format!("prompt;show info;{command}");
        write(into, name, &line, &haproxy::ask_bytes(&haproxy.socket(), &line).await?)?;
    }
    Ok(())
}

/// `show proc` of a master, before a reload and while an old worker still has requests, and the answers of that worker.
async fn record_master(into: &Path) -> io::Result<()> {
    let dir = tempfile::Builder::new().prefix("lab-").tempdir()?;
    std::fs::write(dir.path().join("live.map"), MAP)?;
    let (app, port) = (App::start("web01", "v1").await?, free_port()?);
    let haproxy = Haproxy::start_master(dir.path(), &config(dir.path(), &app, port)).await?;
    haproxy.wait_for_check("app/web01").await?;
    write(into, "master-show-proc", PROCESSES, &processes(&haproxy).await?)?;
    let held = Held::open(([127, 0, 0, 1], port).into(), "/ws", &[]).await?;
    let old = haproxy.pid().await?;
    haproxy.reload().await?;
    write(into, "master-show-proc-reloaded", PROCESSES, &processes(&haproxy).await?)?;
    for (name, command) in WORKER_COMMANDS {
        let line = format!("@!{old} {command}");
        write(into, name, &line, &haproxy::ask_bytes(&haproxy.master_socket(), &line).await?)?;
    }
    drop(held);
    Ok(())
}

/// The processes that the master lists. A master that executes itself again refuses connections for a moment.
async fn processes(haproxy: &Haproxy) -> io::Result<Vec<u8>> {
    let deadline = Instant::now() + Duration::from_secs(5);
    loop {
        match haproxy::ask_bytes(&haproxy.master_socket(), PROCESSES).await {
            Err(_) if Instant::now() < deadline => sleep(Duration::from_millis(10)).await,
            answer => return answer,
        }
    }
}

/// The session that is held open on web01.
async fn session(haproxy: &Haproxy) -> io::Result<String> {
    let deadline = Instant::now() + Duration::from_secs(5);
    loop {
        let sessions = haproxy.cmd("show sess").await?;
        let found = sessions.lines().find(|line| line.contains("srv=web01")).and_then(|line| line.split_once(':'));
        if let Some((id, _)) = found {
            return Ok(id.to_owned());
        }
        if Instant::now() >= deadline {
            return Err(io::Error::other(format!("no session on web01 in: {sessions}")));
        }
        sleep(Duration::from_millis(10)).await;
    }
}

fn write(into: &Path, name: &str, line: &str, answer: &[u8]) -> io::Result<()> {
    if answer.is_empty() && !name.starts_with("plain") {
        return Err(io::Error::other(format!("{line}: no answer")));
    }
    std::fs::write(into.join(format!("{name}.txt")), [line.as_bytes(), b"\n", answer].concat())
}

/// A configuration: one server with checks and an agent, one without, one that is down, one that tracks another.
fn config(dir: &Path, app: &App, port: u16) -> String {
    format!(
        "global\n  node lab\n  stats socket {dir}/admin.sock level admin expose-fd listeners\n  \
         stats socket {dir}/low.sock level operator\n\
         defaults\n  mode http\n  timeout connect 1s\n  timeout client 10s\n  timeout server 10s\n  timeout tunnel 1h\n\
         frontend www\n  bind 127.0.0.1:{port}\n  use_backend %[str(web),map({dir}/live.map)]\n  default_backend app\n\
         backend app\n  balance roundrobin\n  option httpchk GET /_status\n  \
         server web01 {addr} check inter 100ms fall 1 rise 2 weight 50 \
         agent-check agent-port 1 agent-inter 500ms\n  server web02 127.0.0.1:1 cookie two disabled\n  \
         server web03 127.0.0.1:1 check inter 100ms fall 1\n\
         backend other\n  server x 127.0.0.1:1 track app/web01\n",
        dir = dir.display(),
        addr = app.addr(),
    )
}

const PROCESSES: &str = "show proc";

/// The last two commands add nothing, because they have no address.
const BALANCE_COMMANDS: [(&str, &str); 3] = [
    ("show-backends", "show stat -1 2 -1"),
    ("add-server-dynamic", "add server app/web01"),
    ("add-server-static", "add server hashed/web01"),
];

/// The commands that teeter sends to an old worker.
const WORKER_COMMANDS: [(&str, &str); 3] = [
    ("old-worker-show-stat", "show stat -1/ 6 -1"),
    ("old-worker-show-servers-conn", "show servers conn"),
    ("old-worker-show-sess", "show sess"),
];

const MAP: &str = "web app\nshop other\n";

/// File names and commands, in the order in which they are sent.
const COMMANDS: &[(&str, &str)] = &[
    ("show-cli-level", "show cli level"),
    ("show-version", "show version"),
    ("show-stat", "show stat -1/ 6 -1"),
    ("show-stat-servers", "show stat #3 4 -1"),
    ("show-stat-no-backend", "show stat #99 4 -1"),
    ("show-stat-json", "show stat app 4 -1 json"),
    ("show-servers-state", "show servers state"),
    ("show-servers-state-backend", "show servers state other"),
    ("show-servers-state-no-backend", "show servers state nope"),
    ("show-servers-conn", "show servers conn"),
    ("show-servers-conn-backend", "show servers conn other"),
    ("show-servers-conn-no-backend", "show servers conn nope"),
    ("show-sess", "show sess"),
    ("show-sess-one", "show sess SESSION"),
    ("show-sess-gone", "show sess 0x1"),
    ("show-maps", "show map"),
    ("show-map", "show map MAP"),
    ("show-map-unknown", "show map /no/such.map"),
    ("get-map", "get map MAP web"),
    ("get-map-miss", "get map MAP nobody"),
    ("set-map", "set map MAP shop app"),
    ("set-map-miss", "set map MAP nobody app"),
    ("set-map-unknown", "set map /no/such.map web app"),
    ("add-map", "add map MAP extra app"),
    ("del-map", "del map MAP extra"),
    ("del-map-miss", "del map MAP nobody"),
    ("prepare-map", "prepare map MAP"),
    // The number of the first prepared version of a process.
    ("add-map-prepared", "add map @1 MAP web app"),
    ("commit-map", "commit map @1 MAP"),
    ("commit-map-again", "commit map @1 MAP"),
    ("set-server-state", "set server app/web02 state drain"),
    ("set-server-no-server", "set server app/nobody state drain"),
    ("set-server-no-backend", "set server nowhere/web01 state drain"),
    ("set-server-bad-state", "set server app/web02 state asleep"),
    ("set-server-weight", "set server app/web02 weight 7"),
    ("set-server-weight-too-great", "set server app/web02 weight 300"),
    ("set-server-weight-no-number", "set server app/web02 weight abc"),
    ("set-server-health-tracking", "set server other/x health down"),
    ("enable-agent-without", "enable agent app/web02"),
    ("unknown-command", "frobnicate"),
    // Every kind of answer after every other: text, an empty answer, a refusal, a message that may lack its newline,
    // a table.
    (
        "batch",
        "set server app/web02 state maint;set server app/nobody state maint;set server app/web02 weight abc;\
         show servers state other;set server app/web02 state ready;show cli level",
    ),
    ("shutdown-sessions", "shutdown sessions server app/web01"),
];
