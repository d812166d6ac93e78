//! A client of the control socket: one request, one typed answer; long polls; the stream of events.
//!
//! This module does not know the meaning of the requests, and does not print.

mod error;
mod pieces;
mod query;

use std::io;
use std::path::PathBuf;
use std::time::Duration;

use bytes::Bytes;
use http_body_util::{BodyExt, Full, Limited};
use hyper::body::Incoming;
use hyper::{Method, Request, Response, header};
use hyper_util::rt::TokioIo;
use serde::Serialize;
use serde::de::DeserializeOwned;
use tokio::net::UnixStream;

use self::error::{group_of, malformed, refused};

pub use self::error::ClientError;
pub use self::pieces::{Download, Stream};
pub use self::query::with_query;

/// The daemon's count of changes at the time of an answer: a long poll waits until the count is higher.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub struct Tick(u64);

/// A client of one control socket. Each request uses a new connection, because teeterd may have closed an idle one.
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
        let body = self.open(path_and_query).await?;
        Ok(Stream::new(self.clone(), format!("GET {path_and_query}"), body))
    }

    /// Reads an answer that is not a document, in pieces.
    ///
    /// # Errors
    /// See [`ClientError`].
    pub async fn download(&self, path: &str) -> Result<Download, ClientError> {
        Ok(Download::new(self.clone(), self.open(path).await?))
    }

    /// Requests an answer that arrives in pieces.
    async fn open(&self, path: &str) -> Result<Incoming, ClientError> {
        let response = self.within(DEADLINE, self.send(Method::GET, path, Bytes::new())).await?;
        let status = response.status();
        if status.is_success() {
            return Ok(response.into_body());
        }
        let body = self.within(DEADLINE, self.body(response)).await?;
        Err(refused(&format!("GET {path}"), status, &body))
    }

    async fn read<T: DeserializeOwned>(&self, path: &str, wait: Duration) -> Result<(T, Tick), ClientError> {
        let request = format!("GET {path}");
        let (headers, body) = self.exchange(Method::GET, path, Bytes::new(), wait).await?;
        let tick = headers.get(TICK).and_then(|value| value.to_str().ok()).and_then(|value| value.parse().ok());
        let tick = tick.ok_or_else(|| malformed(&request, &format!("the header {TICK} is missing")))?;
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
        let mut attempts_left = ATTEMPTS;
        loop {
            let stream = self.connect().await.map_err(|error| self.cannot_connect(error))?;
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
            attempts_left -= 1;
            if attempts_left == 0 || !(method.is_safe() || failed.take_message().is_some()) {
                return Err(broken(failed.into_error()));
            }
        }
    }

    async fn connect(&self) -> io::Result<UnixStream> {
        loop {
            match UnixStream::connect(&self.path).await {
                // The queue of the socket is full: only for a moment, unless teeterd hangs.
                Err(error) if error.kind() == io::ErrorKind::WouldBlock => tokio::time::sleep(RETRY_INTERVAL).await,
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

    fn cannot_connect(&self, source: io::Error) -> ClientError {
        if source.kind() != io::ErrorKind::PermissionDenied {
            return self.unreachable(source);
        }
        ClientError::Forbidden { path: self.path.clone(), group: group_of(&self.path), source }
    }

    fn unreachable(&self, source: io::Error) -> ClientError {
        ClientError::Unreachable { path: self.path.clone(), source }
    }
}

/// The time after which the daemon answers a long poll even if nothing has changed.
pub const LONG_POLL: Duration = Duration::from_secs(10);

/// The time for an answer, apart from the wait of a long poll: the daemon may send HAProxy two lines, with a limit of
/// 10 s for each.
const DEADLINE: Duration = Duration::from_secs(30);

/// The time between two attempts to connect.
const RETRY_INTERVAL: Duration = Duration::from_millis(10);

/// The attempts to send a request: each stopping teeterd may close one connection without an answer.
const ATTEMPTS: u32 = 3;

/// The greatest length of an answer, in bytes.
const LARGEST: usize = 64 << 20;

/// The header that carries the tick.
const TICK: &str = "teeter-tick";

#[cfg(test)]
mod tests {
    use super::*;
    use crate::api::Exit;

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
