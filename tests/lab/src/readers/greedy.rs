//! Readers that send the next request as soon as they have an answer, in a process of another user if the lab is root.

use std::collections::BTreeMap;
use std::fmt::Write as _;
use std::io::{self, Write as _};
use std::path::{Path, PathBuf};
use std::process::Stdio;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use clap::Args;
use tokio::io::{AsyncBufReadExt as _, AsyncReadExt as _, AsyncWriteExt as _, BufReader};
use tokio::net::UnixStream;
use tokio::process::{Child, Command};
use tokio::time::sleep;

use crate::command::failure;

#[derive(Args)]
pub(crate) struct GreedyArgs {
    /// The control socket.
    #[arg(long)]
    socket: PathBuf,
    /// The path of the request.
    #[arg(long)]
    path: String,
    /// The number of connections.
    #[arg(long)]
    connections: u32,
}

/// The kinds of readers, with the path of their request; first no readers.
pub(crate) fn kinds() -> [(&'static str, Option<String>); 5] {
    [
        ("none", None),
        ("`doctor`", Some("/v1/doctor".to_owned())),
        ("`store verify`", Some("/v1/store".to_owned())),
        ("`status` of a thousand", Some(most_expensive_status())),
        ("`sessions`", Some("/v1/sessions?sel=b*/*".to_owned())),
    ]
}

/// The most expensive selectors of one request: as many long globs as are allowed, and names for the rest.
fn most_expensive_status() -> String {
    let mut path = "/v1/status?sel=*/*".to_owned();
    for number in 1..50 {
        let _ = write!(path, "&sel=b*{number:02}*/*s*[0-9]*[0-9]*");
    }
    for number in 0..950 {
        let _ = write!(path, "&sel=b{:04}/s{:02}", 1 + number / 20, 1 + number % 20);
    }
    path
}

/// A process of readers; killed when dropped.
pub(crate) struct Readers {
    child: Child,
    /// Its last line of output: the counts of answers.
    counts: Arc<Mutex<String>>,
}

impl Readers {
    /// Starts the readers, and returns after two seconds.
    pub(crate) async fn start(socket: &Path, path: &str, connections: u32) -> io::Result<Self> {
        // A copy that the other user may run.
        let program = socket.with_file_name("greedy");
        std::fs::copy(std::env::current_exe()?, &program)?;
        let mut command = Command::new(&program);
        command.arg("greedy").arg("--socket").arg(socket).args(["--path", path]);
        command.args(["--connections", &connections.to_string()]).stdin(Stdio::null()).stdout(Stdio::piped());
        if is_root() {
            command.uid(OTHER_USER).gid(OTHER_USER);
        }
        let mut child = command.kill_on_drop(true).spawn()?;
        let output = child.stdout.take().ok_or_else(|| failure("no output of readers".to_owned()))?;
        let counts = Arc::<Mutex<String>>::default();
        let last = Arc::clone(&counts);
        tokio::spawn(async move {
            let mut lines = BufReader::new(output).lines();
            while let Ok(Some(line)) = lines.next_line().await {
                *last.lock().unwrap_or_else(PoisonError::into_inner) = line;
            }
        });
        sleep(Duration::from_secs(2)).await;
        Ok(Self { child, counts })
    }

    /// Ends the readers; returns the counts of their answers.
    pub(crate) async fn stop(mut self) -> io::Result<String> {
        sleep(Duration::from_secs(1)).await;
        self.child.kill().await?;
        Ok(self.counts.lock().unwrap_or_else(PoisonError::into_inner).clone())
    }
}

fn is_root() -> bool {
    std::fs::read_to_string("/proc/self/status").is_ok_and(|status| status.contains("\nUid:\t0\t0\t"))
}

/// Sends requests until it is killed, and prints the counts of answers every half second.
pub(crate) async fn send_requests(args: GreedyArgs) -> io::Result<()> {
    let counts = Arc::<Mutex<BTreeMap<String, u64>>>::default();
    for _ in 0..args.connections {
        let (socket, path, counts) = (args.socket.clone(), args.path.clone(), Arc::clone(&counts));
        tokio::spawn(async move {
            loop {
                let answer = request(&socket, &path).await.unwrap_or_else(|error| error.kind().to_string());
                *counts.lock().unwrap_or_else(PoisonError::into_inner).entry(answer).or_default() += 1;
            }
        });
    }
    loop {
        sleep(Duration::from_millis(500)).await;
        let counts = counts.lock().unwrap_or_else(PoisonError::into_inner).clone();
        let counts: Vec<String> = counts.into_iter().map(|(answer, count)| format!("{count} × {answer}")).collect();
        writeln!(io::stdout(), "{}", counts.join(", "))?;
    }
}

/// The status of the answer to one request.
async fn request(socket: &Path, path: &str) -> io::Result<String> {
    let mut stream = UnixStream::connect(socket).await?;
    stream.write_all(format!("GET {path} HTTP/1.1\r\nhost: t\r\nconnection: close\r\n\r\n").as_bytes()).await?;
    let mut answer = Vec::new();
    stream.read_to_end(&mut answer).await?;
    let head = String::from_utf8_lossy(answer.get(..12).unwrap_or(&answer)).into_owned();
    Ok(head.split(' ').nth(1).unwrap_or("no answer").to_owned())
}

/// The uid and gid of the readers: those of the user `nobody`.
const OTHER_USER: u32 = 65_534;
