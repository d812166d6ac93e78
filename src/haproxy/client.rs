//! The client of one stats socket.
//!
//! Each line gets a connection, which is read to the end of the last reply and then closed. So a connection does not
//! outlive a reload (an open connection would keep an old worker alive, and later commands would reach that worker),
//! and teeter never closes a connection in the middle of a line (HAProxy would have executed only a part of the line).

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use bytes::Bytes;
use futures_util::{SinkExt, StreamExt};
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::sync::Semaphore;
use tokio_util::codec::Framed;

use super::address::Address;
use super::codec::Codec;
use super::connect::{Connect, Socket};
use super::error::{CommandError, Error, FrameError};
use super::line::{Answers, Command, Line};
use super::tls::TlsSettings;

/// A stats socket, with the TLS settings to reach it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Endpoint {
    /// The address of the socket.
    pub address: Address,
    /// The TLS settings, for [`Address::Tls`] only.
    pub tls: Option<TlsSettings>,
}

impl From<Address> for Endpoint {
    fn from(address: Address) -> Self {
        Self { address, tls: None }
    }
}

/// Sends lines to the HAProxy at one address, over one connection at a time.
#[derive(Debug)]
pub struct Client {
    address: Address,
    connect: Arc<dyn Connect>,
    permit: Semaphore,
    ended: AtomicU64,
    deadline: Duration,
}

impl Client {
    /// A client that gives every line `deadline`, connecting included. Time in the queue behind earlier lines does not
    /// count.
    pub fn new(endpoint: impl Into<Endpoint>, deadline: Duration) -> Self {
        let endpoint = endpoint.into();
        Self::over(endpoint.address.clone(), Box::new(Socket::new(endpoint)), deadline)
    }

    /// A client over any kind of connection. Errors name `address`.
    pub fn over(address: Address, connect: Box<dyn Connect>, deadline: Duration) -> Self {
        Self { address, connect: connect.into(), permit: Semaphore::new(1), ended: AtomicU64::new(0), deadline }
    }

    /// Another client of the same HAProxy, with its own connection: neither waits for the other.
    pub fn beside(&self) -> Self {
        let (address, connect) = (self.address.clone(), Arc::clone(&self.connect));
        Self { address, connect, permit: Semaphore::new(1), ended: AtomicU64::new(0), deadline: self.deadline }
    }

    /// The address of the stats socket.
    pub fn address(&self) -> &Address {
        &self.address
    }

    /// The number of finished lines, with replies or without. The watchdog reads it.
    pub fn ended(&self) -> u64 {
        self.ended.load(Ordering::Relaxed)
    }

    /// Sends a line and reads every reply to it.
    ///
    /// # Errors
    /// [`Error::Connect`] means that HAProxy saw nothing of the line; after any other error it may have executed
    /// all, some or none of it.
    pub async fn send(&self, line: &Line) -> Result<Answers, Error> {
        self.send_for(line, LONGEST_REPLY).await
    }

    async fn send_for(&self, line: &Line, most: usize) -> Result<Answers, Error> {
        // The semaphore is never closed, so this only waits.
        let permit = self.permit.acquire().await;
        let late = || Error::Deadline { address: self.address.clone(), within: self.deadline };
        let exchange = tokio::time::timeout(self.deadline, self.exchange(line, most)).await;
        drop(permit);
        self.ended.fetch_add(1, Ordering::Relaxed);
        let (replies, end) = exchange.map_err(|_| late())??;
        // A program other than HAProxy rarely gives the expected number of replies. Then the error is about the
        // program, not about missing replies.
        let broken = |source| Error::Frame { address: self.address.clone(), source };
        let is_empty = replies.is_empty();
        match (Answers::new(replies), end) {
            (Ok(answers), Ok(())) => Ok(answers),
            (Err(source), _) if !is_empty => Err(self.error(source)),
            (Err(source), Ok(())) => Err(self.error(source)),
            (_, Err(source)) => Err(broken(source)),
        }
    }

    /// Sends a single command and reads its reply.
    ///
    /// # Errors
    /// As [`Client::send`], and [`Error::Command`] when HAProxy refused the command.
    pub async fn ask<C: Command>(&self, command: &C) -> Result<C::Reply, Error> {
        let mut line = Line::new();
        let slot = line.push(command);
        let answers = self.send(&line).await?;
        answers.read(slot, command).map_err(|source| self.error(source))
    }

    /// Sends a single command that changes nothing, and reads a reply of at most `most` bytes. `None` for a longer
    /// reply, the rest of which is not read.
    ///
    /// # Errors
    /// As [`Client::ask`].
    pub async fn ask_at_most<C: Command>(&self, command: &C, most: usize) -> Result<Option<C::Reply>, Error> {
        let mut line = Line::new();
        let slot = line.push(command);
        match self.send_for(&line, most).await {
            Err(Error::Frame { source: FrameError::TooLong, .. }) => Ok(None),
            answers => answers?.read(slot, command).map(Some).map_err(|source| self.error(source)),
        }
    }

    /// Adds the address to a command's error.
    pub fn error(&self, source: CommandError) -> Error {
        Error::Command { address: self.address.clone(), source }
    }

    async fn exchange(&self, line: &Line, most: usize) -> Result<(Vec<Bytes>, Result<(), FrameError>), Error> {
        let connect = |source| Error::Connect { address: self.address.clone(), source };
        Ok(converse(self.connect.connect().await.map_err(connect)?, line, most).await)
    }
}

/// Sends a line. Returns the replies that arrived, and an error if replies are missing.
async fn converse(
    stream: impl AsyncRead + AsyncWrite + Unpin,
    line: &Line,
    most: usize,
) -> (Vec<Bytes>, Result<(), FrameError>) {
    let mut framed = Framed::new(stream, Codec::new(most));
    let mut replies = Vec::with_capacity(line.replies());
    // A program that closes early may have sent the reason before: read its reply even if the line was not sent whole.
    let sent = framed.send(line).await;
    while !framed.codec().is_done() {
        match framed.next().await {
            Some(Ok(reply)) => replies.push(reply),
            Some(Err(error)) => return (replies, sent.and(Err(error))),
            None => {
                let truncated = FrameError::Truncated { seen: framed.codec().seen(), expected: line.replies() };
                return (replies, sent.and(Err(truncated)));
            }
        }
    }
    (replies, sent)
}

/// The greatest length of all replies to one line, in bytes. `show stat` has about 5 MB for ten thousand servers.
const LONGEST_REPLY: usize = 64 << 20;
