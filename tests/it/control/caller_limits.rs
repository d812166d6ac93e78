//! The control socket under callers that are slow, silent, or far too many.

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
use crate::fixtures::system_users::{ROOT, User, can_change, curl, nameless, open_to_all};

const ANSWERS: &str = "GET /v1/holds HTTP/1.1\r\nhost: teeter\r\nconnection: close\r\n\r\n";

/// Connects as soon as one may wait to be accepted.
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

/// Sends this, as far as the other end takes it, and reads until that closes.
async fn say(stream: &mut UnixStream, text: &str) -> (u16, Value) {
    let mut answer = Vec::new();
    stream.write_all(text.as_bytes()).await.ok();
    let end = tokio::time::timeout(Duration::from_secs(50), stream.read_to_end(&mut answer)).await;
    end.expect("the answer ends").ok();
    read(&answer)
}

fn read(answer: &[u8]) -> (u16, Value) {
    let text = String::from_utf8_lossy(answer);
    let status = text.split(' ').nth(1).and_then(|status| status.parse().ok()).unwrap_or_default();
    let body = text.split_once("\r\n\r\n").map(|(_, body)| body).unwrap_or_default();
    (status, serde_json::from_str(body).unwrap_or_default())
}

/// Waits for the end of a connection.
async fn closed(mut stream: UnixStream) -> Vec<u8> {
    let mut rest = Vec::new();
    let end = tokio::time::timeout(Duration::from_secs(50), stream.read_to_end(&mut rest)).await;
    // A connection that is cut with something unread in it ends with an error.
    end.expect("it is closed").ok();
    rest
}

/// A daemon without a HAProxy.
async fn daemon(dir: &tempfile::TempDir) -> Daemon {
    Daemon::start(dir.path(), &instance(&dir.path().join("none.sock"))).await
}

#[tokio::test]
async fn oversized_requests_are_refused_with_a_message() {
    let dir = tempfile::tempdir().unwrap();
    let daemon = daemon(&dir).await;
    let head = format!("GET /v1/holds?x={} HTTP/1.1\r\nhost: teeter\r\nconnection: close\r\n\r\n", "x".repeat(40_000));
    assert_eq!(say(&mut connect(&daemon).await, &head).await.0, 200);
    let more = head.replace("host:", &format!("x-more: {}\r\nhost:", "x".repeat(30_000)));
    let (status, problem) = say(&mut connect(&daemon).await, &more).await;
    assert_eq!((status, problem["type"].as_str()), (431, Some("urn:teeter:too-large")), "{problem}");
    // What does not fit into memory that is set aside for it is refused before it is read.
    let far_too_long = head.replace("host:", &format!("x-more: {}\r\nhost:", "x".repeat(200_000)));
    assert!([0, 431].contains(&say(&mut connect(&daemon).await, &far_too_long).await.0));

    let post = |body: &str| {
        let length = body.len();
        format!(
            "POST /v1/holds HTTP/1.1\r\nhost: t\r\nconnection: close\r\ncontent-type: application/json\r\ncontent-length: {length}\r\n\r\n{body}"
        )
    };
    let body = format!(r#"{{"selectors":["none"],"mode":"drain","reason":"r{}"}}"#, " ".repeat(66_000));
    let (status, problem) = say(&mut connect(&daemon).await, &post(&body)).await;
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
    // One that asks something and stays is idle, too.
    let mut stays = connect(&daemon).await;
    stays.write_all(ANSWERS.replace("connection: close\r\n", "").as_bytes()).await.unwrap();
    let mut slow = connect(&daemon).await;
    slow.write_all(b"POST /v1/holds HTTP/1.1\r\nhost: t\r\ncontent-type: application/json\r\ncontent-length: 100\r\n\r\n{\"selectors\"").await.unwrap();
    for stream in streams {
        assert!(closed(stream).await.is_empty());
    }
    assert_eq!(read(&closed(stays).await).0, 200);
    let (status, problem) = read(&closed(slow).await);
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
    let (status, problem) = say(&mut connect(&daemon).await, one_more).await;
    assert_eq!((status, problem["type"].as_str()), (429, Some("urn:teeter:too-many")), "{problem}");
    assert!(problem["detail"].as_str().unwrap().contains("64 open streams"), "{problem}");
    // Requests have a share of their own, here of some that wait.
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
    until(|| async { say(&mut connect(&daemon).await, ANSWERS).await.0 == 429 }).await;
    // The command line waits for its turn where it may: nobody gets an answer that is none.
    let ended = daemon.teeter(&["holds"]).await;
    assert!(ended.code == exit::BUSY && ended.err.contains("64 requests in progress"), "{ended:?}");
    drop((streams, waiting));
    until(|| async { say(&mut connect(&daemon).await, ANSWERS).await.0 == 200 }).await;
    until(|| async {
        let mut head = [0; 12];
        open("/v1/events/stream").await.read_exact(&mut head).await.unwrap();
        &head == b"HTTP/1.1 200"
    })
    .await;
}

/// Has four runs whose hooks have said more than a socket takes.
pub(crate) async fn say_much(site: &Site) {
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
    say_much(&site).await;
    // That is more than a socket takes, and nobody reads.
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

/// Runs this as somebody, in a thread of this process: the kernel tells a socket's peer by its thread.
pub(crate) fn as_user(user: User, work: impl Future<Output = ()> + Send + 'static) -> std::thread::JoinHandle<()> {
    std::thread::spawn(move || {
        rustix::thread::set_thread_gid(rustix::process::Gid::from_raw(user.gid)).unwrap();
        rustix::thread::set_thread_uid(rustix::process::Uid::from_raw(user.uid)).unwrap();
        tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap().block_on(work);
    })
}

fn memory(daemon: &Daemon, what: &str) -> usize {
    let status = std::fs::read_to_string(format!("/proc/{}/status", daemon.pid())).unwrap();
    let line = status.lines().find_map(|line| line.strip_prefix(what)).unwrap();
    line.split_whitespace().next().unwrap().parse::<usize>().unwrap() << 10
}

/// Lets this process have so many files open.
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
        let others = as_user(nameless(54_101), asks_until(daemon.socket().into(), Arc::clone(&over)));
        while !crowd.is_finished() {
            assert_eq!(say(&mut connect(&daemon).await, ANSWERS).await.0, 200, "root");
        }
        over.store(true, Ordering::SeqCst);
        others.join().unwrap();
        crowd.join().unwrap();
        let counts = counts.iter().map(|count| count.load(Ordering::SeqCst)).collect::<Vec<_>>();
        println!("answered, told that it is too much, cut off: {counts:?}");
        assert_eq!((counts.iter().sum::<usize>(), counts[2]), (10_000, 0));
        // Silent ones have all of this user's share for as long as they may be silent.
        assert!(counts[1] > 0 && (counts[0] > 0 || silent > 0), "{counts:?}");
    }
    let grown = memory(&daemon, "VmHWM:").saturating_sub(before);
    println!("memory grew by {} KiB", grown >> 10);
    assert!(grown < 48 << 20, "{grown} bytes");
    // The silent ones have gone.
    until(|| async { curl(nameless(54_100), &daemon, "GET", "/v1/holds", "").await.0 == 200 }).await;
}

/// Asks again and again, and is answered each time.
async fn asks_until(socket: PathBuf, over: Arc<AtomicBool>) {
    loop {
        assert_eq!(say(&mut connect_to(&socket).await, ANSWERS).await.0, 200);
        if over.load(Ordering::SeqCst) {
            break;
        }
    }
}

/// Connections that say nothing, and then ten thousand requests at once. Counts who was answered, told that it is too
/// much, and cut off.
async fn crowd(socket: PathBuf, silent: usize, counts: Arc<[AtomicUsize; 3]>) {
    let mut waiting = Vec::new();
    for _ in 0..silent {
        waiting.push(connect_to(&socket).await);
    }
    let mut asking = tokio::task::JoinSet::new();
    for _ in 0..10_000 {
        let (socket, counts) = (socket.clone(), Arc::clone(&counts));
        asking.spawn(async move {
            let mut stream = connect_to(&socket).await;
            let which = match say(&mut stream, ANSWERS).await.0 {
                200 => 0,
                429 => 1,
                0 => 2,
                other => panic!("{other}"),
            };
            counts[which].fetch_add(1, Ordering::SeqCst);
        });
    }
    while let Some(ended) = asking.join_next().await {
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
