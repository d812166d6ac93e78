//! The client of a master's socket: it lists the workers, also those that a reload has replaced, and sends commands to
//! them.
//!
//! Each command gets a connection (management guide, section 9.4). The master's CLI is interactive from the start and
//! does not close the connection after a reply, so the client closes its own direction and reads the reply to its end.

use std::io;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::sync::Semaphore;

use super::address::Address;
use super::commands::{LastReload, ShowProc, Worker};
use super::connect::{Connect, Socket};
use super::error::{CommandError, Error, FrameError};
use super::line::Command;

/// Sends commands to one master, and through it to each of its workers, over one connection at a time.
#[derive(Debug)]
pub struct Master {
    path: PathBuf,
    connect: Arc<dyn Connect>,
    permit: Semaphore,
    ended: AtomicU64,
    deadline: Duration,
}

impl Master {
    /// A client that gives every command `deadline`, connecting included. Time in the queue behind earlier commands
    /// does not count.
    pub fn new(path: PathBuf, deadline: Duration) -> Self {
        let socket = Socket::new(Address::Unix(path.clone()).into());
        Self::over(path, Box::new(socket), deadline)
    }

    /// A client over any kind of connection. Errors name `path`.
    pub fn over(path: PathBuf, connect: Box<dyn Connect>, deadline: Duration) -> Self {
        Self { path, connect: connect.into(), permit: Semaphore::new(1), ended: AtomicU64::new(0), deadline }
    }

    /// Another client of the same master, with its own connection: neither waits for the other.
    pub fn beside(&self) -> Self {
        let (path, connect) = (self.path.clone(), Arc::clone(&self.connect));
        Self { path, connect, permit: Semaphore::new(1), ended: AtomicU64::new(0), deadline: self.deadline }
    }

    /// The path of the socket.
    pub fn path(&self) -> &Path {
        &self.path
    }

    /// The number of finished commands, with replies or without. The watchdog reads it.
    pub fn ended(&self) -> u64 {
        self.ended.load(Ordering::Relaxed)
    }

    /// Lists every worker, also old ones.
    ///
    /// # Errors
    /// The master does not answer, or another program answers.
    pub async fn workers(&self) -> Result<Vec<Worker>, Error> {
        self.ask(String::new(), &ShowProc).await
    }

    /// Whether the last reload failed, so that the worker from before the reload still serves.
    ///
    /// # Errors
    /// As [`Master::workers`].
    pub async fn last_reload_failed(&self) -> Result<bool, Error> {
        self.ask(String::new(), &LastReload).await
    }

    /// Sends a command to one worker. An old worker still lists its sessions and ends them, but refuses to change
    /// servers.
    ///
    /// # Errors
    /// As [`Master::workers`]; a worker that has ended meanwhile is [`Error::Command`].
    pub async fn ask_worker<C: Command>(&self, pid: u32, command: &C) -> Result<C::Reply, Error> {
        self.ask(format!("@!{pid} "), command).await
    }

    /// Waits until the master ends this connection: the first sign of a reload, some tens of milliseconds before the
    /// new worker answers. HAProxy also ends a connection that is idle for too long.
    ///
    /// # Errors
    /// The master does not accept connections.
    pub async fn reloaded(&self) -> Result<(), Error> {
        let connect = |source| Error::Connect { address: self.address(), source };
        let mut stream = self.connect.connect().await.map_err(connect)?;
        // The end of the connection and an error on it mean the same.
        let _ = stream.read(&mut [0; 64]).await;
        Ok(())
    }

    async fn ask<C: Command>(&self, prefix: String, command: &C) -> Result<C::Reply, Error> {
        let mut line = prefix;
        command.write(&mut line);
        line.push('\n');
        // The semaphore is never closed, so this only waits.
        let permit = self.permit.acquire().await;
        let late = || Error::Deadline { address: self.address(), within: self.deadline };
        let exchange = tokio::time::timeout(self.deadline, self.exchange(&line)).await;
        drop(permit);
        self.ended.fetch_add(1, Ordering::Relaxed);
        let reply = exchange.map_err(|_| late())??;
        let read =
            if is_gone(&reply) { Err(CommandError::refused(line.trim_end(), &reply)) } else { command.parse(&reply) };
        read.map_err(|source| Error::Command { address: self.address(), source })
    }

    async fn exchange(&self, line: &str) -> Result<Vec<u8>, Error> {
        let connect = |source| Error::Connect { address: self.address(), source };
        let broken = |source: FrameError| Error::Frame { address: self.address(), source };
        let mut stream = self.connect.connect().await.map_err(connect)?;
        let mut reply = Vec::new();
        let exchange = async {
            stream.write_all(line.as_bytes()).await?;
            stream.shutdown().await?;
            // From 3.0 on the master sometimes replies that there is no such worker and then leaves the connection
            // open.
            while !is_gone(&reply) && (reply.len() as u64) < LONGEST_REPLY {
                if stream.read_buf(&mut reply).await? == 0 {
                    break;
                }
            }
            Ok(())
        };
        exchange.await.map_err(|error: io::Error| broken(error.into()))?;
        if reply.len() as u64 >= LONGEST_REPLY {
            return Err(broken(FrameError::TooLong));
        }
        // A worker that dies, or a master that reloads, ends the connection without a reply.
        if reply.is_empty() {
            return Err(broken(FrameError::Truncated { seen: 0, expected: 1 }));
        }
        Ok(reply)
    }

    fn address(&self) -> Address {
        Address::Unix(self.path.clone())
    }
}

/// Whether a reply is the master's complete message that the worker has ended.
fn is_gone(reply: &[u8]) -> bool {
    reply.starts_with(NO_SUCH_WORKER) && reply.ends_with(b"\n")
}

/// The greatest length of the reply to one command, in bytes.
const LONGEST_REPLY: u64 = 64 << 20;

const NO_SUCH_WORKER: &[u8] = b"Can't find the target";

#[cfg(test)]
mod tests {
    use tokio::net::UnixListener;

    use super::*;
    use crate::haproxy::commands::ShowInfo;

    #[tokio::test]
    async fn the_reply_about_an_ended_worker_is_read_although_the_connection_stays_open() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("master.sock");
        let listener = UnixListener::bind(&path).unwrap();
        let master = tokio::spawn(async move {
            let (mut stream, _) = listener.accept().await.unwrap();
            stream.read_to_end(&mut Vec::new()).await.unwrap();
            for part in ["Can't find the target PID ma", "tching the prefix '@!7'\n"] {
                stream.write_all(part.as_bytes()).await.unwrap();
            }
            stream
        });
        let reply = Master::new(path, Duration::from_secs(60)).ask_worker(7, &ShowInfo).await;
        assert!(reply.is_err_and(|error| error.refusal().is_some()));
        drop(master.await.unwrap());
    }
}
