//! A client of the control socket: one request, one typed answer; long polls; the stream of events.
//!
//! Knows HTTP and the socket, but neither the meaning of the requests nor terminals.

use std::fmt::Write as _;
use std::io;
use std::marker::PhantomData;
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};
use std::time::Duration;

use bytes::Bytes;
use http_body_util::{BodyExt, Full, Limited};
use hyper::body::Incoming;
use hyper::{Method, Request, Response, StatusCode, header};
use hyper_util::rt::TokioIo;
use serde::Serialize;
use serde::de::DeserializeOwned;
use thiserror::Error;
use tokio::net::UnixStream;

use crate::api::{Exit, Problem};

/// The daemon's count of changes at the time of an answer: a long poll waits until the count is higher.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub struct Tick(u64);

/// Why a request has no answer.
#[derive(Debug, Error)]
pub enum ClientError {
    /// No process listens on the socket, or the connection ended before the answer was complete.
    #[error("teeterd does not answer on {}", path.display())]
    Unreachable {
        /// The socket.
        path: PathBuf,
        /// The error of the system.
        source: io::Error,
    },
    /// The caller may not open the socket.
    #[error("no permission to open {}, which is for the group {group}", path.display())]
    Forbidden {
        /// The socket.
        path: PathBuf,
        /// The group that may open it.
        group: String,
        /// The error of the system.
        source: io::Error,
    },
    /// teeterd refuses, with a reason.
    #[error("{}", .0.detail)]
    Problem(Problem),
    /// The answer is not the expected document: another version of teeterd, or another program.
    #[error("the answer to {request} cannot be understood: {problem}")]
    Malformed {
        /// The request.
        request: String,
        /// The problem with the answer.
        problem: String,
    },
}

impl ClientError {
    /// The exit code of a command that fails with this error.
    pub fn exit(&self) -> Exit {
        match self {
            Self::Unreachable { .. } => Exit::Unreachable,
            Self::Forbidden { .. } => Exit::NotPermitted,
            Self::Malformed { .. } => Exit::Failed,
            Self::Problem(problem) => match problem.exit {
                2 => Exit::Usage,
                3 => Exit::NotFound,
                4 => Exit::NotPermitted,
                5 => Exit::TimedOut,
                6 => Exit::Refused,
                7 => Exit::Aborted,
                8 => Exit::Busy,
                9 => Exit::Unreachable,
                _ => Exit::Failed,
            },
        }
    }

    /// Whether the requested object does not exist (any more).
    pub fn is_not_found(&self) -> bool {
        matches!(self, Self::Problem(problem) if problem.status == StatusCode::NOT_FOUND.as_u16())
    }

    /// Whether teeterd is away or overloaded, perhaps only for a moment.
    pub fn is_away(&self) -> bool {
        let for_now = [StatusCode::SERVICE_UNAVAILABLE, StatusCode::TOO_MANY_REQUESTS].map(|status| status.as_u16());
        let is_for_now = |problem: &Problem| for_now.contains(&problem.status);
        matches!(self, Self::Unreachable { .. }) || matches!(self, Self::Problem(problem) if is_for_now(problem))
    }
}

/// A client of one control socket. Each request uses a new connection, so none fails on a stale one.
#[derive(Debug, Clone)]
pub struct Client {
    path: PathBuf,
}

impl Client {
    /// A client of the socket at this path. Does not connect yet.
    pub fn new(path: impl Into<PathBuf>) -> Self {
        Self { path: path.into() }
    }

    /// Reads a document.
    ///
    /// # Errors
    /// See [`ClientError`].
    pub async fn get<T: DeserializeOwned>(&self, path_and_query: &str) -> Result<(T, Tick), ClientError> {
        self.read(path_and_query, Duration::ZERO).await
    }

    /// Reads a document once the count of changes is higher than `tick`, or after [`LONG_POLL`].
    ///
    /// # Errors
    /// See [`ClientError`].
    pub async fn poll<T: DeserializeOwned>(&self, path_and_query: &str, tick: Tick) -> Result<(T, Tick), ClientError> {
        let separator = if path_and_query.contains('?') { '&' } else { '?' };
        let path = format!("{path_and_query}{separator}tick={}&wait={}s", tick.0, LONG_POLL.as_secs());
        self.read(&path, LONG_POLL).await
    }

    /// Sends a change, and reads the answer.
    ///
    /// # Errors
    /// See [`ClientError`].
    pub async fn post<T: DeserializeOwned>(&self, path: &str, body: &impl Serialize) -> Result<T, ClientError> {
        let request = format!("POST {path}");
        let body = serde_json::to_vec(body).map_err(|error| malformed(&request, &error))?;
        let (_, body) = self.exchange(Method::POST, path, body.into(), Duration::ZERO).await?;
        serde_json::from_slice(&body).map_err(|error| malformed(&request, &error))
    }

    /// Opens a stream of server-sent events.
    ///
    /// # Errors
    /// See [`ClientError`].
    pub async fn stream<T: DeserializeOwned>(&self, path_and_query: &str) -> Result<Stream<T>, ClientError> {
        let head = self.send(Method::GET, path_and_query, Bytes::new());
        let response = self.within(DEADLINE, head).await?;
        if !response.status().is_success() {
            let status = response.status();
            let body = self.within(DEADLINE, self.body(response)).await?;
            return Err(refused(&format!("GET {path_and_query}"), status, &body));
        }
        let request = format!("GET {path_and_query}");
        Ok(Stream {
            client: self.clone(),
            request,
            body: response.into_body(),
            buffer: Vec::new(),
            item: PhantomData,
            ends_in_silence: false,
        })
    }

    /// Reads an answer that is not a document, in pieces.
    ///
    /// # Errors
    /// See [`ClientError`].
    pub async fn download(&self, path: &str) -> Result<Download, ClientError> {
        let response = self.within(DEADLINE, self.send(Method::GET, path, Bytes::new())).await?;
        let status = response.status();
        if !status.is_success() {
            let body = self.within(DEADLINE, self.body(response)).await?;
            return Err(refused(&format!("GET {path}"), status, &body));
        }
        Ok(Download { client: self.clone(), body: response.into_body() })
    }

    async fn read<T: DeserializeOwned>(&self, path: &str, wait: Duration) -> Result<(T, Tick), ClientError> {
        let request = format!("GET {path}");
        let (headers, body) = self.exchange(Method::GET, path, Bytes::new(), wait).await?;
        let tick = headers.get(TICK).and_then(|value| value.to_str().ok()).and_then(|value| value.parse().ok());
        let tick = tick.ok_or_else(|| malformed(&request, &format!("it has no {TICK} header")))?;
        let value = serde_json::from_slice(&body).map_err(|error| malformed(&request, &error))?;
        Ok((value, Tick(tick)))
    }

    async fn exchange(
        &self,
        method: Method,
        path: &str,
        body: Bytes,
        wait: Duration,
    ) -> Result<(header::HeaderMap, Bytes), ClientError> {
        let request = format!("{method} {path}");
        let answer = async {
            let response = self.send(method, path, body).await?;
            let (status, headers) = (response.status(), response.headers().clone());
            Ok((status, headers, self.body(response).await?))
        };
        let (status, headers, body) = self.within(DEADLINE + wait, answer).await?;
        if status.is_success() { Ok((headers, body)) } else { Err(refused(&request, status, &body)) }
    }

    /// Sends a request. If a stopping teeterd accepts the connection and closes it, sends the request again: the new
    /// connection waits for the next teeterd. A change that teeterd may have read is not sent again.
    async fn send(&self, method: Method, path: &str, body: Bytes) -> Result<Response<Incoming>, ClientError> {
        let mut left = TRIES;
        loop {
            let stream = self.connect().await.map_err(|error| self.unopened(error))?;
            let broken = |error: hyper::Error| self.unreachable(io::Error::other(error));
            let (mut sender, connection) =
                hyper::client::conn::http1::handshake(TokioIo::new(stream)).await.map_err(broken)?;
            tokio::spawn(connection);
            let request = Request::builder()
                .method(method.clone())
                .uri(path)
                .header(header::HOST, "teeter")
                .header(header::CONTENT_TYPE, "application/json")
                .body(Full::new(body.clone()))
                .map_err(|error| malformed(path, &error))?;
            let mut failed = match sender.try_send_request(request).await {
                Ok(response) => return Ok(response),
                Err(failed) => failed,
            };
            left -= 1;
            if left == 0 || !(method.is_safe() || failed.take_message().is_some()) {
                return Err(broken(failed.into_error()));
            }
        }
    }

    async fn connect(&self) -> io::Result<UnixStream> {
        loop {
            match UnixStream::connect(&self.path).await {
                // The queue of the socket is full: for an instant, unless teeterd hangs.
                Err(error) if error.kind() == io::ErrorKind::WouldBlock => tokio::time::sleep(CONNECT_AGAIN).await,
                other => return other,
            }
        }
    }

    async fn body(&self, response: Response<Incoming>) -> Result<Bytes, ClientError> {
        let body = Limited::new(response.into_body(), LARGEST).collect().await;
        body.map(http_body_util::Collected::to_bytes).map_err(|error| self.unreachable(io::Error::other(error)))
    }

    async fn within<T>(
        &self,
        limit: Duration,
        work: impl Future<Output = Result<T, ClientError>>,
    ) -> Result<T, ClientError> {
        tokio::time::timeout(limit, work).await.unwrap_or_else(|_| {
            let text = format!("no answer within {} s", limit.as_secs());
            Err(self.unreachable(io::Error::new(io::ErrorKind::TimedOut, text)))
        })
    }

    fn unopened(&self, source: io::Error) -> ClientError {
        if source.kind() != io::ErrorKind::PermissionDenied {
            return self.unreachable(source);
        }
        ClientError::Forbidden { path: self.path.clone(), group: group_of(&self.path), source }
    }

    fn unreachable(&self, source: io::Error) -> ClientError {
        ClientError::Unreachable { path: self.path.clone(), source }
    }
}

/// An answer that arrives in pieces.
#[derive(Debug)]
pub struct Download {
    client: Client,
    body: Incoming,
}

impl Download {
    /// The next piece; `None` after the last.
    ///
    /// # Errors
    /// The connection ended before the answer was complete, or no piece arrived in time.
    pub async fn next(&mut self) -> Result<Option<Bytes>, ClientError> {
        let Self { client, body } = self;
        let frame =
            async { body.frame().await.transpose().map_err(|error| client.unreachable(io::Error::other(error))) };
        let frame = client.within(DEADLINE, frame).await?;
        Ok(frame.map(|frame| frame.into_data().unwrap_or_default()))
    }
}

/// A stream of server-sent events, each a JSON document.
#[derive(Debug)]
pub struct Stream<T> {
    client: Client,
    request: String,
    body: Incoming,
    buffer: Vec<u8>,
    item: PhantomData<fn() -> T>,
    ends_in_silence: bool,
}

impl<T: DeserializeOwned> Stream<T> {
    /// The same stream, but it fails if teeterd is silent for too long. Not for the stream of a caller that attends to a
    /// run: teeterd would take its end for the end of the caller.
    #[must_use]
    pub fn ending_in_silence(self) -> Self {
        Self { ends_in_silence: true, ..self }
    }

    /// The next event; `None` when the daemon has closed the stream.
    ///
    /// # Errors
    /// The connection failed, or the event cannot be understood.
    pub async fn next(&mut self) -> Option<Result<T, ClientError>> {
        loop {
            while let Some(end) = self.buffer.iter().position(|byte| *byte == b'\n') {
                let line: Vec<u8> = self.buffer.drain(..=end).collect();
                // teeterd sends one `data:` line per event; comments and other fields only keep the stream alive.
                if let Some(data) = line.strip_prefix(b"data:") {
                    return Some(serde_json::from_slice(data).map_err(|error| malformed(&self.request, &error)));
                }
            }
            if self.buffer.len() > LARGEST {
                return Some(Err(malformed(&self.request, &"an event without end")));
            }
            let limit = if self.ends_in_silence { SILENT } else { Duration::MAX };
            let Ok(frame) = tokio::time::timeout(limit, self.body.frame()).await else {
                let text = format!("nothing came for {} s", SILENT.as_secs());
                return Some(Err(self.client.unreachable(io::Error::new(io::ErrorKind::TimedOut, text))));
            };
            match frame? {
                Ok(frame) => self.buffer.extend_from_slice(frame.data_ref().map_or(&[], |data| data)),
                Err(error) => return Some(Err(self.client.unreachable(io::Error::other(error)))),
            }
        }
    }
}

/// A path with an escaped query.
pub fn with_query<'a>(path: &str, pairs: impl IntoIterator<Item = (&'a str, String)>) -> String {
    let mut text = path.to_owned();
    for (index, (key, value)) in pairs.into_iter().enumerate() {
        text.push(if index == 0 { '?' } else { '&' });
        text.push_str(key);
        text.push('=');
        for byte in value.bytes() {
            if byte.is_ascii_alphanumeric() || b"-_.~".contains(&byte) {
                text.push(char::from(byte));
            } else {
                // Writing to a string cannot fail.
                let _ = write!(text, "%{byte:02X}");
            }
        }
    }
    text
}

fn malformed(request: &str, problem: &dyn std::fmt::Display) -> ClientError {
    ClientError::Malformed { request: request.to_owned(), problem: problem.to_string() }
}

fn refused(request: &str, status: StatusCode, body: &[u8]) -> ClientError {
    serde_json::from_slice(body).map_or_else(|_| malformed(request, &format!("status {status}")), ClientError::Problem)
}

/// The group of the socket, or of the directory that denies access to it.
fn group_of(path: &Path) -> String {
    let Some(gid) = path.ancestors().find_map(|path| path.metadata().ok()).map(|metadata| metadata.gid().to_string())
    else {
        return "that owns it".to_owned();
    };
    let groups = std::fs::read_to_string("/etc/group").unwrap_or_default();
    let named = groups.lines().find_map(|line| {
        let mut fields = line.split(':');
        let name = fields.next()?;
        (fields.nth(1)? == gid).then(|| name.to_owned())
    });
    named.unwrap_or(gid)
}

/// The time after which the daemon answers a long poll even if nothing has changed.
pub const LONG_POLL: Duration = Duration::from_secs(10);

/// The longest silence of a healthy stream: teeterd sends a comment every 15 s.
const SILENT: Duration = Duration::from_secs(60);

/// The time for an answer, apart from a long poll: the daemon may ask HAProxy twice, with a limit of 10 s each.
const DEADLINE: Duration = Duration::from_secs(30);

const CONNECT_AGAIN: Duration = Duration::from_millis(10);

/// The attempts to send a request: each stopping teeterd may close one connection without an answer.
const TRIES: u32 = 3;

/// The most bytes of an answer.
const LARGEST: usize = 64 << 20;

/// The header that carries the tick.
const TICK: &str = "teeter-tick";

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn selectors_are_escaped() {
        let pairs = [("sel", "farm:web/a".to_owned()), ("sel", "*/w[1-2]&x".to_owned())];
        assert_eq!(with_query("/v1/status", pairs), "/v1/status?sel=farm%3Aweb%2Fa&sel=%2A%2Fw%5B1-2%5D%26x");
        assert_eq!(with_query("/v1/status", []), "/v1/status");
    }

    #[tokio::test]
    async fn a_missing_socket_is_unreachable() {
        let error = Client::new("/nonexistent/teeter.sock").get::<u8>("/v1/holds").await.unwrap_err();
        assert!(error.is_away());
        assert_eq!(error.exit(), Exit::Unreachable);
    }

    #[tokio::test]
    async fn a_request_without_an_answer_is_sent_again_unless_it_may_have_changed_something() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("control.sock");
        let listener = tokio::net::UnixListener::bind(&path).unwrap();
        let client = Client::new(path);
        // Like a stopping teeterd: the first connection is closed before the request is read, the second after.
        let stopping = async {
            drop(listener.accept().await.unwrap());
            let (mut stream, _) = listener.accept().await.unwrap();
            tokio::io::AsyncReadExt::read(&mut stream, &mut [0; 1000]).await.unwrap();
        };
        let answering = async {
            let (mut stream, _) = listener.accept().await.unwrap();
            tokio::io::AsyncReadExt::read(&mut stream, &mut [0; 1000]).await.unwrap();
            let answer = b"HTTP/1.1 200 OK\r\nteeter-tick: 1\r\ncontent-length: 1\r\n\r\n7";
            tokio::io::AsyncWriteExt::write_all(&mut stream, answer).await.unwrap();
        };
        let (answer, ()) = tokio::join!(client.get::<u8>("/v1/holds"), async {
            stopping.await;
            answering.await;
        });
        assert_eq!(answer.unwrap().0, 7);
        let read_and_closed = async {
            let (mut stream, _) = listener.accept().await.unwrap();
            tokio::io::AsyncReadExt::read(&mut stream, &mut [0; 1000]).await.unwrap();
        };
        let (answer, ()) = tokio::join!(client.post::<u8>("/v1/holds", &1), read_and_closed);
        assert!(answer.unwrap_err().is_away());
    }
}
