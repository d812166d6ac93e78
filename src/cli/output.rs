//! What hooks say: printed line by line, each with whom it is from, and kept with the run.

use std::time::Duration;

use tokio::io::{AsyncRead, AsyncReadExt as _};
use tokio::process::Child;
use tokio::task::JoinHandle;

use super::keep::Keep;
use super::lines::Lines;
use super::print;

/// Where the output of a run's hooks goes.
#[derive(Clone)]
pub(super) struct Output {
    keep: Keep,
    /// Standard output is for one document.
    only_stderr: bool,
}

/// The output of one hook that is being read.
pub(super) struct Reading {
    pipes: Vec<JoinHandle<()>>,
}

impl Output {
    /// Prints, and keeps. With `only_stderr` nothing is printed on standard output.
    pub(super) fn new(keep: Keep, only_stderr: bool) -> Self {
        Self { keep, only_stderr }
    }

    /// Reads what a child says from now on.
    pub(super) fn of(&self, child: &mut Child, from: &str) -> Reading {
        let mut pipes = Vec::new();
        if let Some(pipe) = child.stdout.take() {
            pipes.push(tokio::spawn(self.clone().read(pipe, from.to_owned(), self.only_stderr)));
        }
        if let Some(pipe) = child.stderr.take() {
            pipes.push(tokio::spawn(self.clone().read(pipe, from.to_owned(), true)));
        }
        Reading { pipes }
    }

    /// Waits a moment until teeterd has what was said.
    pub(super) async fn flush(&self) {
        self.keep.flush().await;
    }

    async fn read(self, mut pipe: impl AsyncRead + Unpin, from: String, to_stderr: bool) {
        let (mut lines, mut buffer) = (Lines::default(), vec![0; AT_ONCE]);
        loop {
            let read = pipe.read(&mut buffer).await.unwrap_or(0);
            let said = if read == 0 { lines.end() } else { lines.of(&buffer[..read]) };
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
            text.push_str(from);
            text.push_str(" | ");
            text.push_str(&line);
            text.push('\n');
        }
        if !text.is_empty() {
            // Whoever reads slowly slows the hook, and neither signals nor the look at the run.
            print::lines(text, to_stderr).await;
        }
    }
}

impl Reading {
    /// Waits for the last words of a hook that has ended. What it has left running may keep the pipes open: that is
    /// still read, but not waited for.
    pub(super) async fn rest(self) {
        let _ = tokio::time::timeout(LAST_WORDS, futures_util::future::join_all(self.pipes)).await;
    }
}

/// How much is read at once.
const AT_ONCE: usize = 8 << 10;

/// How long the output of a hook that has ended is waited for.
const LAST_WORDS: Duration = Duration::from_secs(2);
