//! The part of HTTP/1.1 that servers and clients share: it finds a head, looks up its fields, and reads a body.
//!
//! Bodies of requests have a length. Bodies of answers may be chunked.

use std::borrow::Cow;
use std::io;

use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;

/// The longest head, in bytes.
const MAX_HEAD: usize = 32 * 1024;

/// One connection, with the bytes that were read from it and not used yet.
pub(crate) struct Wire {
    stream: TcpStream,
    buffer: Vec<u8>,
}

impl Wire {
    pub(crate) fn new(stream: TcpStream) -> Self {
        // Without this, small answers wait for the peer's delayed acknowledgement.
        let _ = stream.set_nodelay(true);
        Self { stream, buffer: Vec::with_capacity(2048) }
    }

    pub(crate) async fn write(&mut self, bytes: &[u8]) -> io::Result<()> {
        self.stream.write_all(bytes).await
    }

    /// Closes the sending half.
    pub(crate) async fn finish(&mut self) -> io::Result<()> {
        self.stream.shutdown().await
    }

    /// Reads more bytes; `false` at the end of the stream.
    async fn more(&mut self) -> io::Result<bool> {
        self.buffer.reserve(2048);
        Ok(self.stream.read_buf(&mut self.buffer).await? > 0)
    }

    /// Whether the peer has sent bytes that were not used yet.
    pub(crate) fn has_bytes(&self) -> bool {
        !self.buffer.is_empty()
    }

    /// Waits for a complete head and returns its length; `None` if the peer closed the connection before its first
    /// byte.
    pub(crate) async fn head(&mut self) -> io::Result<Option<usize>> {
        let mut looked = 0;
        loop {
            let from = looked.min(self.buffer.len());
            let window = self.buffer.get(from..).unwrap_or_default();
            if let Some(at) = window.windows(4).position(|four| four == b"\r\n\r\n") {
                return Ok(Some(from + at + 4));
            }
            looked = self.buffer.len().saturating_sub(3);
            if self.buffer.len() > MAX_HEAD {
                return Err(bad("head too long"));
            }
            if !self.more().await? {
                if self.buffer.is_empty() {
                    return Ok(None);
                }
                return Err(io::ErrorKind::UnexpectedEof.into());
            }
        }
    }

    /// The first `length` bytes as text.
    pub(crate) fn text(&self, length: usize) -> io::Result<&str> {
        let bytes = self.buffer.get(..length).unwrap_or_default();
        std::str::from_utf8(bytes).map_err(|_| bad("head is not text"))
    }

    /// The same, with invalid UTF-8 replaced: the cookies of a hostile client may have any bytes.
    pub(crate) fn lossy(&self, length: usize) -> Cow<'_, str> {
        String::from_utf8_lossy(self.buffer.get(..length).unwrap_or_default())
    }

    /// Forgets the first `length` bytes.
    pub(crate) fn consume(&mut self, length: usize) {
        if length >= self.buffer.len() {
            self.buffer.clear();
        } else {
            self.buffer.drain(..length);
        }
    }

    /// Reads a body of known length.
    pub(crate) async fn body(&mut self, length: usize, keep: &mut Vec<u8>) -> io::Result<()> {
        let mut missing = length;
        while missing > 0 {
            if self.buffer.is_empty() && !self.more().await? {
                return Err(io::ErrorKind::UnexpectedEof.into());
            }
            let part = missing.min(self.buffer.len());
            keep.extend_from_slice(self.buffer.get(..part).unwrap_or_default());
            self.consume(part);
            missing -= part;
        }
        Ok(())
    }

    /// Reads a chunked body, with its last line.
    pub(crate) async fn chunked(&mut self, keep: &mut Vec<u8>) -> io::Result<()> {
        loop {
            let line = self.line().await?;
            let digits = line.split(';').next().unwrap_or_default().trim();
            let size = usize::from_str_radix(digits, 16).map_err(|_| bad("bad chunk size"))?;
            if size == 0 {
                // Trailers, if any, end with an empty line.
                while !self.line().await?.is_empty() {}
                return Ok(());
            }
            self.body(size, keep).await?;
            if !self.line().await?.is_empty() {
                return Err(bad("chunk longer than its size"));
            }
        }
    }

    async fn line(&mut self) -> io::Result<String> {
        loop {
            if let Some(at) = self.buffer.windows(2).position(|two| two == b"\r\n") {
                let line = self.text(at)?.to_owned();
                self.consume(at + 2);
                return Ok(line);
            }
            if self.buffer.len() > MAX_HEAD {
                return Err(bad("line too long"));
            }
            if !self.more().await? {
                return Err(io::ErrorKind::UnexpectedEof.into());
            }
        }
    }

    /// Reads until the peer closes the connection.
    pub(crate) async fn rest(&mut self, keep: &mut Vec<u8>) -> io::Result<()> {
        loop {
            keep.append(&mut self.buffer);
            if !self.more().await? {
                return Ok(());
            }
        }
    }

    /// The next bytes, or none at the end of the stream.
    pub(crate) async fn some(&mut self) -> io::Result<Vec<u8>> {
        if self.buffer.is_empty() {
            self.more().await?;
        }
        Ok(std::mem::take(&mut self.buffer))
    }
}

/// The fields of a head, without its first line.
pub(crate) fn fields(head: &str) -> impl Iterator<Item = (&str, &str)> {
    head.split("\r\n").skip(1).filter_map(|line| line.split_once(':')).map(|(name, value)| (name, value.trim()))
}

/// Whether a comma-separated field such as `Connection` contains this word.
pub(crate) fn has_word(value: &str, word: &str) -> bool {
    value.split(',').any(|part| part.trim().eq_ignore_ascii_case(word))
}

/// The example key of RFC 6455 and the answer to it. HAProxy requires both.
pub(crate) const WS_KEY: &str = "dGhlIHNhbXBsZSBub25jZQ==";
pub(crate) const WS_ACCEPT: &str = "s3pPLMBiTxaQ9kYGzzhZRbK+xOo=";

pub(crate) fn bad(what: &'static str) -> io::Error {
    io::Error::new(io::ErrorKind::InvalidData, what)
}
