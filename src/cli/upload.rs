//! Uploads the output of hooks to teeterd, which stores it with the run: in batches, in the background, best effort.
//!
//! A run never waits for an upload, and never fails because of one. While teeterd is away, the lines wait here, at most
//! as many as teeterd stores of a run; at the end of a hook they are sent once more, and then dropped.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use tokio::sync::{mpsc, oneshot};
use tokio::time::MissedTickBehavior;

use super::print;
use crate::api::{MOST_OUTPUT_OF_A_RUN, OUTPUT_LINE_OVERHEAD, OutputLine, OutputRequest, OutputView};
use crate::control::client::Client;

/// Takes lines for upload.
#[derive(Clone)]
pub(super) struct Upload {
    sender: mpsc::UnboundedSender<Message>,
    /// The bytes accepted so far. This bounds the memory: more than teeterd stores of a run is not accepted.
    given: Arc<AtomicUsize>,
}

enum Message {
    Line(OutputLine),
    Flush(oneshot::Sender<()>),
}

impl Upload {
    /// An upload for the output of this run.
    pub(super) fn of_run(client: &Client, run: u64) -> Self {
        let (sender, receiver) = mpsc::unbounded_channel();
        let batches = Batches { client: client.clone(), path: format!("/v1/runs/{run}/output"), lines: Vec::new() };
        tokio::spawn(batches.send_all(receiver));
        Self { sender, given: Arc::default() }
    }

    /// Uploads a line, if it fits.
    pub(super) fn line(&self, from: &str, text: &str) {
        if self.given.load(Ordering::Relaxed) > MOST_OUTPUT_OF_A_RUN {
            return;
        }
        let line = OutputLine { from: from.to_owned(), text: text.to_owned() };
        self.given.fetch_add(cost(&line), Ordering::Relaxed);
        // The receiver is gone if teeterd takes no more.
        let _ = self.sender.send(Message::Line(line));
    }

    /// Waits a moment until everything has arrived at teeterd.
    pub(super) async fn flush(&self) {
        let (done, flushed) = oneshot::channel();
        if self.sender.send(Message::Flush(done)).is_ok() {
            // A slow or absent teeterd does not delay a deploy.
            let _ = tokio::time::timeout(PATIENCE, flushed).await;
        }
    }
}

struct Batches {
    client: Client,
    path: String,
    lines: Vec<OutputLine>,
}

impl Batches {
    async fn send_all(mut self, mut receiver: mpsc::UnboundedReceiver<Message>) {
        let mut pause = tokio::time::interval(PAUSE);
        pause.set_missed_tick_behavior(MissedTickBehavior::Delay);
        let mut away = false;
        loop {
            let go_on = tokio::select! {
                message = receiver.recv() => match message {
                    None => return,
                    Some(Message::Line(line)) => {
                        self.lines.push(line);
                        let enough = self.lines.iter().map(cost).sum::<usize>() >= BATCH;
                        if enough && !away { self.send().await } else { Sent::All }
                    }
                    Some(Message::Flush(done)) => {
                        let sent = self.send().await;
                        let _ = done.send(());
                        sent
                    }
                },
                _ = pause.tick(), if !self.lines.is_empty() => self.send().await,
            };
            match go_on {
                Sent::All => away = away && !self.lines.is_empty(),
                Sent::Away => away = true,
                Sent::Never => return,
            }
        }
    }

    /// Sends the waiting lines, batch by batch.
    async fn send(&mut self) -> Sent {
        while !self.lines.is_empty() {
            let mut bytes = 0;
            let fits = |line: &&OutputLine| {
                let before = bytes;
                bytes += cost(line);
                before < BATCH
            };
            let count = self.lines.iter().take_while(fits).count();
            let request = OutputRequest { lines: self.lines[..count].to_vec() };
            match self.client.post(&self.path, &request).await {
                Ok(OutputView { more: true }) => drop(self.lines.drain(..count)),
                Ok(OutputView { more: false }) => return Sent::Never,
                Err(error) if error.is_away() => return Sent::Away,
                Err(error) => {
                    print::err(&format!("the output of hooks is not stored: {error}"));
                    return Sent::Never;
                }
            }
        }
        Sent::All
    }
}

/// The result of sending lines.
enum Sent {
    All,
    /// teeterd is away: try again later.
    Away,
    /// teeterd takes no more.
    Never,
}

fn cost(line: &OutputLine) -> usize {
    line.from.len() + line.text.len() + OUTPUT_LINE_OVERHEAD
}

/// A batch is sent when it has this many bytes,
const BATCH: usize = 8 << 10;

/// or after this time.
const PAUSE: Duration = Duration::from_secs(1);

/// The longest wait at the end of a hook for teeterd to take the rest.
const PATIENCE: Duration = Duration::from_secs(5);
