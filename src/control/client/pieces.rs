//! Answers that arrive in pieces: a file, or a stream of events.

use std::io;
use std::marker::PhantomData;
use std::time::Duration;

use bytes::Bytes;
use http_body_util::BodyExt;
use hyper::body::Incoming;
use serde::de::DeserializeOwned;

use super::error::malformed;
use super::{Client, ClientError, DEADLINE, LARGEST};

/// An answer that arrives in pieces.
#[derive(Debug)]
pub struct Download {
    client: Client,
    body: Incoming,
}

impl Download {
    /// The body of an answer to this client.
    pub(super) fn new(client: Client, body: Incoming) -> Self {
        Self { client, body }
    }

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
    fails_on_silence: bool,
}

impl<T: DeserializeOwned> Stream<T> {
    /// The body of the answer to this request.
    pub(super) fn new(client: Client, request: String, body: Incoming) -> Self {
        Self { client, request, body, buffer: Vec::new(), item: PhantomData, fails_on_silence: false }
    }

    /// The same stream, which fails if teeterd sends nothing for too long. Not for the stream of a caller that attends
    /// to a run: teeterd would take the end of the stream for the end of the caller.
    #[must_use]
    pub fn failing_on_silence(self) -> Self {
        Self { fails_on_silence: true, ..self }
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
                return Some(Err(malformed(&self.request, &"an event is too long")));
            }
            let limit = if self.fails_on_silence { SILENT } else { Duration::MAX };
            let Ok(frame) = tokio::time::timeout(limit, self.body.frame()).await else {
                let text = format!("teeterd sent nothing for {} s", SILENT.as_secs());
                return Some(Err(self.client.unreachable(io::Error::new(io::ErrorKind::TimedOut, text))));
            };
            match frame? {
                Ok(frame) => self.buffer.extend_from_slice(frame.data_ref().map_or(&[], |data| data)),
                Err(error) => return Some(Err(self.client.unreachable(io::Error::other(error)))),
            }
        }
    }
}

/// The longest silence of a healthy stream: teeterd sends a comment every 15 s.
const SILENT: Duration = Duration::from_secs(60);
