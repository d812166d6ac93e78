//! The limits of the control socket: large requests, slow callers, silent connections, and too many of them.

use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::time::Duration;

use rustix::process::{Resource, Rlimit, getrlimit, setrlimit};
use serde_json::Value;
use tokio::io::{AsyncReadExt, AsyncWriteExt, Interest};
use tokio::net::UnixStream;
use tokio::sync::Semaphore;

use crate::fixtures::exit;
use crate::fixtures::site::{Daemon, Site, instance, until};
use crate::fixtures::system_users::{ROOT, User, can_change, curl, nameless, open_to_all, thread_as};

/// A small request on a connection of its own.
const GET_HOLDS: &str = "GET /v1/holds HTTP/1.1\r\nhost: teeter\r\nconnection: close\r\n\r\n";

/// Connects as soon as the queue of the socket has room.
async fn connect(daemon: &Daemon) -> UnixStream {
    connect_to(daemon.socket()).await
}

async fn connect_to(socket: &Path) -> UnixStream {
    loop {
        match UnixStream::connect(socket).await {
            Ok(stream) => return stream,
            Err(error) if error.kind() == std::io::ErrorKind::WouldBlock => {
                tokio::time::sleep(Duration::from_millis(5)).await;
            }
            Err(error) => panic!("no connection: {error}"),
        }
    }
}

/// Sends a request as far as teeterd reads it, and reads the answer until teeterd closes the connection.
async fn send(stream: &mut UnixStream, request: &str) -> (u16, Value) {
    let mut answer = Vec::new();
    let _ = stream.write_all(request.as_bytes()).await;
    let end = tokio::time::timeout(Duration::from_secs(50), stream.read_to_end(&mut answer)).await;
    let _ = end.expect("the answer ends");
    parse(&answer)
}

/// The status and the document of an answer; 0 and null if there is none.
fn parse(answer: &[u8]) -> (u16, Value) {
    let text = String::from_utf8_lossy(answer);
    let status = text.split(' ').nth(1).and_then(|status| status.parse().ok()).unwrap_or_default();
    let body = text.split_once("\r\n\r\n").map(|(_, body)| body).unwrap_or_default();
    (status, serde_json::from_str(body).unwrap_or_default())
}

/// Waits for the end of a connection, and returns what was received.
async fn closed(mut stream: UnixStream) -> Vec<u8> {
    let mut rest = Vec::new();
    let end = tokio::time::timeout(Duration::from_secs(50), stream.read_to_end(&mut rest)).await;
    // A connection that teeterd closes with unread input ends with an error.
    let _ = end.expect("it is closed");
    rest
}

/// A daemon whose HAProxy does not exist.
async fn daemon(dir: &tempfile::TempDir) -> Daemon {
    Daemon::start(dir.path(), &instance(&dir.path().join("none.sock"))).await
}

#[tokio::test]
async fn oversized_requests_are_refused_with_a_message() {
    let dir = tempfile::tempdir().unwrap();
    let daemon = daemon(&dir).await;
    let head = format!("GET /v1/holds?x={} HTTP/1.1\r\nhost: teeter\r\nconnection: close\r\n\r\n", "x".repeat(40_000));
    assert_eq!(send(&mut connect(&daemon).await, &head).await.0, 200);
    let more = head.replace("host:", &format!("x-more: {}\r\nhost:", "x".repeat(30_000)));
    let (status, problem) = send(&mut connect(&daemon).await, &more).await;
    assert_eq!((status, problem["type"].as_str()), (431, Some("urn:teeter:too-large")), "{problem}");
    // A request that exceeds the receive buffer is refused before it is read completely.
    let far_too_long = head.replace("host:", &format!("x-more: {}\r\nhost:", "x".repeat(200_000)));
    assert!([0, 431].contains(&send(&mut connect(&daemon).await, &far_too_long).await.0));

    let post = |body: &str| {
        let length = body.len();
        format!(
            "POST /v1/holds HTTP/1.1\r\nhost: t\r\nconnection: close\r\ncontent-type: application/json\r\n\
             content-length: {length}\r\n\r\n{body}"
        )
    };
    let body = format!(r#"{{"selectors":["none"],"mode":"drain","reason":"r{}"}}"#, " ".repeat(66_000));
    let (status, problem) = send(&mut connect(&daemon).await, &post(&body)).await;
    assert_eq!((status, problem["exit"].as_u64()), (413, Some(2)), "{problem}");
    assert!(problem["detail"].as_str().unwrap().contains("65536 bytes at most"), "{problem}");
}

#[tokio::test]
async fn incomplete_request_times_out() {
    let dir = tempfile::tempdir().unwrap();
    let daemon = daemon(&dir).await;
    let mut streams = Vec::new();
    for half in ["", "GET /v1/ho", "GET /v1/holds HTTP/1.1\r\nhost: teeter\r\n"] {
        let mut stream = connect(&daemon).await;
        stream.write_all(half.as_bytes()).await.unwrap();
        streams.push(stream);
    }
    // A connection that stays open after its request is idle, too.
    let mut stays = connect(&daemon).await;
    stays.write_all(GET_HOLDS.replace("connection: close\r\n", "").as_bytes()).await.unwrap();
    let mut slow = connect(&daemon).await;
    let head = "POST /v1/holds HTTP/1.1\r\nhost: t\r\ncontent-type: application/json\r\ncontent-length: 100\r\n\r\n";
    slow.write_all(format!("{head}{{\"selectors\"").as_bytes()).await.unwrap();
    for stream in streams {
        assert!(closed(stream).await.is_empty());
    }
    assert_eq!(parse(&closed(stays).await).0, 200);
    let (status, problem) = parse(&closed(slow).await);
    assert_eq!((status, problem["type"].as_str()), (408, Some("urn:teeter:too-slow")), "{problem}");
    assert!(problem["detail"].as_str().unwrap().contains("nothing was changed"), "{problem}");
}

#[tokio::test]
async fn streams_and_requests_of_one_user_are_limited() {
    let dir = tempfile::tempdir().unwrap();
    let daemon = daemon(&dir).await;
    let open = async |path: &str| {
        let mut stream = connect(&daemon).await;
        stream.write_all(format!("GET {path} HTTP/1.1\r\nhost: teeter\r\n\r\n").as_bytes()).await.unwrap();
        stream
    };
    let mut streams = Vec::new();
    for _ in 0..64 {
        let mut stream = open("/v1/events/stream").await;
        let mut head = [0; 12];
        stream.read_exact(&mut head).await.unwrap();
        assert_eq!(&head, b"HTTP/1.1 200");
        streams.push(stream);
    }
    let one_more = "GET /v1/events/stream HTTP/1.1\r\nhost: teeter\r\nconnection: close\r\n\r\n";
    let (status, problem) = send(&mut connect(&daemon).await, one_more).await;
    assert_eq!((status, problem["type"].as_str()), (429, Some("urn:teeter:too-many")), "{problem}");
    assert!(problem["detail"].as_str().unwrap().contains("64 open streams"), "{problem}");
    // Requests have a limit of their own; these wait for a change.
    let tick = {
        let answer = async {
            let mut stream = open("/v1/holds").await;
            let mut head = vec![0; 4096];
            let length = stream.read(&mut head).await.unwrap();
            String::from_utf8_lossy(&head[..length]).into_owned()
        };
        let head = answer.await;
        head.split("teeter-tick: ").nth(1).unwrap().split('\r').next().unwrap().parse::<u64>().unwrap()
    };
    let waits = format!("/v1/holds?tick={}&wait=30s", tick + 1_000_000);
    let mut waiting = Vec::new();
    for _ in 0..64 {
        waiting.push(open(&waits).await);
    }
    until(|| async { send(&mut connect(&daemon).await, GET_HOLDS).await.0 == 429 }).await;
    // The command repeats its request for a while, and then reports the limit.
    let ended = daemon.teeter(&["holds"]).await;
    assert!(ended.code == exit::BUSY && ended.err.contains("64 requests in progress"), "{ended:?}");
    drop((streams, waiting));
    until(|| async { send(&mut connect(&daemon).await, GET_HOLDS).await.0 == 200 }).await;
    until(|| async {
        let mut head = [0; 12];
        open("/v1/events/stream").await.read_exact(&mut head).await.unwrap();
        &head == b"HTTP/1.1 200"
    })
    .await;
}

/// Makes four runs whose hook output is larger than a socket's buffer.
pub(crate) async fn record_much_output(site: &Site) {
    let line = serde_json::json!({"from": "a", "text": "x".repeat(4000)});
    let body = serde_json::json!({"lines": vec![line; 15]}).to_string();
    for run in 1..5 {
        assert_eq!(site.teeter(&["begin", "web"]).await.code, 0);
        for _ in 0..4 {
            let path = format!("/v1/runs/{run}/output");
            assert_eq!(curl(ROOT, &site.daemon, "POST", &path, &body).await.0, 200);
        }
        assert_eq!(site.teeter(&["abort", &run.to_string()]).await.code, 0);
    }
}

#[tokio::test]
async fn stalled_reader_is_cut_off_and_can_resume() {
    let site = Site::start().await;
    record_much_output(&site).await;
    // The stream is larger than the socket's buffer, and the client does not read.
    let mut stream = connect(&site.daemon).await;
    stream.write_all(b"GET /v1/events/stream?after=0 HTTP/1.1\r\nhost: t\r\n\r\n").await.unwrap();
    let is_closed = async || stream.ready(Interest::READABLE).await.unwrap().is_read_closed();
    until(is_closed).await;
    let text = String::from_utf8_lossy(&closed(stream).await).into_owned();
    assert!(!text.ends_with("0\r\n\r\n"), "it was not cut off");
    let last = text.lines().filter_map(|line| line.strip_prefix("id: ")).next_back().expect("it has got some");
    let after = format!("/v1/events?after={last}&limit=5000");
    let (status, rest) = curl(ROOT, &site.daemon, "GET", &after, "").await;
    assert_eq!((status, rest["events"][0]["id"].as_u64()), (200, Some(last.parse::<u64>().unwrap() + 1)));
}

/// Runs a future as a user, in a thread of its own.
pub(crate) fn as_user(user: User, work: impl Future<Output = ()> + Send + 'static) -> std::thread::JoinHandle<()> {
    thread_as(user, move || {
        tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap().block_on(work);
    })
}

/// A value of the daemon's /proc/PID/status, in bytes.
fn memory(daemon: &Daemon, key: &str) -> usize {
    let status = std::fs::read_to_string(format!("/proc/{}/status", daemon.pid())).unwrap();
    let line = status.lines().find_map(|line| line.strip_prefix(key)).unwrap();
    line.split_whitespace().next().unwrap().parse::<usize>().unwrap() << 10
}

/// Raises the limit of open files of this process. If it cannot, prints that the test is skipped.
fn may_open(files: u64) -> bool {
    let Rlimit { current, maximum } = getrlimit(Resource::Nofile);
    if current.is_none_or(|current| current >= files) {
        return true;
    }
    let enough = maximum.is_none_or(|maximum| maximum >= files)
        && setrlimit(Resource::Nofile, Rlimit { current: Some(files), maximum }).is_ok();
    if !enough {
        teeter_lab::skip("a process may not open enough files");
    }
    enough
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn thousand_idle_connections_and_ten_thousand_requests_block_no_other_user() {
    if !can_change() || !may_open(12_000) {
        return;
    }
    let dir = tempfile::tempdir().unwrap();
    let daemon = daemon(&dir).await;
    open_to_all(&daemon);
    let before = memory(&daemon, "VmRSS:");
    for (user, silent) in [(nameless(54_100), 1000), (nameless(54_102), 0)] {
        let counts = Arc::<[AtomicUsize; 3]>::default();
        let crowd = as_user(user, crowd(daemon.socket().into(), silent, Arc::clone(&counts)));
        let over = Arc::<AtomicBool>::default();
        let others = as_user(nameless(54_101), request_until(daemon.socket().into(), Arc::clone(&over)));
        while !crowd.is_finished() {
            assert_eq!(send(&mut connect(&daemon).await, GET_HOLDS).await.0, 200, "root");
        }
        over.store(true, Ordering::SeqCst);
        others.join().unwrap();
        crowd.join().unwrap();
        let counts = counts.iter().map(|count| count.load(Ordering::SeqCst)).collect::<Vec<_>>();
        println!("answered, refused, cut off: {counts:?}");
        assert_eq!((counts.iter().sum::<usize>(), counts[2]), (10_000, 0));
        // The silent connections occupy all places of this user until they time out.
        assert!(counts[1] > 0 && (counts[0] > 0 || silent > 0), "{counts:?}");
    }
    let grown = memory(&daemon, "VmHWM:").saturating_sub(before);
    println!("memory grew by {} KiB", grown >> 10);
    assert!(grown < 48 << 20, "{grown} bytes");
    // Wait until the silent connections have ended.
    until(|| async { curl(nameless(54_100), &daemon, "GET", "/v1/holds", "").await.0 == 200 }).await;
}

/// Sends requests until `over` is set, and asserts that each is answered.
async fn request_until(socket: PathBuf, over: Arc<AtomicBool>) {
    loop {
        assert_eq!(send(&mut connect_to(&socket).await, GET_HOLDS).await.0, 200);
        if over.load(Ordering::SeqCst) {
            break;
        }
    }
}

/// Opens silent connections, and then sends ten thousand requests at once. Counts the requests that were answered,
/// refused because of the limit, and cut off.
async fn crowd(socket: PathBuf, silent: usize, counts: Arc<[AtomicUsize; 3]>) {
    let mut waiting = Vec::new();
    for _ in 0..silent {
        waiting.push(connect_to(&socket).await);
    }
    let mut requests = tokio::task::JoinSet::new();
    for _ in 0..10_000 {
        let (socket, counts) = (socket.clone(), Arc::clone(&counts));
        requests.spawn(async move {
            let mut stream = connect_to(&socket).await;
            let which = match send(&mut stream, GET_HOLDS).await.0 {
                200 => 0,
                429 => 1,
                0 => 2,
                other => panic!("{other}"),
            };
            counts[which].fetch_add(1, Ordering::SeqCst);
        });
    }
    while let Some(ended) = requests.join_next().await {
        ended.unwrap();
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn root_gets_in_when_all_connections_are_taken() {
    if !can_change() || !may_open(12_000) {
        return;
    }
    let dir = tempfile::tempdir().unwrap();
    let daemon = daemon(&dir).await;
    open_to_all(&daemon);
    let socket: Arc<Path> = daemon.socket().into();
    let (open, end) = (Arc::new(Semaphore::new(0)), Arc::new(Semaphore::new(0)));
    let crowd = (54_200..54_208).map(|uid| {
        let (socket, open, end) = (Arc::clone(&socket), Arc::clone(&open), Arc::clone(&end));
        as_user(nameless(uid), async move {
            let mut streams = Vec::new();
            for _ in 0..64 {
                let mut stream = connect_to(&socket).await;
                stream.write_all(b"GET /v1/events/stream HTTP/1.1\r\nhost: t\r\n\r\n").await.unwrap();
                stream.read_exact(&mut [0; 12]).await.unwrap();
                streams.push(stream);
            }
            open.add_permits(1);
            drop(end.acquire().await);
        })
    });
    let crowd: Vec<_> = crowd.collect();
    drop(open.acquire_many(8).await.unwrap());
    let (status, problem) = curl(nameless(54_300), &daemon, "GET", "/v1/holds", "").await;
    assert_eq!((status, problem["type"].as_str()), (503, Some("urn:teeter:too-many")), "{problem}");
    assert!(problem["detail"].as_str().unwrap().contains("512 connections"), "{problem}");
    assert_eq!(curl(ROOT, &daemon, "GET", "/v1/holds", "").await.0, 200);
    end.add_permits(8);
    for user in crowd {
        user.join().unwrap();
    }
    until(|| async { curl(nameless(54_300), &daemon, "GET", "/v1/holds", "").await.0 == 200 }).await;
}
