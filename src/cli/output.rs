//! The output of hooks: printed line by line, each line with its group or server, and stored with the run.

use std::time::Duration;

use tokio::io::{AsyncRead, AsyncReadExt as _};
use tokio::process::Child;
use tokio::task::JoinHandle;

use super::lines::Lines;
use super::live::HookState;
use super::upload::Upload;
use super::{clock, print};

/// The destination of the output of a run's hooks.
#[derive(Clone)]
pub(super) struct Output {
    keep: Upload,
    /// Standard output is reserved for one JSON document.
    only_stderr: bool,
    state: HookState,
}

/// The output of one running hook.
pub(super) struct Reading {
    pipes: Vec<JoinHandle<()>>,
}

impl Output {
    /// Prints and uploads the output of a run's hooks. With `only_stderr`, prints nothing on standard output.
    pub(super) fn new(keep: Upload, only_stderr: bool, state: HookState) -> Self {
        Self { keep, only_stderr, state }
    }

    /// Starts to read the output of a child process.
    pub(super) fn read_from(&self, child: &mut Child, from: &str) -> Reading {
        let mut pipes = Vec::new();
        if let Some(pipe) = child.stdout.take() {
            pipes.push(tokio::spawn(self.clone().read(pipe, from.to_owned(), self.only_stderr)));
        }
        if let Some(pipe) = child.stderr.take() {
            pipes.push(tokio::spawn(self.clone().read(pipe, from.to_owned(), true)));
        }
        Reading { pipes }
    }

    /// Waits a moment until teeterd has the output.
    pub(super) async fn flush(&self) {
        self.keep.flush().await;
    }

    async fn read(self, mut pipe: impl AsyncRead + Unpin, from: String, to_stderr: bool) {
        let (mut lines, mut buffer) = (Lines::default(), vec![0; AT_ONCE]);
        loop {
            let read = pipe.read(&mut buffer).await.unwrap_or(0);
            let said = if read == 0 { lines.end() } else { lines.push(&buffer[..read]) };
            self.tell(&from, said, to_stderr).await;
            if read == 0 {
                return;
            }
        }
    }

    async fn tell(&self, from: &str, said: Vec<String>, to_stderr: bool) {
        let mut text = String::new();
        for line in said {
            self.keep.line(from, &line);
            self.state.line(clock::now(), &line);
            text.push_str(from);
            text.push_str(" | ");
            text.push_str(&line);
            text.push('\n');
        }
        if !text.is_empty() {
            // A slow reader slows down the hook, but neither signals nor the watch of the run.
            print::lines(text, to_stderr).await;
        }
    }
}

impl Reading {
    /// Waits for the last output of a hook that has ended. Processes that the hook left running may keep the pipes
    /// open: their output is still read, but not waited for.
    pub(super) async fn rest(self) {
        let _ = tokio::time::timeout(LAST_WORDS, futures_util::future::join_all(self.pipes)).await;
    }
}

/// Bytes to read at once.
const AT_ONCE: usize = 8 << 10;

/// The longest wait for the output of a hook that has ended.
const LAST_WORDS: Duration = Duration::from_secs(2);
