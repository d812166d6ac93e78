//! Sends what hooks say to teeterd, to be kept with the run: in batches, in the background, and as far as it goes.
//!
//! A run never waits for this, and never fails for it. While teeterd is away the lines wait here, no more of them than
//! a run may keep; at the end of a hook they are sent once more, and then given up.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use tokio::sync::{mpsc, oneshot};
use tokio::time::MissedTickBehavior;

use super::print;
use crate::api::{MOST_OUTPUT_OF_A_RUN, OUTPUT_LINE_OVERHEAD, OutputLine, OutputRequest, OutputView};
use crate::control::client::Client;

/// Where lines are given to.
#[derive(Clone)]
pub(super) struct Keep {
    sender: mpsc::UnboundedSender<Message>,
    /// What has been given so far. It bounds the memory: what a run may not keep is not even given.
    given: Arc<AtomicUsize>,
}

enum Message {
    Line(OutputLine),
    Flush(oneshot::Sender<()>),
}

impl Keep {
    /// For the output of this run.
    pub(super) fn of_run(client: &Client, run: u64) -> Self {
        let (sender, receiver) = mpsc::unbounded_channel();
        let batches = Batches { client: client.clone(), path: format!("/v1/runs/{run}/output"), lines: Vec::new() };
        tokio::spawn(batches.send_all(receiver));
        Self { sender, given: Arc::default() }
    }

    /// Keeps a line, if it can be.
    pub(super) fn line(&self, from: &str, text: &str) {
        if self.given.load(Ordering::Relaxed) > MOST_OUTPUT_OF_A_RUN {
            return;
        }
        let line = OutputLine { from: from.to_owned(), text: text.to_owned() };
        self.given.fetch_add(cost(&line), Ordering::Relaxed);
        // Nobody listens any more when teeterd wants no more.
        let _ = self.sender.send(Message::Line(line));
    }

    /// Waits a moment until everything has arrived.
    pub(super) async fn flush(&self) {
        let (done, told) = oneshot::channel();
        if self.sender.send(Message::Flush(done)).is_ok() {
            // Neither a slow teeterd nor one that is away holds up a deploy.
            let _ = tokio::time::timeout(PATIENCE, told).await;
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

    /// Sends what is there, a batch after the other.
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
                    print::err(&format!("the output of hooks is not kept: {error}"));
                    return Sent::Never;
                }
            }
        }
        Sent::All
    }
}

/// What became of lines.
enum Sent {
    All,
    /// teeterd is away: later, perhaps.
    Away,
    /// teeterd wants no more.
    Never,
}

fn cost(line: &OutputLine) -> usize {
    line.from.len() + line.text.len() + OUTPUT_LINE_OVERHEAD
}

/// A batch is sent when it has so many bytes,
const BATCH: usize = 8 << 10;

/// or after this time.
const PAUSE: Duration = Duration::from_secs(1);

/// How long the end of a hook waits for teeterd to take its last words.
const PATIENCE: Duration = Duration::from_secs(5);
