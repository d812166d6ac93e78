//! Sockets that behave as no HAProxy does, or only a broken one: teeter reports an error in time and in bounded
//! memory. Only here a fake replaces HAProxy.

use std::path::PathBuf;
use std::time::Duration;

use teeter::haproxy::commands::{Level, ShowCliLevel};
use teeter::haproxy::{Address, Client, CommandError, Error, FrameError};
use tempfile::TempDir;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{UnixListener, UnixStream};

use crate::fixtures::site::{Daemon, instance, until};

/// A listener that treats each connection in the same way.
struct Fake {
    dir: TempDir,
}

impl Fake {
    fn start<F: Future<Output = ()> + Send>(behave: impl Fn(UnixStream) -> F + Send + 'static) -> Self {
        let fake = Self { dir: tempfile::tempdir().unwrap() };
        let listener = UnixListener::bind(fake.socket()).unwrap();
        tokio::spawn(async move {
            while let Ok((stream, _)) = listener.accept().await {
                behave(stream).await;
            }
        });
        fake
    }

    fn socket(&self) -> PathBuf {
        self.dir.path().join("fake.sock")
    }

    async fn level(&self, deadline: Duration) -> Result<Level, Error> {
        Client::new(Address::Unix(self.socket()), deadline).ask(&ShowCliLevel).await
    }
}

/// Reads the line of the client.
async fn read_line(stream: &mut UnixStream) {
    let mut seen = Vec::new();
    while !seen.ends_with(b"\n") && stream.read_buf(&mut seen).await.is_ok_and(|count| count > 0) {}
}

/// Writes bytes; whether the client still reads.
async fn write(stream: &mut UnixStream, bytes: &[u8]) -> bool {
    stream.write_all(bytes).await.is_ok()
}

const ANSWER: &[u8] = b"\n> Name: HAProxy\nVersion: 2.6.12\nPid: 7\nUptime_sec: 1\n\n> admin\n\n> ";
const LONG: Duration = Duration::from_secs(60);
const SHORT: Duration = Duration::from_millis(200);

#[tokio::test]
async fn hanging_socket_meets_the_deadline() {
    let fake = Fake::start(|stream| async move {
        let _held = stream;
        std::future::pending::<()>().await;
    });
    let error = fake.level(SHORT).await.unwrap_err();
    assert!(matches!(error, Error::Deadline { .. }), "{error}");
    assert!(error.to_string().contains("fake.sock") && error.to_string().contains("200ms"), "{error}");
}

#[tokio::test]
async fn reply_byte_by_byte_is_understood() {
    let fake = Fake::start(|mut stream| async move {
        read_line(&mut stream).await;
        for byte in ANSWER {
            write(&mut stream, &[*byte]).await;
            tokio::task::yield_now().await;
        }
    });
    assert_eq!(fake.level(LONG).await.unwrap(), Level::Admin);
}

#[tokio::test]
async fn trickling_reply_does_not_extend_the_deadline() {
    let fake = Fake::start(|mut stream| async move {
        read_line(&mut stream).await;
        let mut each = tokio::time::interval(Duration::from_millis(5));
        while write(&mut stream, b"x").await {
            each.tick().await;
        }
    });
    let error = fake.level(SHORT).await.unwrap_err();
    assert!(matches!(error, Error::Deadline { .. }), "{error}");
}

#[tokio::test]
async fn reply_cut_in_the_middle_is_an_error() {
    for end in 0..ANSWER.len() {
        let fake = Fake::start(move |mut stream| async move {
            read_line(&mut stream).await;
            write(&mut stream, &ANSWER[..end]).await;
        });
        let error = fake.level(LONG).await.unwrap_err();
        let complete = ANSWER[..end].windows(4).filter(|bytes| bytes == b"\n\n> ").count();
        match error {
            Error::Frame { source: FrameError::Truncated { seen, expected: 2 }, .. } => assert_eq!(seen, complete),
            other => panic!("{end}: {other}"),
        }
    }
}

#[tokio::test]
async fn connection_closed_at_once_is_an_error() {
    let fake = Fake::start(|stream| async move { drop(stream) });
    let error = fake.level(LONG).await.unwrap_err();
    assert!(matches!(error, Error::Frame { .. }), "{error}");
}

#[tokio::test]
async fn foreign_protocol_is_an_error() {
    for garbage in [
        b"HTTP/1.0 400 Bad request\r\nContent-Type: text/html\r\n\r\n<html>\n\n".as_slice(),
        b"\x16\x03\x01\x02\x00\n\n\xff\xfe\n\n\x00",
        b"-ERR unknown command 'prompt'\r\n\n\nHello\n\n",
        b"\n> \n> \n> ",
    ] {
        let fake = Fake::start(move |mut stream| async move {
            read_line(&mut stream).await;
            write(&mut stream, garbage).await;
        });
        let error = fake.level(LONG).await.unwrap_err();
        assert!(matches!(error, Error::Command { source: CommandError::Unreadable { .. }, .. }), "{error}");
        let text = teeter::platform::chain(&error);
        assert!(text.contains("not HAProxy's") && text.len() < 1000, "{text}");
    }
}

/// Sends the beginning of an answer of HAProxy, and then bytes without end.
fn endless() -> Fake {
    Fake::start(|mut stream| async move {
        read_line(&mut stream).await;
        let more = vec![b'x'; 1 << 20];
        write(&mut stream, &ANSWER[..40]).await;
        while write(&mut stream, &more).await {}
    })
}

#[tokio::test]
async fn endless_reply_is_cut_off() {
    let error = endless().level(LONG).await.unwrap_err();
    assert!(matches!(error, Error::Frame { source: FrameError::TooLong, .. }), "{error}");
}

#[tokio::test]
async fn endless_reply_does_not_grow_the_daemon() {
    let fake = endless();
    let daemon = Daemon::start(fake.dir.path(), &instance(&fake.socket())).await;
    until(|| async { daemon.teeter(&["status"]).await.out.contains("longer than teeter reads") }).await;
    let status = std::fs::read_to_string(format!("/proc/{}/status", daemon.pid())).unwrap();
    let peak = status.lines().find_map(|line| line.strip_prefix("VmHWM:")).unwrap();
    let peak: u64 = peak.trim().trim_end_matches(" kB").parse().unwrap();
    // The limit allows two connections, each with a buffer that doubles up to the longest reply.
    assert!(peak < 320 << 10, "{peak} kB");
}
