//! Printing that does not block. A stopped terminal (Ctrl-S, a pager, a hanging connection) blocks every process that
//! writes to it, even one that must end a hook or obey a signal. So a command that listens for signals hands its output
//! to one thread for each of its two outputs, within a bound, and counts the lines that cannot be printed.

use std::collections::VecDeque;
use std::io::{self, Write as _};
use std::sync::{Condvar, Mutex, MutexGuard, OnceLock, PoisonError};
use std::time::Duration;

use crate::platform::lock;

/// One output, and the text that waits to be written to it.
#[derive(Debug)]
pub(super) struct Lane {
    to_stderr: bool,
    state: Mutex<State>,
    more: Condvar,
}

#[derive(Debug, Default)]
struct State {
    waiting: VecDeque<String>,
    bytes: usize,
    /// Whether a piece is being written.
    writing: bool,
    /// The number of pieces written.
    written: u64,
    /// The number of lines that were not printed.
    dropped: usize,
    /// Nothing could be written for a while, up to now.
    stalled: bool,
    /// The output is closed.
    closed: bool,
}

static LANES: OnceLock<[Lane; 2]> = OnceLock::new();

/// Sends everything that is printed from now on through the lanes.
pub(super) fn begin() {
    let mut new = false;
    let lanes = LANES.get_or_init(|| {
        new = true;
        [false, true].map(|to_stderr| Lane { to_stderr, state: Mutex::default(), more: Condvar::new() })
    });
    if new {
        for lane in lanes {
            std::thread::spawn(move || lane.write());
        }
    }
}

/// The lane of an output, if output goes through lanes.
pub(super) fn for_output(to_stderr: bool) -> Option<&'static Lane> {
    LANES.get().map(|lanes| &lanes[usize::from(to_stderr)])
}

/// Waits until everything is written, or until no piece has been written for a while; a shorter while if the command
/// was told to stop.
pub(super) async fn end(told_to_stop: bool) {
    let at_most = if told_to_stop { SOON } else { LAST };
    let lanes = LANES.get().into_iter().flatten();
    futures_util::future::join_all(lanes.map(|lane| lane.moves_until(Lane::is_empty, at_most))).await;
}

impl Lane {
    /// Prints an answer, even if the lane is full: there are few answers.
    pub(super) fn answer(&self, text: String) {
        self.push(text, usize::MAX);
    }

    /// Prints a message, unless the lane is full. An unread message does not stop the command.
    pub(super) fn say(&self, text: String) {
        self.push(text, 2 * ROOM);
    }

    /// Prints text when there is room. A slow reader slows down the writer; a reader that reads nothing does not.
    /// The text is made only then.
    pub(super) async fn tell(&self, text: impl FnOnce() -> String) {
        if !self.state().stalled && !self.moves_until(|lane| lane.state().bytes < ROOM, STALLS).await {
            self.state().stalled = true;
        }
        self.push(text(), ROOM);
    }

    /// The bytes that wait to be written.
    pub(super) fn bytes(&self) -> usize {
        self.state().bytes
    }

    fn is_empty(&self) -> bool {
        let state = self.state();
        state.waiting.is_empty() && !state.writing
    }

    /// Waits for the condition `came` while pieces are being written. Returns whether it became true.
    async fn moves_until(&self, came: impl Fn(&Self) -> bool, at_most: Duration) -> bool {
        let (mut written, mut stood) = (self.state().written, Duration::ZERO);
        while !came(self) {
            tokio::time::sleep(LOOK).await;
            let now = self.state().written;
            stood = if now == written { stood + LOOK } else { Duration::ZERO };
            written = now;
            if stood >= at_most {
                return false;
            }
        }
        true
    }

    fn push(&self, text: String, room: usize) {
        let mut state = self.state();
        if state.closed {
            return;
        }
        if state.bytes >= room {
            state.dropped += text.matches('\n').count().max(1);
            return;
        }
        state.bytes += text.len();
        state.waiting.push_back(text);
        self.more.notify_one();
    }

    /// Writes the pieces, until the process ends.
    fn write(&self) {
        let mut state = self.state();
        loop {
            let Some(mut text) = state.waiting.pop_front() else {
                state = self.more.wait(state).unwrap_or_else(PoisonError::into_inner);
                continue;
            };
            state.bytes -= text.len();
            state.writing = true;
            if state.waiting.is_empty() && state.dropped > 0 {
                text.push_str(&format!(
                    "teeter: {} lines were not printed, because the reader of this output is stopped\n",
                    state.dropped
                ));
                state.dropped = 0;
            }
            drop(state);
            let done = match self.to_stderr {
                true => io::stderr().lock().write_all(text.as_bytes()),
                false => {
                    let mut stdout = io::stdout().lock();
                    stdout.write_all(text.as_bytes()).and_then(|()| stdout.flush())
                }
            };
            state = self.state();
            (state.writing, state.stalled) = (false, false);
            state.written += 1;
            if done.is_err() {
                state.closed = true;
                state.waiting.clear();
                state.bytes = 0;
            }
        }
    }

    fn state(&self) -> MutexGuard<'_, State> {
        lock(&self.state)
    }
}

/// The most bytes that wait for a slow reader before the writer waits.
const ROOM: usize = 64 << 10;

/// A reader that has read nothing for this long counts as stopped.
const STALLS: Duration = Duration::from_secs(2);

/// The longest wait for a stopped reader at the end of a command.
const LAST: Duration = Duration::from_secs(5);

/// The same if the command was told to stop.
const SOON: Duration = Duration::from_secs(1);

/// The interval between two checks for progress.
const LOOK: Duration = Duration::from_millis(10);
