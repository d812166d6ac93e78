//! Printing that waits for no reader. A terminal that is stopped (Ctrl-S, a pager, a connection that hangs) takes nothing,
//! and whoever writes to it stands still: with a hook to end, or a signal to obey. So a command that listens to signals
//! gives what it prints to a thread for each of its two outputs, with a bound, and counts what nobody reads.

use std::collections::VecDeque;
use std::io::{self, Write as _};
use std::sync::{Condvar, Mutex, MutexGuard, OnceLock, PoisonError};
use std::time::Duration;

/// One output, and what waits to be written to it.
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
    /// How many pieces have been written.
    written: u64,
    /// Lines that were not printed.
    dropped: usize,
    /// Nothing could be written for a while, and nothing has been since.
    stalled: bool,
    /// It is closed: nobody will ever read.
    closed: bool,
}

static LANES: OnceLock<[Lane; 2]> = OnceLock::new();

/// Has everything that is printed from now on go this way.
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

/// The way to an output, where things go this way.
pub(super) fn of(to_stderr: bool) -> Option<&'static Lane> {
    LANES.get().map(|lanes| &lanes[usize::from(to_stderr)])
}

/// Waits until everything is written, or nothing more has been for a while: a shorter one, where the command was told to
/// stop.
pub(super) async fn end(told_to_stop: bool) {
    let at_most = if told_to_stop { SOON } else { LAST };
    let lanes = LANES.get().into_iter().flatten();
    futures_util::future::join_all(lanes.map(|lane| lane.moves_until(Lane::is_empty, at_most))).await;
}

impl Lane {
    /// Prints this, whatever waits already: an answer, of which there are few.
    pub(super) fn answer(&self, text: String) {
        self.push(text, usize::MAX);
    }

    /// Prints this, unless too much waits already. That nobody reads it is no reason to stop.
    pub(super) fn say(&self, text: String) {
        self.push(text, 2 * ROOM);
    }

    /// Prints this when there is room. Whoever reads slowly slows whoever speaks; whoever does not read at all does not.
    pub(super) async fn tell(&self, text: String) {
        if !self.state().stalled && !self.moves_until(|lane| lane.state().bytes < ROOM, STALLS).await {
            self.state().stalled = true;
        }
        self.push(text, ROOM);
    }

    /// How much waits to be written.
    pub(super) fn bytes(&self) -> usize {
        self.state().bytes
    }

    fn is_empty(&self) -> bool {
        let state = self.state();
        state.waiting.is_empty() && !state.writing
    }

    /// Waits for this, for as long as something is written now and then. Whether it came.
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

    /// Writes, for as long as the process lives.
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
                text.push_str(&format!("teeter: {} lines were not printed: nobody read them\n", state.dropped));
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
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// So much waits for a slow reader before whoever speaks has to wait.
const ROOM: usize = 64 << 10;

/// A reader who has read nothing for so long is not there.
const STALLS: Duration = Duration::from_secs(2);

/// How long the end of a command waits for a reader who reads nothing.
const LAST: Duration = Duration::from_secs(5);

/// The same where the command was told to stop.
const SOON: Duration = Duration::from_secs(1);

/// Between two looks at whether something was written.
const LOOK: Duration = Duration::from_millis(10);
