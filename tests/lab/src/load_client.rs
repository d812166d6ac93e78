//! One client of a load: it keeps a connection, sends a request, records the answer, and sends the next request.
//!
//! All clients of a load share a thread and write into one record, so nothing here needs a lock.

use std::cell::RefCell;
use std::io;
use std::rc::Rc;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Duration, Instant};

use tokio::net::TcpStream;
use tokio::sync::watch;
use tokio::time::timeout;

use crate::client::{Frame, upgrade};
use crate::http::{Wire, fields};
use crate::load::LoadSpec;
use crate::report::{LoadReport, Record};

/// The pause of a client whose connection is refused.
const AFTER_FAILURE: Duration = Duration::from_millis(10);

/// The number of failures that are kept in words.
const COMPLAINTS: usize = 10;

/// The counts that the owner of a load can read while it runs.
#[derive(Debug, Default)]
pub(crate) struct Counts {
    pub(crate) all: AtomicU64,
    pub(crate) failed: AtomicU64,
}

/// The record that all clients write into.
pub(crate) struct Book {
    started: Instant,
    records: Vec<Record>,
    names: Vec<String>,
    /// The current request of each client: when it was first sent, and when it was last sent.
    open: Vec<Option<(u64, u64)>>,
    retried: u64,
    complaints: Vec<String>,
    counts: Arc<Counts>,
    /// When the last part of the report was taken.
    cut: Instant,
}

impl Book {
    pub(crate) fn new(clients: usize, counts: Arc<Counts>) -> Self {
        let started = Instant::now();
        Self {
            started,
            cut: started,
            records: Vec::with_capacity(1 << 16),
            names: vec![String::new()],
            open: vec![None; clients],
            retried: 0,
            complaints: Vec::new(),
            counts,
        }
    }

    /// Ends the record: a request that still waits now was not served.
    pub(crate) fn report(&mut self) -> LoadReport {
        for conn in 0..self.open.len() {
            self.close(conn, &Err(io::ErrorKind::TimedOut.into()));
        }
        self.part()
    }

    /// Takes out the requests that have ended since the last time. Those under way stay for the next part.
    pub(crate) fn part(&mut self) -> LoadReport {
        let now = Instant::now();
        let lasted = now - std::mem::replace(&mut self.cut, now);
        LoadReport {
            started: self.started,
            lasted,
            records: std::mem::take(&mut self.records),
            retried: std::mem::take(&mut self.retried),
            complaints: std::mem::take(&mut self.complaints),
            names: self.names.clone(),
        }
    }

    fn now(&self) -> u64 {
        u64::try_from(self.started.elapsed().as_nanos()).unwrap_or(u64::MAX)
    }

    fn id(&mut self, name: &str) -> u16 {
        let at = match self.names.iter().position(|known| known == name) {
            Some(at) => at,
            None => {
                self.names.push(name.to_owned());
                self.names.len() - 1
            }
        };
        u16::try_from(at).unwrap_or(0)
    }

    fn send(&mut self, conn: usize, again: bool) {
        let now = self.now();
        if let Some(open) = self.open.get_mut(conn) {
            let asked = open.filter(|_| again).map_or(now, |(asked, _)| asked);
            *open = Some((asked, now));
        }
        self.retried += u64::from(again);
    }

    fn close(&mut self, conn: usize, outcome: &io::Result<Seen>) {
        let Some((asked, sent)) = self.open.get_mut(conn).and_then(Option::take) else {
            return;
        };
        let seen = outcome.as_ref().ok().copied().unwrap_or_default();
        let record = Record {
            conn: u32::try_from(conn).unwrap_or(u32::MAX),
            asked,
            sent,
            answered: self.now(),
            status: seen.status,
            version: seen.version,
            server: seen.server,
        };
        self.counts.all.fetch_add(1, Ordering::Relaxed);
        if !record.is_good() {
            self.counts.failed.fetch_add(1, Ordering::Relaxed);
            if self.complaints.len() < COMPLAINTS {
                let what = match outcome {
                    Ok(seen) => format!("status {}", seen.status),
                    Err(error) => error.to_string(),
                };
                let at = Duration::from_nanos(record.answered);
                let took = record.took();
                self.complaints.push(format!("client {conn} at {at:.3?} after {took:.3?}: {what}"));
            }
        }
        self.records.push(record);
    }
}

/// The fields of an answer's head that are recorded.
#[derive(Debug, Clone, Copy, Default)]
struct Seen {
    status: u16,
    version: u16,
    server: u16,
}

pub(crate) struct Client {
    conn: usize,
    spec: LoadSpec,
    book: Rc<RefCell<Book>>,
    ended: watch::Receiver<bool>,
    wire: Option<Wire>,
    jar: Vec<(String, String)>,
    body: Vec<u8>,
    /// Whether the current answer has begun.
    begun: bool,
}

impl Client {
    pub(crate) fn new(conn: usize, spec: LoadSpec, book: Rc<RefCell<Book>>, ended: watch::Receiver<bool>) -> Self {
        Self { conn, spec, book, ended, wire: None, jar: Vec::new(), body: Vec::new(), begun: false }
    }

    pub(crate) async fn run(mut self) {
        let mut usual = self.head(&self.spec.path);
        let mut number = self.first_number();
        while !*self.ended.borrow() {
            number = number.wrapping_add(1);
            let other = match &self.spec.slow_every {
                Some((every, path)) if number.is_multiple_of((*every).max(1)) => Some(self.head(path)),
                _ => None,
            };
            let cookies = self.jar.len();
            let outcome = self.ask(other.as_deref().unwrap_or(&usual)).await;
            self.book.borrow_mut().close(self.conn, &outcome);
            if self.spec.cookies && (cookies != self.jar.len() || cookies > 0) {
                usual = self.head(&self.spec.path);
            }
            let rest = match outcome {
                Ok(_) => self.spec.pause,
                Err(_) => self.spec.pause.max(AFTER_FAILURE),
            };
            if !rest.is_zero() {
                let _ = timeout(rest, self.ended.wait_for(|ended| *ended)).await;
            }
        }
    }

    /// The number of its next request. Clients begin with different numbers, so that their slow requests do not
    /// coincide.
    fn first_number(&self) -> u32 {
        let every = self.spec.slow_every.as_ref().map_or(0, |(every, _)| *every as usize);
        u32::try_from(self.conn * every / self.spec.connections.max(1)).unwrap_or(0)
    }

    fn head(&self, path: &str) -> String {
        let mut head = if path.trim_start_matches("/api").starts_with("/ws") {
            upgrade(path)
        } else {
            format!("GET {path} HTTP/1.1\r\nHost: lab\r\n")
        };
        if !self.jar.is_empty() {
            let cookies: Vec<_> = self.jar.iter().map(|(k, v)| format!("{k}={v}")).collect();
            head.push_str(&format!("Cookie: {}\r\n", cookies.join("; ")));
        }
        head.push_str("\r\n");
        head
    }

    /// Sends a request. As browsers do, it sends it again if a kept connection turns out to be closed.
    async fn ask(&mut self, head: &str) -> io::Result<Seen> {
        self.book.borrow_mut().send(self.conn, false);
        if let Some(wire) = self.wire.take() {
            match self.exchange(wire, head).await {
                Err(Failure { silent: true, .. }) => {}
                Err(failure) => return Err(failure.error),
                Ok(seen) => return Ok(seen),
            }
            self.book.borrow_mut().send(self.conn, true);
        }
        let wire = Wire::new(TcpStream::connect(self.spec.target).await?);
        self.exchange(wire, head).await.map_err(|failure| failure.error)
    }

    async fn exchange(&mut self, mut wire: Wire, head: &str) -> Result<Seen, Failure> {
        self.begun = false;
        self.body.clear();
        let answer = async {
            wire.write(head.as_bytes()).await?;
            let Some(length) = wire.head().await? else {
                return Err(io::ErrorKind::UnexpectedEof.into());
            };
            self.begun = true;
            let text = wire.text(length)?;
            let frame = Frame::of(text)?;
            let seen = self.look(text, frame.status);
            wire.consume(length);
            frame.take(&mut wire, false, &mut self.body).await?;
            io::Result::Ok((frame, seen))
        };
        match answer.await {
            Ok((frame, seen)) => {
                self.wire = (frame.reusable() && self.conn >= self.spec.fresh).then_some(wire);
                Ok(seen)
            }
            Err(error) => Err(Failure { silent: closed(&error) && !self.begun && !wire.has_bytes(), error }),
        }
    }

    /// Records the server and version that answered, and keeps the cookies.
    fn look(&mut self, head: &str, status: u16) -> Seen {
        let mut book = self.book.borrow_mut();
        let mut seen = Seen { status, ..Seen::default() };
        for (name, value) in fields(head) {
            if name.eq_ignore_ascii_case("x-version") {
                seen.version = book.id(value);
            } else if name.eq_ignore_ascii_case("x-server") {
                seen.server = book.id(value);
            } else if self.spec.cookies && name.eq_ignore_ascii_case("set-cookie") {
                keep(&mut self.jar, value);
            }
        }
        seen
    }
}

struct Failure {
    /// Whether the peer closed the connection without a byte of an answer.
    silent: bool,
    error: io::Error,
}

fn closed(error: &io::Error) -> bool {
    use io::ErrorKind::{BrokenPipe, ConnectionAborted, ConnectionReset, NotConnected, UnexpectedEof};
    matches!(error.kind(), BrokenPipe | ConnectionAborted | ConnectionReset | NotConnected | UnexpectedEof)
}

fn keep(jar: &mut Vec<(String, String)>, cookie: &str) {
    let pair = cookie.split(';').next().unwrap_or_default();
    if let Some((name, value)) = pair.split_once('=') {
        jar.retain(|(known, _)| known != name.trim());
        jar.push((name.trim().to_owned(), value.trim().to_owned()));
    }
}
