//! The answers of an application server in HTTP/1: a task for each connection.
//!
//! A request is in flight from the reading of its head to the last byte of its answer. A guard counts it, so the
//! count is correct even if the connection's task is dropped in the middle.

use std::io;
use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use tokio::net::TcpStream;
use tokio::time::{Instant, interval_at, sleep};

use crate::app::Shared;
use crate::generation::Generation;
use crate::http::{WS_ACCEPT, Wire};
use crate::http2;
use crate::request::{Path, Request, plain};

/// Counts one request as in flight for as long as it lives.
pub(crate) struct Flight<'a> {
    shared: &'a Shared,
    generation: &'a Generation,
    done: bool,
    busy: bool,
}

impl<'a> Flight<'a> {
    pub(crate) fn new(shared: &'a Shared, generation: &'a Generation) -> Self {
        shared.in_flight.fetch_add(1, Ordering::SeqCst);
        Self { shared, generation, done: false, busy: false }
    }

    /// The path is known. Checks and probes do not count, because they go on when no client is served.
    pub(crate) fn begin(&mut self, path: &Path) {
        if !path.is_of_checks() {
            self.busy = true;
            self.shared.begun.fetch_add(1, Ordering::SeqCst);
            self.shared.busy.fetch_add(1, Ordering::SeqCst);
        }
    }

    /// The last bytes are about to be sent.
    pub(crate) fn end(&mut self) {
        if std::mem::take(&mut self.busy) {
            self.shared.last_end.fetch_max(wall_nanos(), Ordering::SeqCst);
            self.shared.busy.fetch_sub(1, Ordering::SeqCst);
        }
    }

    pub(crate) fn finish(mut self, path: &Path) {
        self.done = true;
        if !path.is_of_checks() {
            self.shared.last_answer.fetch_max(wall_nanos(), Ordering::SeqCst);
        }
    }
}

impl Drop for Flight<'_> {
    fn drop(&mut self) {
        self.end();
        if self.done {
            self.shared.served.fetch_add(1, Ordering::SeqCst);
        } else if self.generation.is_stopped() {
            self.generation.broke();
            self.shared.broken.fetch_add(1, Ordering::SeqCst);
        } else {
            self.shared.abandoned.fetch_add(1, Ordering::SeqCst);
        }
        self.shared.in_flight.fetch_sub(1, Ordering::SeqCst);
    }
}

/// Serves one connection until either side closes it.
pub(crate) async fn serve(stream: TcpStream, shared: Arc<Shared>, generation: Arc<Generation>) {
    // After an error the connection ends: the peer has disconnected, or it does not speak HTTP.
    match detect_protocol(&stream).await {
        Ok(Protocol::Http1) => {
            let mut wire = Wire::new(stream);
            while let Ok(true) = exchange(&mut wire, &shared, &generation).await {}
        }
        Ok(Protocol::Http2) => http2::serve(stream, shared, generation).await,
        Ok(Protocol::None) => {
            let mut flight = Flight::new(&shared, &generation);
            flight.begin(&Path::Root);
            let done = echo(&mut Wire::new(stream), &generation).await;
            flight.end();
            if done.is_ok() {
                flight.finish(&Path::Root);
            }
        }
        Err(_) => {}
    }
}

/// The protocol of a client.
enum Protocol {
    Http1,
    Http2,
    None,
}

/// Recognises the protocol by the first bytes, without reading them.
async fn detect_protocol(stream: &TcpStream) -> io::Result<Protocol> {
    let mut first = [0; 3];
    loop {
        let seen = stream.peek(&mut first).await?;
        return Ok(match first.get(..seen).unwrap_or_default() {
            b"PRI" => Protocol::Http2,
            b"TCP" => Protocol::None,
            // `peek` would not wait for more bytes.
            few if seen > 0 && (b"PRI".starts_with(few) || b"TCP".starts_with(few)) => {
                tokio::task::yield_now().await;
                continue;
            }
            _ => Protocol::Http1,
        });
    }
}

/// Reads one request and answers it. `false`: the connection is to be closed.
async fn exchange(wire: &mut Wire, shared: &Shared, generation: &Generation) -> io::Result<bool> {
    let Some(length) = wire.head().await? else {
        return Ok(false);
    };
    let mut flight = Flight::new(shared, generation);
    let request = Request::read(&wire.lossy(length))?;
    wire.consume(length);
    flight.begin(&request.path);
    if request.length > 0 {
        wire.body(request.length, &mut Vec::new()).await?;
    }
    let marks = generation.marks.as_str();
    let answer = |status, body: &str| plain(status, marks, body, request.head_only, request.keep);
    match &request.path {
        Path::Root => {
            if !shared.work.is_empty() {
                sleep(time_within(&shared.work)).await;
            }
            if let Some(takes) = generation.cold() {
                let of_visitors = usize::from(!request.teeter);
                shared.cold_visitors.fetch_add(of_visitors, Ordering::SeqCst);
                sleep(takes).await;
            }
            flight.end();
            if request.keep && !request.head_only {
                wire.write(&generation.root).await?;
            } else {
                wire.write(&answer(generation.status, &generation.hello)).await?;
            }
        }
        Path::Status if shared.healthy.load(Ordering::SeqCst) => {
            wire.write(&answer("200 OK", "healthy\n")).await?;
        }
        Path::Status => {
            wire.write(&answer("503 Service Unavailable", "unhealthy\n")).await?;
        }
        Path::About => {
            let marks = format!("{marks}x-built: {}\r\n", generation.built);
            wire.write(&plain("200 OK", &marks, &generation.about, request.head_only, request.keep)).await?;
        }
        Path::Slow(time) => {
            sleep(*time).await;
            flight.end();
            wire.write(&answer("200 OK", "slow\n")).await?;
        }
        Path::Stream(time) => stream(wire, marks, *time, &request, &mut flight).await?,
        Path::Ws => {
            let head = format!(
                "HTTP/1.1 101 Switching Protocols\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n\
                 Sec-WebSocket-Accept: {WS_ACCEPT}\r\n{marks}\r\n"
            );
            wire.write(head.as_bytes()).await?;
            echo(wire, generation).await?;
            flight.end();
            flight.finish(&request.path);
            return Ok(false);
        }
        Path::Other(_) => {
            flight.end();
            wire.write(&answer("404 Not Found", "no such page\n")).await?;
        }
    }
    flight.finish(&request.path);
    Ok(request.keep && !(request.old && matches!(request.path, Path::Stream(_))))
}

/// Sends back the bytes of the peer until it closes the connection, perhaps by a reset.
async fn echo(wire: &mut Wire, generation: &Generation) -> io::Result<()> {
    while !generation.is_stopped() {
        match wire.some().await {
            Ok(bytes) if bytes.is_empty() => break,
            Ok(bytes) => wire.write(&bytes).await?,
            Err(_) => break,
        }
    }
    Ok(())
}

/// Sends a head at once, and then a few bytes every 100 ms.
async fn stream(
    wire: &mut Wire,
    marks: &str,
    time: Duration,
    request: &Request,
    flight: &mut Flight<'_>,
) -> io::Result<()> {
    let framing = if request.old { "Connection: close" } else { "Transfer-Encoding: chunked" };
    let head = format!("HTTP/1.1 200 OK\r\n{framing}\r\n{marks}\r\n");
    wire.write(head.as_bytes()).await?;
    if request.head_only {
        return Ok(());
    }
    let beat = Duration::from_millis(100);
    let end = Instant::now() + time;
    let mut beats = interval_at(Instant::now() + beat, beat);
    while Instant::now() + beat <= end {
        beats.tick().await;
        let chunk: &[u8] = if request.old { b"tick\n" } else { b"5\r\ntick\n\r\n" };
        wire.write(chunk).await?;
    }
    tokio::time::sleep_until(end).await;
    flight.end();
    if !request.old {
        wire.write(b"0\r\n\r\n").await?;
    }
    Ok(())
}

/// A time within the range. The clock's last digits are random enough for that.
pub(crate) fn time_within(range: &std::ops::Range<Duration>) -> Duration {
    let share = (wall_nanos() % 1009) as f64 / 1009.0;
    range.start + (range.end.saturating_sub(range.start)).mul_f64(share)
}

/// The wall clock, which all processes on this machine share.
fn wall_nanos() -> u64 {
    let since = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
    u64::try_from(since.as_nanos()).unwrap_or(u64::MAX)
}
