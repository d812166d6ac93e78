//! A relay between teeterd and HAProxy's socket that remembers what was asked, and cuts one line short where it is told
//! to, at the worst moment.

use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use tokio::io::{AsyncBufReadExt as _, AsyncReadExt as _, AsyncWriteExt as _, BufReader};
use tokio::net::{UnixListener, UnixStream};
use tokio::sync::{mpsc, oneshot};

/// Passes lines on. Once it is armed the next line of a flip is carried out in part only; then whoever armed it may do
/// to HAProxy what they like before the connection ends.
pub(crate) struct Relay {
    pub(crate) path: PathBuf,
    /// How many changing commands of the next such line are let through, and one more than that; 0: all.
    armed: Arc<AtomicUsize>,
    /// Every line so far.
    lines: Arc<Mutex<Vec<String>>>,
    cuts: mpsc::Receiver<Cut>,
}

/// A line that has been cut: the connection ends when this is dropped.
pub(crate) struct Cut {
    /// The line.
    pub(crate) line: String,
    /// How many changing commands it had.
    pub(crate) of: usize,
    _over: oneshot::Sender<()>,
}

impl Relay {
    /// `flip`: what stands in a line of a flip and in no other.
    pub(crate) fn start(path: PathBuf, haproxy: &Path, flip: &'static str) -> Self {
        let listener = UnixListener::bind(&path).expect("it listens");
        let armed = Arc::new(AtomicUsize::new(0));
        let (cut, cuts) = mpsc::channel(1);
        let (haproxy, counter) = (haproxy.to_owned(), Arc::clone(&armed));
        let lines = Arc::<Mutex<Vec<String>>>::default();
        let told = Arc::clone(&lines);
        tokio::spawn(async move {
            while let Ok((client, _)) = listener.accept().await {
                let (haproxy, counter, cut) = (haproxy.clone(), Arc::clone(&counter), cut.clone());
                let told = Arc::clone(&told);
                tokio::spawn(async move { pass(client, &haproxy, flip, &counter, &told, &cut).await });
            }
        });
        Self { path, armed, lines, cuts }
    }

    /// How many lines have passed since they were taken.
    pub(crate) fn lines(&self) -> usize {
        self.lines.lock().unwrap_or_else(PoisonError::into_inner).len()
    }

    /// Takes every line that has passed since this was asked last.
    pub(crate) fn take_lines(&self) -> Vec<String> {
        std::mem::take(&mut *self.lines.lock().unwrap_or_else(PoisonError::into_inner))
    }

    /// Cuts the next line of a flip after `commands` of its changing commands.
    pub(crate) fn arm(&self, commands: usize) {
        self.armed.store(commands + 1, Ordering::SeqCst);
    }

    /// The line that was cut.
    pub(crate) async fn cut(&mut self) -> Cut {
        tokio::time::timeout(Duration::from_secs(20), self.cuts.recv()).await.expect("it is cut").expect("it runs")
    }
}

async fn pass(
    client: UnixStream,
    haproxy: &Path,
    flip: &str,
    armed: &AtomicUsize,
    lines: &Mutex<Vec<String>>,
    cut: &mpsc::Sender<Cut>,
) -> Option<()> {
    let (read, mut write) = client.into_split();
    let mut line = String::new();
    let mut read = BufReader::new(read);
    read.read_line(&mut line).await.ok()?;
    lines.lock().unwrap_or_else(PoisonError::into_inner).push(line.trim_end().to_owned());
    let mut server = UnixStream::connect(haproxy).await.ok()?;
    let commands: Vec<&str> = line.trim_end().split(';').collect();
    let changes = |command: &&&str| command.starts_with("set ") || command.starts_with("add map");
    let of = commands.iter().filter(changes).count();
    let allowed = if line.contains(flip) { armed.swap(0, Ordering::SeqCst) } else { 0 };
    if allowed == 0 {
        server.write_all(line.as_bytes()).await.ok()?;
        // HAProxy has room for ten connections: one that teeterd has left must go.
        let mut rest = Vec::new();
        tokio::select! {
            _ = tokio::io::copy(&mut server, &mut write) => {}
            _ = read.read_to_end(&mut rest) => {}
        }
        return Some(());
    }
    // Everything up to the cut is carried out, and its replies are read, so that it has happened for certain.
    let (mut through, mut part) = (0, Vec::new());
    for command in &commands {
        if changes(&command) {
            through += 1;
            if through >= allowed {
                break;
            }
        } else if *command == "prompt" {
            continue;
        }
        part.push(*command);
    }
    for command in part {
        let mut one = UnixStream::connect(haproxy).await.ok()?;
        one.write_all(format!("{command}\n").as_bytes()).await.ok()?;
        one.read_to_end(&mut Vec::new()).await.ok()?;
    }
    let (over, wait) = oneshot::channel();
    cut.send(Cut { line: line.clone(), of, _over: over }).await.ok()?;
    // An error is the end of the cut, which is what is waited for.
    wait.await.unwrap_or_default();
    Some(())
}
