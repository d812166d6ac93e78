//! A connection to the stats socket: it reads lines, carries out their commands in order, and writes the answers.
//!
//! As in HAProxy, other tasks may run between two commands of a line. If the client has closed the connection by
//! then, the rest of the line is not carried out.

use std::time::Duration;

use tokio::io::{AsyncReadExt, AsyncWriteExt, DuplexStream};
use tokio::sync::watch;
use tokio::time::Instant;

use super::Fake;
use super::commands::{Caller, Outcome};
use super::host::Occurrence;
use super::setup::{Level, Series};

/// Serves one connection to its end.
pub(super) async fn serve(fake: Fake, stream: DuplexStream, level: Level, mut listening: watch::Receiver<()>) {
    let accepted = tokio::select! {
        biased;
        // A connection that is not accepted yet ends with the socket. A reload hands the socket to the new process.
        _ = listening.changed() => return,
        accepted = accept(&fake) => accepted,
    };
    let Some((pid, mut life, _seat)) = accepted else { return };
    let (series, idle) = fake.with(|host, _| ((host.setup.series, host.setup.cli_timeout), None));
    let caller = Caller { pid, level, prompt: false };
    let mut session =
        Session { fake: fake.clone(), stream, caller, series, idle, read: Vec::new(), out: String::new() };
    tokio::select! {
        biased;
        // The process was killed.
        _ = life.changed() => return,
        () = session.talk() => {}
    }
    drop(session);
    leave(&fake, pid);
}

/// Waits until a process accepts the connection. `None`: HAProxy is down.
async fn accept(fake: &Fake) -> Option<(u32, watch::Receiver<()>, tokio::sync::OwnedSemaphorePermit)> {
    loop {
        wait_while_hung(fake).await;
        let (pid, seats, mut life) = fake.with(|host, now| (host.answers(now), None))?;
        let seat = match seats.clone().try_acquire_owned() {
            Ok(seat) => seat,
            Err(_) => tokio::select! {
                seat = seats.acquire_owned() => seat.ok()?,
                _ = life.changed() => continue,
            },
        };
        let accepted = fake.with(|host, _| {
            // The process has been replaced meanwhile: the next one has the socket.
            let worker = host.workers.get_mut(&pid);
            (worker.map(|worker| worker.cli += 1).is_some(), None)
        });
        if accepted {
            return Some((pid, life, seat));
        }
    }
}

/// Ends a connection. It may be the last one that an old process waited for.
pub(super) fn leave(fake: &Fake, pid: u32) {
    fake.with(|host, _| {
        let Some(worker) = host.workers.get_mut(&pid) else { return ((), None) };
        worker.cli = worker.cli.saturating_sub(1);
        ((), host.bury(pid).then_some(Occurrence::Ended(pid)))
    });
}

pub(super) async fn wait_while_hung(fake: &Fake) {
    loop {
        let hung = fake.with(|host, now| (host.hung(now).map(|until| (until, host.resumed.subscribe())), None));
        let Some((until, mut resumed)) = hung else { return };
        let _ = tokio::time::timeout_at(until, resumed.changed()).await;
    }
}

/// Carries out a command as soon as HAProxy does not hang any more.
pub(super) async fn carry_out(fake: &Fake, caller: &mut Caller, command: &str, out: &mut String) -> Outcome {
    loop {
        wait_while_hung(fake).await;
        if let Some(done) = fake.with(|host, now| host.carry_out(caller, command, out, now)) {
            return done;
        }
    }
}

struct Session {
    fake: Fake,
    stream: DuplexStream,
    caller: Caller,
    series: Series,
    idle: Duration,
    read: Vec<u8>,
    out: String,
}

impl Session {
    async fn talk(&mut self) {
        while let Some(line) = self.line().await {
            if self.carry_out(&line).await.is_none() {
                return;
            }
            let more = self.series <= Series::V2_6 && self.read.contains(&b'\n');
            if !self.caller.prompt && !more {
                return;
            }
        }
    }

    /// The next line, without its newline. `None`: there is none, or it takes too long, or it is too long.
    async fn line(&mut self) -> Option<String> {
        loop {
            if let Some(end) = self.read.iter().position(|byte| *byte == b'\n') {
                if end > LONGEST {
                    return None;
                }
                let line = String::from_utf8_lossy(&self.read[..end]).trim_end_matches('\r').to_owned();
                self.read.drain(..=end);
                return Some(line);
            }
            if self.read.len() > LONGEST {
                return None;
            }
            let read = tokio::time::timeout(self.idle, self.stream.read_buf(&mut self.read)).await;
            if !matches!(read, Ok(Ok(1..))) {
                // Up to 3.0, the whole commands of a line without a newline are carried out.
                if matches!(read, Ok(Ok(0))) && self.series <= Series::V3_0 {
                    let text = String::from_utf8_lossy(&self.read).into_owned();
                    let (whole, _) = text.rsplit_once(';')?;
                    self.read.clear();
                    return Some(whole.to_owned());
                }
                return None;
            }
        }
    }

    /// `None`: the connection ends.
    async fn carry_out(&mut self, line: &str) -> Option<()> {
        let commands = split(line);
        let mut closed = false;
        for (number, command) in commands.iter().enumerate() {
            let last = number + 1 == commands.len();
            let done = carry_out(&self.fake, &mut self.caller, command, &mut self.out).await;
            if done.gone || done.quit {
                let _ = self.flush().await;
                return None;
            }
            self.out.push('\n');
            if self.caller.prompt && (self.series < Series::V3_2 || last) {
                self.out.push_str("> ");
            }
            if !last {
                closed = self.pause(done, closed).await;
                // Up to 2.5, a line is carried out to its end even if the client has closed the connection.
                if closed && self.series > Series::V2_2 {
                    return None;
                }
            }
        }
        self.flush().await.ok()
    }

    /// Lets other tasks run. Whether the client has closed the connection.
    async fn pause(&mut self, done: Outcome, closed: bool) -> bool {
        let mut closed = closed;
        for _ in 0..done.turns {
            tokio::task::yield_now().await;
        }
        if done.naps {
            closed |= self.flush().await.is_err();
            tokio::time::sleep(NAP).await;
        }
        closed
    }

    async fn flush(&mut self) -> std::io::Result<()> {
        wait_while_hung(&self.fake).await;
        let written = send(&self.fake, &mut self.stream, self.out.as_bytes()).await;
        self.out.clear();
        written
    }
}

/// Writes an answer, in pieces while HAProxy is slow.
pub(super) async fn send(fake: &Fake, stream: &mut DuplexStream, bytes: &[u8]) -> std::io::Result<()> {
    let Some(pause) = fake.with(|host, _| (host.slow, None)) else { return stream.write_all(bytes).await };
    for piece in bytes.chunks(TRICKLE) {
        stream.write_all(piece).await?;
        tokio::time::sleep(pause).await;
    }
    Ok(())
}

/// The commands of a line, which are separated by `;` unless that is escaped.
pub(super) fn split(line: &str) -> Vec<&str> {
    let (mut commands, mut begin, mut escaped) = (Vec::new(), 0, false);
    for (at, byte) in line.bytes().enumerate() {
        match byte {
            b'\\' => escaped = !escaped,
            b';' if !escaped => {
                commands.push(line[begin..at].trim());
                begin = at + 1;
            }
            _ => escaped = false,
        }
    }
    commands.push(line[begin..].trim());
    commands
}

impl super::Host {
    /// The process that answers a new connection, its semaphore of connections, and the channel that closes with it.
    fn answers(&mut self, now: Instant) -> Option<(u32, std::sync::Arc<tokio::sync::Semaphore>, watch::Receiver<()>)> {
        let late = self.late.filter(|(pid, until)| *until > now && self.workers.contains_key(pid));
        let pid = match late {
            // While the socket is handed over, the former process answers some connections.
            Some((pid, _)) if self.dice.within(0..4) == 0 => pid,
            _ => self.current?,
        };
        let worker = self.workers.get(&pid)?;
        Some((pid, worker.seats.clone(), worker.life.subscribe()))
    }
}

/// The longest line, in bytes.
const LONGEST: usize = 15_360;

/// The shortest time of the runtime's clock.
const NAP: Duration = Duration::from_millis(1);

const TRICKLE: usize = 512;
