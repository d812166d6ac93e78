//! Clients that never give up a request, so that HAProxy and the servers have the same requests.

use std::io;
use std::net::SocketAddr;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::time::Duration;

use bytes::Bytes;
use http::Request;
use tokio::net::TcpStream;
use tokio::task::JoinSet;
use tokio::time::{sleep, timeout};

use super::kinds::Kind;
use crate::client::{read, upgrade};
use crate::dice::Dice;
use crate::http::{Wire, bad};

/// The number of clients of each kind.
const CLIENTS: u64 = 6;

/// The most requests that a client has under way at once on a connection of HTTP/2.
const TOGETHER: u64 = 4;

/// The longest time of a request, with a second for each retry.
const PATIENCE: Duration = Duration::from_secs(40);

/// The pause of a client after a failure.
const REST: Duration = Duration::from_millis(20);

/// The counts of the clients of one kind.
#[derive(Debug, Default)]
pub(crate) struct Book {
    pub(crate) requests: AtomicU64,
    pub(crate) failed: AtomicU64,
    pub(crate) complaints: std::sync::Mutex<Vec<String>>,
    stop: AtomicBool,
}

/// The clients of one kind.
pub(crate) struct Clients {
    pub(crate) book: Arc<Book>,
    tasks: JoinSet<()>,
}

impl Clients {
    pub(crate) fn start(kind: Kind, front: SocketAddr, dice: &Dice) -> Self {
        let book = Arc::new(Book::default());
        let mut tasks = JoinSet::new();
        for number in 0..CLIENTS {
            let (book, mut dice) = (Arc::clone(&book), dice.fork(number));
            tasks.spawn(async move {
                let mut wire = None;
                while !book.stop.load(Ordering::SeqCst) {
                    let once = async {
                        match kind {
                            Kind::Http2 => http2(front, &mut dice, &book).await,
                            Kind::WebSocket => websocket(front, &mut dice, &book).await,
                            Kind::Tcp => tcp(front, &mut dice, &book).await,
                            _ => http1(kind, front, &mut wire, &mut dice, &book).await,
                        }
                    };
                    if let Err(error) = timeout(PATIENCE, once).await.map_err(io::Error::from).flatten() {
                        wire = None;
                        book.failed.fetch_add(1, Ordering::SeqCst);
                        if let Ok(mut complaints) = book.complaints.lock() {
                            complaints.push(format!("{kind}: {error}"));
                        }
                        sleep(REST).await;
                    }
                }
            });
        }
        Self { book, tasks }
    }

    /// Stops the clients after their present requests.
    pub(crate) async fn stop(mut self) -> Arc<Book> {
        self.book.stop.store(true, Ordering::SeqCst);
        while self.tasks.join_next().await.is_some() {}
        self.book
    }
}

/// The path of a request: some are answered at once, others slowly.
fn page(kind: Kind, dice: &mut Dice) -> String {
    let (ms, key) = match kind {
        Kind::Queue | Kind::QueueRedispatch => (dice.within(2..25), dice.within(0..40)),
        _ if dice.within(0..3) == 0 => (dice.within(1..90), 0),
        _ => return "/".to_owned(),
    };
    format!("/slow?ms={ms}&key={key}")
}

async fn http1(kind: Kind, front: SocketAddr, wire: &mut Option<Wire>, dice: &mut Dice, book: &Book) -> io::Result<()> {
    let mut now = match wire.take() {
        Some(wire) => wire,
        None => Wire::new(TcpStream::connect(front).await?),
    };
    let page = page(kind, dice);
    book.requests.fetch_add(1, Ordering::SeqCst);
    if kind == Kind::Body {
        now.write(format!("POST {page} HTTP/1.1\r\nHost: lab\r\nContent-Length: 5\r\n\r\n").as_bytes()).await?;
        sleep(Duration::from_millis(dice.within(0..60))).await;
        now.write(b"hello").await?;
    } else {
        now.write(format!("GET {page} HTTP/1.1\r\nHost: lab\r\n\r\n").as_bytes()).await?;
    }
    let (answer, again) = read(&mut now, false).await?;
    if answer.status != 200 {
        return Err(io::Error::other(format!("status {}", answer.status)));
    }
    // Most requests keep their connection.
    *wire = (again && dice.within(0..8) != 0).then_some(now);
    sleep(Duration::from_millis(dice.within(0..8))).await;
    Ok(())
}

/// One connection with some rounds of simultaneous requests.
async fn http2(front: SocketAddr, dice: &mut Dice, book: &Book) -> io::Result<()> {
    let stream = TcpStream::connect(front).await?;
    stream.set_nodelay(true)?;
    let (mut requests, connection) = h2::client::handshake(stream).await.map_err(io::Error::other)?;
    let driver = tokio::spawn(connection);
    for _ in 0..dice.within(1..12) {
        let mut round = JoinSet::new();
        for _ in 0..dice.within(1..TOGETHER) {
            let page = page(Kind::Http2, dice);
            let request = Request::get(format!("http://lab{page}")).body(()).map_err(io::Error::other)?;
            requests = requests.ready().await.map_err(io::Error::other)?;
            book.requests.fetch_add(1, Ordering::SeqCst);
            let (answer, _) = requests.send_request(request, true).map_err(io::Error::other)?;
            round.spawn(async move {
                let answer = answer.await.map_err(io::Error::other)?;
                if answer.status() != 200 {
                    return Err(io::Error::other(format!("status {}", answer.status())));
                }
                let mut body = answer.into_body();
                while let Some(part) = body.data().await {
                    let part: Bytes = part.map_err(io::Error::other)?;
                    body.flow_control().release_capacity(part.len()).map_err(io::Error::other)?;
                }
                Ok(())
            });
        }
        while let Some(done) = round.join_next().await {
            done.map_err(io::Error::other)??;
        }
        sleep(Duration::from_millis(dice.within(0..8))).await;
    }
    drop(requests);
    driver.await.map_err(io::Error::other)?.map_err(io::Error::other)
}

async fn websocket(front: SocketAddr, dice: &mut Dice, book: &Book) -> io::Result<()> {
    let mut wire = Wire::new(TcpStream::connect(front).await?);
    book.requests.fetch_add(1, Ordering::SeqCst);
    wire.write(format!("{}\r\n", upgrade("/ws")).as_bytes()).await?;
    let (answer, _) = read(&mut wire, false).await?;
    if answer.status != 101 {
        return Err(bad("the upgrade was refused"));
    }
    converse(wire, dice).await
}

async fn tcp(front: SocketAddr, dice: &mut Dice, book: &Book) -> io::Result<()> {
    let wire = Wire::new(TcpStream::connect(front).await?);
    book.requests.fetch_add(1, Ordering::SeqCst);
    converse(wire, dice).await
}

/// Sends something now and then, closes its half, and waits for the other side to close.
async fn converse(mut wire: Wire, dice: &mut Dice) -> io::Result<()> {
    let mut back = Vec::new();
    for _ in 0..dice.within(1..4) {
        wire.write(b"TCP hello").await?;
        wire.body(9, &mut back).await?;
        sleep(Duration::from_millis(dice.within(0..120))).await;
    }
    wire.finish().await?;
    wire.rest(&mut back).await
}
