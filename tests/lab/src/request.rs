//! The request that a server has read from a head, and a simple answer to it.

use std::io;
use std::time::Duration;

use crate::http::{bad, fields, has_word};

/// The request of a head, taken out of the buffer so that the body can be read.
pub(crate) struct Request {
    pub(crate) head_only: bool,
    pub(crate) post: bool,
    pub(crate) path: Path,
    pub(crate) length: usize,
    pub(crate) keep: bool,
    /// Whether it is HTTP/1.0, which has no chunks.
    pub(crate) old: bool,
    /// Whether teeter itself sends it, not a client of the farm.
    pub(crate) teeter: bool,
}

pub(crate) enum Path {
    Root,
    Status,
    /// The server and its version, as JSON.
    About,
    Slow(Duration),
    Stream(Duration),
    Ws,
    Other(String),
}

impl Request {
    pub(crate) fn read(head: &str) -> io::Result<Self> {
        let mut first = head.split("\r\n").next().unwrap_or_default().split(' ');
        let (Some(method), Some(target), Some(protocol)) = (first.next(), first.next(), first.next()) else {
            return Err(bad("not a request"));
        };
        let old = protocol == "HTTP/1.0";
        let (mut length, mut keep, mut teeter) = (0, !old, false);
        for (name, value) in fields(head) {
            if name.eq_ignore_ascii_case("content-length") {
                length = value.parse().map_err(|_| bad("bad length"))?;
            } else if name.eq_ignore_ascii_case("connection") {
                keep = (keep || has_word(value, "keep-alive")) && !has_word(value, "close");
            } else if name.eq_ignore_ascii_case("user-agent") {
                teeter = value.starts_with("teeter/");
            } else if name.eq_ignore_ascii_case("transfer-encoding") {
                return Err(bad("chunked requests are not supported"));
            }
        }
        let (head_only, post, path) = (method == "HEAD", method == "POST", Path::read(target));
        Ok(Self { head_only, post, path, length, keep, old, teeter })
    }
}

impl Path {
    /// Whether only checks and probes request it.
    pub(crate) fn is_of_checks(&self) -> bool {
        matches!(self, Self::Status | Self::About)
    }

    pub(crate) fn read(target: &str) -> Self {
        let (path, query) = target.split_once('?').unwrap_or((target, ""));
        let ms = || {
            let given = argument(query, "ms").and_then(|ms| ms.parse().ok());
            Duration::from_millis(given.unwrap_or(1000))
        };
        // The sample routes `/api/...` to a backend of its own with the same application.
        match path.strip_prefix("/api").unwrap_or(path) {
            "/" | "" => Self::Root,
            "/_status" => Self::Status,
            "/_about" => Self::About,
            "/slow" => Self::Slow(ms()),
            "/stream" => Self::Stream(ms()),
            "/ws" => Self::Ws,
            _ => Self::Other(target.to_owned()),
        }
    }
}

/// A complete answer with a length.
pub(crate) fn plain(status: &str, marks: &str, body: &str, head_only: bool, keep: bool) -> Vec<u8> {
    let close = if keep { "" } else { "Connection: close\r\n" };
    let body_sent = if head_only { "" } else { body };
    let length = body.len();
    format!("HTTP/1.1 {status}\r\nContent-Length: {length}\r\n{close}{marks}\r\n{body_sent}").into_bytes()
}

/// The value of one parameter of a query.
pub(crate) fn argument<'a>(query: &'a str, name: &str) -> Option<&'a str> {
    query.split('&').filter_map(|pair| pair.split_once('=')).find(|(key, _)| *key == name).map(|(_, value)| value)
}
