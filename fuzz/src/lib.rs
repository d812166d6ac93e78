//! Fuzz targets: functions of arbitrary bytes. `make fuzz` runs each with cargo-fuzz, and the tests of teeter call it
//! with every file in `corpus/`, on any toolchain. A target that panics has found a bug.

use bytes::{Bytes, BytesMut};
use teeter::api::{AdvanceRequest, HoldRequest, OutputLine, OutputRequest, Problem, ReleaseRequest, RunRequest};
use teeter::config::Config;
use teeter::control::harmless::harmless;
use teeter::farm::Span;
use teeter::haproxy::commands::{
    AddMap, AgentSwitch, CommitMap, CountAssigned, DelMap, GetMap, PrepareMap, ProxyId, SetMap, SetServerHealth,
    SetServerState, SetServerWeight, ShowCliLevel, ShowInfo, ShowMap, ShowProc, ShowServersConn, ShowServersState,
    ShowSession, ShowSessions, ShowStat, ShutdownSession, ShutdownSessions, StatKind, Switch,
};
use teeter::haproxy::{
    AdminState, BackendName, Codec, Command, FrameError, Line, MapKey, MapName, MapValue, Series, ServerName, ServerRef,
};
use tokio_util::codec::{Decoder, Encoder};

/// A fuzz target: a function of arbitrary bytes.
pub type Target = fn(&[u8]);

/// Every target with its name, which is also the name of its folder in `corpus/`.
pub const TARGETS: [(&str, Target); 5] = [
    ("replies", replies),
    ("chunking", chunking),
    ("commands", commands),
    ("configuration", configuration),
    ("requests", requests),
];

/// Every command reads any reply without a panic: at worst it returns an error.
pub fn replies(reply: &[u8]) {
    let server: ServerRef = "app/web01".parse().expect("a name");
    let (map, key): (MapName, MapKey) = ("/live.map".parse().expect("a name"), "web".parse().expect("a name"));
    let _ = ShowInfo.parse(reply).map(|info| info.version.parse::<Series>());
    let _ = ShowCliLevel.parse(reply);
    let _ = ShowStat::default().parse(reply);
    let _ = ShowServersState::default().parse(reply);
    let _ = ShowServersConn::default().parse(reply);
    for session in ShowSessions.parse(reply).unwrap_or_default() {
        // A name that was read is one word when it is written into a command.
        assert!(!ShowSession { id: session.id }.text().contains([';', '\n', '<']));
    }
    let _ = CountAssigned.parse(reply);
    // The master's list of processes, and the replies of a worker through the master.
    for worker in ShowProc.parse(reply).unwrap_or_default() {
        assert!(!worker.version.contains(char::is_whitespace), "{worker:?}");
    }
    let _ = ShutdownSession { id: "0x1".parse().expect("an identity") }.parse(reply);
    let _ = ShowSession { id: "0x1".parse().expect("an identity") }.parse(reply);
    let _ = ShowMap { map: map.clone() }.parse(reply);
    let _ = PrepareMap { map: map.clone() }.parse(reply);
    let _ = GetMap { map, key }.parse(reply);
    if let Err(error) = (SetServerHealth { server }).parse(reply) {
        // A reply does not flood the log.
        assert!(error.to_string().len() < 2000, "{error}");
    }
}

/// An answer gives the same frames and the same end, in pieces of any size. The first three bytes are the number of
/// expected replies, the limit of bytes, and the size of the pieces.
pub fn chunking(data: &[u8]) {
    let [count, budget, pieces, wire @ ..] = data else { return };
    let (count, budget) = (usize::from(count % 8) + 1, 1 << (budget % 16));
    let whole = frames(wire, count, budget, usize::MAX);
    for size in [1, usize::from(*pieces) + 1] {
        assert_eq!(frames(wire, count, budget, size), whole, "in pieces of {size}");
    }
}

/// The frames of an answer that arrives in pieces of this size, and its end.
fn frames(wire: &[u8], count: usize, budget: usize, size: usize) -> (Vec<Bytes>, &'static str) {
    let mut line = Line::new();
    for _ in 1..count {
        let _ = line.push(&ShowCliLevel);
    }
    let (mut codec, mut frames) = (Codec::new(budget), Vec::new());
    codec.encode(&line, &mut BytesMut::new()).expect("a line can be written");
    let (mut pieces, mut arrived) = (wire.chunks(size.min(wire.len().max(1))), BytesMut::new());
    while !codec.is_done() {
        let decoded = match codec.decode(&mut arrived) {
            Ok(None) => match pieces.next() {
                Some(piece) => {
                    arrived.extend_from_slice(piece);
                    continue;
                }
                None => codec.decode_eof(&mut arrived),
            },
            other => other,
        };
        match decoded {
            Ok(Some(frame)) => frames.push(frame),
            Ok(None) => return (frames, "nothing"),
            Err(FrameError::TooLong) => return (frames, "too long"),
            Err(FrameError::Truncated { .. }) => return (frames, "truncated"),
            Err(_) => return (frames, "an error"),
        }
    }
    assert_eq!(frames.len(), count);
    assert!(frames.iter().map(Bytes::len).sum::<usize>() <= budget);
    (frames, "done")
}

/// No name or value adds a command to a line. Zero bytes separate the texts.
pub fn commands(data: &[u8]) {
    let texts: Vec<_> = data.split(|byte| *byte == 0).map(String::from_utf8_lossy).collect();
    let text = |at: usize| texts.get(at).map_or("", |text| text.as_ref());
    let server = ServerRef {
        backend: text(0).parse().unwrap_or_else(|_| "app".parse().expect("a name")),
        server: text(1).parse::<ServerName>().unwrap_or_else(|_| "web01".parse().expect("a name")),
    };
    let whole = text(5).parse::<ServerRef>().unwrap_or_else(|_| server.clone());
    let map = text(2).parse::<MapName>().unwrap_or_else(|_| "/live.map".parse().expect("a name"));
    let key = text(3).parse::<MapKey>().unwrap_or_else(|_| "web".parse().expect("a name"));
    let value = text(4).parse::<MapValue>().unwrap_or_else(|_| server.backend.clone().into());
    let backend = text(4).parse::<BackendName>().unwrap_or_else(|_| server.backend.clone());
    let backend_name = backend.to_string();
    let backend = Some(backend);
    let version = PrepareMap { map: map.clone() }.parse(b"New version created: 17\n").ok();
    let id = text(6).parse().unwrap_or_else(|()| "0x1".parse().expect("an identity"));

    let mut sent = Sent { line: Line::new(), words: vec![words(&["prompt"]), words(&["show", "info"])] };
    let (name, other) = (server.to_string(), whole.to_string());
    let weight = u16::from(data.first().copied().unwrap_or_default());
    sent.push(
        &SetServerState { server: whole.clone(), state: AdminState::Drain },
        &["set", "server", &other, "state", "drain"],
    );
    sent.push(&SetServerHealth { server: server.clone() }, &["set", "server", &name, "health", "down"]);
    let number = weight.to_string();
    sent.push(&SetServerWeight { server: server.clone(), weight }, &["set", "server", &name, "weight", &number]);
    sent.push(&AgentSwitch { server: server.clone(), switch: Switch::Disable }, &["disable", "agent", &name]);
    sent.push(&ShutdownSessions { server }, &["shutdown", "sessions", "server", &name]);
    sent.push(&ShowMap { map: map.clone() }, &["show", "map", map.as_str()]);
    sent.push(&GetMap { map: map.clone(), key: key.clone() }, &["get", "map", map.as_str(), key.as_str()]);
    let turned = ["set", "map", map.as_str(), key.as_str(), value.as_str()];
    sent.push(&SetMap { map: map.clone(), key: key.clone(), value: value.clone() }, &turned);
    let added = ["add", "map", map.as_str(), key.as_str(), value.as_str()];
    sent.push(&AddMap { map: map.clone(), version: None, key: key.clone(), value: value.clone() }, &added);
    let added = ["add", "map", "@17", map.as_str(), key.as_str(), value.as_str()];
    sent.push(&AddMap { map: map.clone(), version, key: key.clone(), value: value.clone() }, &added);
    sent.push(&DelMap { map: map.clone(), key: key.clone() }, &["del", "map", map.as_str(), key.as_str()]);
    sent.push(&PrepareMap { map: map.clone() }, &["prepare", "map", map.as_str()]);
    if let Some(version) = version {
        sent.push(&CommitMap { map: map.clone(), version }, &["commit", "map", "@17", map.as_str()]);
    }
    let stat = ShowStat { backend: Some(ProxyId(17)), kind: StatKind::Servers };
    sent.push(&stat, &["show", "stat", "#17", "4", "-1"]);
    sent.push(&ShowServersState { backend: backend.clone() }, &["show", "servers", "state", &backend_name]);
    sent.push(&ShowServersConn { backend }, &["show", "servers", "conn", &backend_name]);
    let session = ShowSession { id };
    let shown = session.id.to_string();
    sent.push(&session, &["show", "sess", &shown]);

    let wire = sent.line.to_wire();
    assert_eq!(as_haproxy_reads(&wire), sent.words, "{wire:?}");
    assert_eq!(sent.line.replies() + 1, sent.words.len());
}

/// A line, and the words that HAProxy should read in it.
struct Sent {
    line: Line,
    words: Vec<Vec<String>>,
}

impl Sent {
    fn push<C: Command>(&mut self, command: &C, expected: &[&str]) {
        if self.line.has_room_for(&command.text()) {
            let _ = self.line.push(command);
            self.words.push(words(expected));
        }
        assert!(self.line.to_wire().len() <= Line::LONGEST + 1);
    }
}

fn words(texts: &[&str]) -> Vec<String> {
    texts.iter().map(|word| (*word).to_owned()).collect()
}

/// Splits a line as HAProxy's CLI does (management guide, section 9.3): commands end at a semicolon or a newline, words
/// at blanks; a backslash escapes the next character, and `<<` at the end begins a payload.
pub fn as_haproxy_reads(wire: &str) -> Vec<Vec<String>> {
    let (mut commands, mut command, mut word) = (Vec::new(), Vec::new(), String::new());
    let mut characters = wire.chars();
    while let Some(character) = characters.next() {
        match character {
            '\\' => word.extend(characters.next()),
            ' ' | '\t' | ';' | '\n' | '\r' => {
                if !word.is_empty() {
                    assert!(!word.starts_with("<<"), "a payload");
                    command.push(std::mem::take(&mut word));
                }
                if matches!(character, ';' | '\n') {
                    commands.push(std::mem::take(&mut command));
                }
            }
            other => word.push(other),
        }
    }
    assert!(word.is_empty() && command.is_empty(), "the line does not end");
    commands
}

/// Any text is a configuration, or an error with its place.
pub fn configuration(data: &[u8]) {
    let text = String::from_utf8_lossy(data);
    if let Err(error) = Config::from_text(&text, std::path::Path::new("/t.toml"), std::iter::empty()) {
        let message = error.to_string();
        let place = message.strip_prefix("/t.toml:").unwrap_or_else(|| panic!("no place: {message}"));
        let mut numbers = place.splitn(3, ':').take(2).map(str::parse::<usize>);
        let (Some(Ok(line)), Some(Ok(column))) = (numbers.next(), numbers.next()) else {
            panic!("no place: {message}")
        };
        assert!(line >= 1 && line <= text.matches('\n').count() + 1 && column >= 1, "{message}");
    }
}

/// Any body is a request or an error. A request is the same after it is written and read again.
pub fn requests(data: &[u8]) {
    if let Some(request) = again::<HoldRequest>(data) {
        for span in [request.expires_in, request.grace, request.deadline].into_iter().flatten() {
            assert_eq!(span.to_string().parse::<Span>().ok(), Some(span));
        }
        for selector in request.selectors.into_vec() {
            let _ = selector.matches(&"app/web01".parse().expect("a name"));
            assert_eq!(selector.to_string().parse().ok(), Some(selector));
        }
    }
    let _ = again::<ReleaseRequest>(data);
    let _ = again::<RunRequest>(data);
    let _ = again::<AdvanceRequest>(data);
    if let Some(output) = again::<OutputRequest>(data) {
        let plain = |line: &OutputLine| !harmless(line.text.as_bytes()).chars().any(char::is_control);
        assert!(output.lines.iter().all(plain));
    }
    let _ = again::<Problem>(data);
}

fn again<T: serde::Serialize + serde::de::DeserializeOwned>(data: &[u8]) -> Option<T> {
    let value: T = serde_json::from_slice(data).ok()?;
    let written = serde_json::to_value(&value).expect("it can be written");
    let second: T = serde_json::from_value(written.clone()).expect("it can be read again");
    assert_eq!(serde_json::to_value(second).expect("it can be written"), written);
    Some(value)
}
