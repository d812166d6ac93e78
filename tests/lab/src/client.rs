//! Single requests, and connections that stay open, for which a drain has to wait.

use std::io;
use std::net::SocketAddr;
use std::time::Duration;

use tokio::net::TcpStream;
use tokio::time::timeout;

use crate::http::{WS_KEY, Wire, bad, fields, has_word};

/// Longer than any single request of a test takes.
const PATIENCE: Duration = Duration::from_secs(30);

/// An answer.
#[derive(Debug, Clone, Default)]
pub struct Answer {
    /// The status code.
    pub status: u16,
    /// The head as it was received: names and values of fields.
    pub fields: Vec<(String, String)>,
    /// The body.
    pub body: String,
}

impl Answer {
    /// The value of the first field of this name, or an empty text.
    pub fn field(&self, name: &str) -> &str {
        self.fields.iter().find(|(known, _)| known.eq_ignore_ascii_case(name)).map_or("", |(_, value)| value)
    }

    /// The version that answered.
    pub fn version(&self) -> &str {
        self.field("x-version")
    }

    /// The server that answered.
    pub fn server(&self) -> &str {
        self.field("x-server")
    }
}

/// Gets a page on a new connection.
pub async fn get(target: SocketAddr, path: &str) -> io::Result<Answer> {
    request(target, "GET", path, &[]).await
}

/// Sends one request without a body on a new connection, with fields such as `("Cookie", "a=b")`.
pub async fn request(target: SocketAddr, method: &str, path: &str, extra: &[(&str, &str)]) -> io::Result<Answer> {
    let mut text = format!("{method} {path} HTTP/1.1\r\nHost: lab\r\nConnection: close\r\n");
    for (name, value) in extra {
        text.push_str(&format!("{name}: {value}\r\n"));
    }
    text.push_str("\r\n");
    let exchange = async {
        let mut wire = Wire::new(TcpStream::connect(target).await?);
        wire.write(text.as_bytes()).await?;
        read(&mut wire, method == "HEAD").await.map(|(answer, _)| answer)
    };
    timeout(PATIENCE, exchange).await?
}

/// Reads one answer. Gives also whether another request may follow on the same connection.
pub(crate) async fn read(wire: &mut Wire, head_only: bool) -> io::Result<(Answer, bool)> {
    let Some(length) = wire.head().await? else {
        return Err(io::ErrorKind::UnexpectedEof.into());
    };
    let head = wire.text(length)?.to_owned();
    wire.consume(length);
    let frame = Frame::of(&head)?;
    let mut body = Vec::new();
    frame.take(wire, head_only, &mut body).await?;
    let answer = Answer {
        status: frame.status,
        fields: fields(&head).map(|(name, value)| (name.to_owned(), value.to_owned())).collect(),
        body: String::from_utf8_lossy(&body).into_owned(),
    };
    Ok((answer, frame.reusable()))
}

/// How an answer is delimited.
pub(crate) struct Frame {
    pub(crate) status: u16,
    pub(crate) close: bool,
    length: Option<usize>,
    chunked: bool,
}

impl Frame {
    pub(crate) fn of(head: &str) -> io::Result<Self> {
        let status = head
            .strip_prefix("HTTP/1.")
            .and_then(|rest| rest.get(2..5))
            .and_then(|digits| digits.parse().ok())
            .ok_or_else(|| bad("not an answer"))?;
        let mut frame = Self { status, close: head.starts_with("HTTP/1.0"), length: None, chunked: false };
        for (name, value) in fields(head) {
            if name.eq_ignore_ascii_case("content-length") {
                frame.length = Some(value.parse().map_err(|_| bad("bad length"))?);
            } else if name.eq_ignore_ascii_case("transfer-encoding") {
                frame.chunked = has_word(value, "chunked");
            } else if name.eq_ignore_ascii_case("connection") {
                frame.close |= has_word(value, "close");
            }
        }
        Ok(frame)
    }

    /// Reads the body.
    pub(crate) async fn take(&self, wire: &mut Wire, head_only: bool, body: &mut Vec<u8>) -> io::Result<()> {
        if head_only || matches!(self.status, 100..=199 | 204 | 304) {
            Ok(())
        } else if self.chunked {
            wire.chunked(body).await
        } else if let Some(length) = self.length {
            wire.body(length, body).await
        } else {
            wire.rest(body).await
        }
    }

    /// Whether another request may follow on the same connection.
    pub(crate) fn reusable(&self) -> bool {
        !self.close && self.status != 101 && (self.chunked || self.length.is_some())
    }
}

/// A websocket that stays open until dropped, so that its server cannot be drained.
pub struct Held {
    wire: Wire,
    answer: Answer,
}

impl Held {
    /// Opens `/ws`, or another path that upgrades, with more fields.
    pub async fn open(target: SocketAddr, path: &str, extra: &[(&str, &str)]) -> io::Result<Self> {
        let mut text = upgrade(path);
        for (name, value) in extra {
            text.push_str(&format!("{name}: {value}\r\n"));
        }
        text.push_str("\r\n");
        let exchange = async {
            let mut wire = Wire::new(TcpStream::connect(target).await?);
            wire.write(text.as_bytes()).await?;
            let (answer, _) = read(&mut wire, false).await?;
            if answer.status != 101 {
                return Err(bad("the upgrade was refused"));
            }
            Ok(Self { wire, answer })
        };
        timeout(PATIENCE, exchange).await?
    }

    /// The answer to the upgrade, which names the server.
    pub fn answer(&self) -> &Answer {
        &self.answer
    }

    /// Sends bytes and waits until they come back.
    pub async fn echo(&mut self, bytes: &[u8]) -> io::Result<()> {
        let exchange = async {
            self.wire.write(bytes).await?;
            let mut back = Vec::new();
            self.wire.body(bytes.len(), &mut back).await?;
            if back == bytes { Ok(()) } else { Err(bad("something else came back")) }
        };
        timeout(PATIENCE, exchange).await?
    }

    /// Waits until the other side closes the connection. Ignores what arrives before that.
    pub async fn closed(&mut self) {
        while matches!(self.wire.some().await, Ok(bytes) if !bytes.is_empty()) {}
    }
}

/// The head of an upgrade, without the empty line that ends it.
pub(crate) fn upgrade(path: &str) -> String {
    format!(
        "GET {path} HTTP/1.1\r\nHost: lab\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n\
         Sec-WebSocket-Version: 13\r\nSec-WebSocket-Key: {WS_KEY}\r\n"
    )
}
