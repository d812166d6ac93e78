//! Recorded replies of five series of HAProxy, read by teeter's commands. `make transcripts` records them anew.
//!
//! A file has the line that was sent and, after its newline, the reply as it was received.

use bytes::{Bytes, BytesMut};
use teeter::haproxy::commands::{
    AddMap, CommitMap, DelMap, GetMap, Info, Level, PrepareMap, ProxyId, SetCommand, SetMap, SetServerHealth,
    SetServerState, SetServerWeight, ShowBackends, ShowCliLevel, ShowInfo, ShowMap, ShowServersConn, ShowServersState,
    ShowSession, ShowSessions, ShowStat, ShutdownSessions, StatKind, TakesWeights,
};
use teeter::haproxy::{
    AdminState, Codec, Command, CommandError, Line, MapKey, MapName, OpState, Quirk, RefusalKind, ServerRef,
};
use tokio_util::codec::{Decoder, Encoder};

pub(crate) const SERIES: [&str; 5] = ["2.2", "2.6", "3.0", "3.2", "3.4"];

/// One transcript.
pub(crate) struct Transcript {
    pub(crate) sent: String,
    pub(crate) received: Vec<u8>,
}

/// A command of the transcripts that teeter has no type for.
pub(crate) struct Raw<'a>(pub(crate) &'a str);

impl Command for Raw<'_> {
    type Reply = String;

    fn write(&self, line: &mut String) {
        line.push_str(self.0);
    }

    fn parse(&self, reply: &[u8]) -> Result<String, CommandError> {
        Ok(String::from_utf8_lossy(reply).into_owned())
    }
}

impl Transcript {
    pub(crate) fn load(series: &str, name: &str) -> Self {
        let path = format!("tests/transcripts/{series}/{name}.txt");
        let bytes = std::fs::read(&path).unwrap_or_else(|error| panic!("{path}: {error}"));
        let end = bytes.iter().position(|byte| *byte == b'\n').expect("a line was sent");
        Self { sent: String::from_utf8(bytes[..end].to_vec()).unwrap(), received: bytes[end + 1..].to_vec() }
    }

    /// The replies, separated by the client's codec; the recorded line must be the one that teeter sends.
    fn frames(&self, line: &Line) -> Vec<Bytes> {
        assert_eq!(format!("{}\n", self.sent), line.to_wire());
        let (mut codec, mut frames) = (Codec::new(1 << 20), Vec::new());
        codec.encode(line, &mut BytesMut::new()).unwrap();
        let mut bytes = BytesMut::from(self.received.as_slice());
        while !codec.is_done() {
            frames.push(codec.decode_eof(&mut bytes).unwrap().expect("every reply is there"));
        }
        // After the last reply only the rest of the prompt remains.
        assert!(bytes.iter().all(|byte| b"\n> ".contains(byte)), "{}: {bytes:?} is left over", self.sent);
        frames
    }

    /// The path of the map at the time of the recording.
    pub(crate) fn map(&self) -> MapName {
        self.sent.split(' ').find(|word| word.ends_with("/live.map")).unwrap().parse().unwrap()
    }
}

/// Every transcript of a stats socket with a prompt: series, name, what was received, and its frames.
pub(crate) fn every_transcript() -> Vec<(&'static str, String, Vec<u8>, Vec<Bytes>)> {
    let mut all = Vec::new();
    for series in SERIES {
        for entry in std::fs::read_dir(format!("tests/transcripts/{series}")).unwrap() {
            let name = entry.unwrap().path().file_stem().unwrap().to_str().unwrap().to_owned();
            let transcript = Transcript::load(series, &name);
            let Some(commands) = transcript.sent.strip_prefix("prompt;show info").map(str::to_owned) else { continue };
            let mut line = Line::new();
            for command in commands.split(';').skip(1) {
                let _ = line.push(&Raw(command));
            }
            let frames = transcript.frames(&line);
            all.push((series, name, transcript.received, frames));
        }
    }
    all
}

/// Every transcript of a master's socket: series, name, and what was received, which is one reply.
pub(crate) fn every_reply_of_a_master() -> Vec<(&'static str, String, Vec<u8>)> {
    let mut all = Vec::new();
    for series in SERIES {
        for entry in std::fs::read_dir(format!("tests/transcripts/{series}")).unwrap() {
            let name = entry.unwrap().path().file_stem().unwrap().to_str().unwrap().to_owned();
            if name.starts_with("master-") || name.starts_with("old-worker-") {
                let received = Transcript::load(series, &name).received;
                all.push((series, name, received));
            }
        }
    }
    all
}

/// The reply to a command in one transcript.
pub(crate) fn read<C: Command>(series: &str, name: &str, command: &C) -> Result<C::Reply, CommandError> {
    let mut line = Line::new();
    let _ = line.push(command);
    let frames = Transcript::load(series, name).frames(&line);
    let info = ShowInfo.parse(&frames[0]).unwrap();
    assert!(info.version.starts_with(series) && info.pid > 1 && !info.stopping, "{info:?}");
    command.parse(&frames[1])
}

fn refusal<C: Command>(series: &str, name: &str, command: &C) -> (RefusalKind, String)
where
    C::Reply: std::fmt::Debug,
{
    match read(series, name, command) {
        Err(CommandError::Refused(refusal)) => (refusal.kind, refusal.message),
        other => panic!("{series} {name}: {other:?}"),
    }
}

pub(crate) fn info(series: &str) -> Info {
    ShowInfo.parse(&Transcript::load(series, "show-info").frames(&Line::new())[0]).unwrap()
}

pub(crate) fn server(name: &str) -> ServerRef {
    name.parse().unwrap()
}

fn state(name: &str, state: AdminState) -> SetCommand {
    SetCommand::State(SetServerState { server: server(name), state })
}

fn weight(weight: u16) -> SetCommand {
    SetCommand::Weight(SetServerWeight { server: server("app/web02"), weight })
}

#[test]
fn every_transcript_is_read_by_a_test() {
    let code = concat!(include_str!("transcripts.rs"), include_str!("quirks.rs"));
    for series in SERIES {
        for entry in std::fs::read_dir(format!("tests/transcripts/{series}")).unwrap() {
            let name = entry.unwrap().path().file_stem().unwrap().to_str().unwrap().to_owned();
            assert!(code.contains(&format!("\"{name}\"")), "{series}/{name}.txt is recorded and never read");
        }
    }
}

#[test]
fn backends_that_take_weights_are_known() {
    for series in SERIES {
        let backends = read(series, "show-backends", &ShowBackends).unwrap();
        let balance = |name: &str| {
            let row = &backends[&name.parse().unwrap()];
            (row.algo.clone(), row.mode.clone())
        };
        assert_eq!(balance("app"), ("roundrobin".to_owned(), "http".to_owned()), "{series}");
        assert_eq!(balance("hashed").0, "source", "{series}");
        let is_known = series != "2.2";
        for (name, backend, takes) in [("add-server-dynamic", "app", true), ("add-server-static", "hashed", false)] {
            let command = TakesWeights { server: server(&format!("{backend}/web01")) };
            assert_eq!(read(series, name, &command).unwrap(), is_known.then_some(takes), "{series} {name}");
        }
    }
}

#[test]
fn counters_are_read() {
    for series in SERIES {
        let rows = read(series, "show-stat", &ShowStat::default()).unwrap();
        let names: Vec<_> = rows.iter().map(|row| format!("{}/{}", row.pxname, row.svname)).collect();
        assert_eq!(names, ["app/web01", "app/web02", "app/web03", "app/BACKEND", "other/x", "other/BACKEND"]);
        // One websocket is open, which was the only request. 3.4 shows `UP 0/1` until one more check.
        assert!(rows[0].status.starts_with("UP"), "{:?}", rows[0].status);
        assert_eq!((rows[0].scur, rows[0].stot, rows[0].qcur), (1, 1, 0));
        assert_eq!((rows[3].is_backend(), rows[3].scur, rows[3].econ), (true, 1, 0));
        assert_eq!((rows[0].check_status.as_str(), rows[2].check_status.as_str()), ("L7OK", "L4CON"));
        assert_eq!(
            (rows[1].status.as_str(), rows[1].cookie.as_str(), rows[2].status.as_str()),
            ("MAINT", "two", "DOWN")
        );
        assert_eq!(rows[4].tracked, "app/web01");
        assert!(rows.iter().all(|row| row.lastchg.is_some() && row.hrsp_5xx == 0));
        let servers = ShowStat { backend: Some(ProxyId(3)), kind: StatKind::Servers };
        assert_eq!(read(series, "show-stat-servers", &servers).unwrap().len(), 3);
        let nowhere = ShowStat { backend: Some(ProxyId(99)), kind: StatKind::Servers };
        assert_eq!(refusal(series, "show-stat-no-backend", &nowhere).0, RefusalKind::NoSuchBackend);
        // The benchmark compares with this.
        let json = read(series, "show-stat-json", &Raw("show stat app 4 -1 json")).unwrap();
        let json: serde_json::Value = serde_json::from_str(&json).unwrap();
        assert_eq!(json.as_array().map(Vec::len), Some(3));
    }
}

#[test]
fn states_are_read() {
    for series in SERIES {
        let rows = read(series, "show-servers-state", &ShowServersState::default()).unwrap();
        assert_eq!(rows.len(), 4);
        let [web01, web02, web03, x] = [0, 1, 2, 3].map(|at| &rows[at]);
        assert_eq!((web01.op, web01.admin.0, web01.weight, web01.initial_weight), (OpState::Running, 0, 50, 50));
        assert!(web01.check.is_enabled() && web01.agent.is_enabled() && web01.port > 1024);
        assert!(web02.admin.in_maint() && !web02.check.is_enabled() && !web02.agent.is_enabled());
        assert_eq!((web03.op, web03.address.as_str(), web03.port), (OpState::Stopped, "127.0.0.1", 1));
        assert_eq!(x.server, server("other/x"));
        let one = ShowServersState { backend: Some("other".parse().unwrap()) };
        assert_eq!(read(series, "show-servers-state-backend", &one).unwrap().len(), 1);
        let none = ShowServersState { backend: Some("nope".parse().unwrap()) };
        assert_eq!(refusal(series, "show-servers-state-no-backend", &none).0, RefusalKind::NoSuchBackend);
    }
}

#[test]
fn connections_are_read() {
    for series in SERIES {
        let rows = read(series, "show-servers-conn", &ShowServersConn::default()).unwrap();
        let used: Vec<_> = rows.iter().map(|row| (row.server.to_string(), row.used, row.idle)).collect();
        let expected = [("app/web01", 1), ("app/web02", 0), ("app/web03", 0), ("other/x", 0)];
        assert_eq!(used, expected.map(|(name, used)| (name.to_owned(), used, 0)));
        let one = ShowServersConn { backend: Some("other".parse().unwrap()) };
        assert_eq!(read(series, "show-servers-conn-backend", &one).unwrap().len(), 1);
        let none = ShowServersConn { backend: Some("nope".parse().unwrap()) };
        assert_eq!(refusal(series, "show-servers-conn-no-backend", &none).0, RefusalKind::NoSuchBackend);
    }
}

#[test]
fn sessions_are_read() {
    for series in SERIES {
        let sessions = read(series, "show-sess", &ShowSessions).unwrap();
        let held = sessions.iter().find(|session| session.server == "web01").unwrap();
        assert_eq!((held.frontend.as_str(), held.backend.as_str()), ("www", "app"));
        assert!(held.source.starts_with("127.0.0.1:") && held.age.ends_with('s'), "{held:?}");
        let one = ShowSession { id: held.id.clone() };
        let bytes = read(series, "show-sess-one", &one).unwrap().unwrap();
        assert!(bytes.request > 0 && bytes.response > 0, "{bytes:?}");
        let gone = ShowSession { id: "0x1".parse().unwrap() };
        assert_eq!(read(series, "show-sess-gone", &gone).unwrap(), None);
        read(series, "shutdown-sessions", &ShutdownSessions { server: server("app/web01") }).unwrap();
    }
}

#[test]
fn maps_are_read() {
    for series in SERIES {
        let map = Transcript::load(series, "show-map").map();
        let [web, shop, absent] = ["web", "shop", "nobody"].map(|key| key.parse::<MapKey>().unwrap());
        assert!(read(series, "show-maps", &Raw("show map")).unwrap().contains(map.as_str()));
        let entries = read(series, "show-map", &ShowMap { map: map.clone() }).unwrap();
        let entries: Vec<_> = entries.iter().map(|entry| (entry.key.as_str(), entry.value.as_str())).collect();
        assert_eq!(entries, [("web", "app"), ("shop", "other")]);
        let get = |key: &MapKey| GetMap { map: map.clone(), key: key.clone() };
        assert_eq!(read(series, "get-map", &get(&web)).unwrap().as_deref(), Some("app"));
        assert_eq!(read(series, "get-map-miss", &get(&absent)).unwrap(), None);
        let set = |map: &MapName, key| SetMap { map: map.clone(), key, value: "app".parse().unwrap() };
        read(series, "set-map", &set(&map, shop)).unwrap();
        assert_eq!(refusal(series, "set-map-miss", &set(&map, absent)).0, RefusalKind::NoSuchMapEntry);
        let unknown: MapName = "/no/such.map".parse().unwrap();
        assert_eq!(refusal(series, "set-map-unknown", &set(&unknown, web)).0, RefusalKind::NoSuchMapEntry);
        let show = ShowMap { map: unknown };
        assert_eq!(refusal(series, "show-map-unknown", &show).0, RefusalKind::NoSuchMapEntry);
    }
}

#[test]
fn maps_are_changed() {
    for series in SERIES {
        let map = Transcript::load(series, "add-map").map();
        let [web, extra, absent] = ["web", "extra", "nobody"].map(|key| key.parse::<MapKey>().unwrap());
        let add = |key, version| AddMap { map: map.clone(), version, key, value: "app".parse().unwrap() };
        read(series, "add-map", &add(extra.clone(), None)).unwrap();
        read(series, "del-map", &DelMap { map: map.clone(), key: extra }).unwrap();
        let delete = DelMap { map: map.clone(), key: absent };
        assert_eq!(refusal(series, "del-map-miss", &delete).0, RefusalKind::NoSuchMapEntry);
        if info(series).has(Quirk::NoMapTransactions) {
            let prepare = PrepareMap { map };
            assert_eq!(refusal(series, "prepare-map", &prepare).0, RefusalKind::UnknownCommand);
            continue;
        }
        let version = read(series, "prepare-map", &PrepareMap { map: map.clone() }).unwrap();
        read(series, "add-map-prepared", &add(web, Some(version))).unwrap();
        let commit = CommitMap { map, version };
        read(series, "commit-map", &commit).unwrap();
        assert!(refusal(series, "commit-map-again", &commit).1.contains("Version number out of range"));
    }
}

#[test]
fn changes_and_refusals_are_distinguished() {
    for series in SERIES {
        let drain = |name| state(name, AdminState::Drain);
        read(series, "set-server-state", &drain("app/web02")).unwrap();
        read(series, "set-server-weight", &weight(7)).unwrap();
        assert_eq!(read(series, "show-cli-level", &ShowCliLevel).unwrap(), Level::Admin);
        let refused = |name: &str, change: &SetCommand| refusal(series, name, change);
        assert_eq!(refused("set-server-no-server", &drain("app/nobody")).0, RefusalKind::NoSuchServer);
        assert_eq!(refused("set-server-no-backend", &drain("nowhere/web01")).0, RefusalKind::NoSuchBackend);
        assert_eq!(refused("permission-denied", &drain("app/web01")).0, RefusalKind::PermissionDenied);
        assert!(refused("set-server-weight-too-great", &weight(300)).1.contains("256"));
        let health = SetCommand::Health(SetServerHealth { server: server("other/x") });
        assert!(refused("set-server-health-tracking", &health).1.contains("tracking"));
        for (name, text, words) in [
            ("set-server-bad-state", "set server app/web02 state asleep", "expects 'ready', 'drain' and 'maint'"),
            ("enable-agent-without", "enable agent app/web02", "Agent was not configured"),
            ("unknown-command", "frobnicate", "Unknown command"),
        ] {
            assert!(read(series, name, &Raw(text)).unwrap().contains(words), "{series} {name}");
        }
    }
}

#[test]
fn each_reply_of_a_batch_belongs_to_its_command() {
    for series in SERIES {
        let states = ShowServersState { backend: Some("other".parse().unwrap()) };
        let no_number = Raw("set server app/web02 weight abc");
        let mut line = Line::new();
        let _ = line.push(&state("app/web02", AdminState::Maint));
        let _ = line.push(&state("app/nobody", AdminState::Maint));
        let _ = line.push(&no_number);
        let _ = line.push(&states);
        let _ = line.push(&state("app/web02", AdminState::Ready));
        let _ = line.push(&ShowCliLevel);
        let frames = Transcript::load(series, "batch").frames(&line);
        let frames: [Bytes; 7] = frames.try_into().unwrap();
        assert!(frames[1].trim_ascii().is_empty() && frames[5].trim_ascii().is_empty());
        assert_eq!(frames[2].trim_ascii(), b"No such server.");
        assert!(frames[3].starts_with(b"Empty weight"));
        assert_eq!(states.parse(&frames[4]).unwrap()[0].server, server("other/x"));
        assert_eq!(ShowCliLevel.parse(&frames[6]).unwrap(), Level::Admin);
    }
}

#[test]
fn without_a_prompt_a_reply_ends_with_the_connection() {
    for series in SERIES {
        assert_eq!(Transcript::load(series, "plain-silent").received, b"\n");
        assert_eq!(Transcript::load(series, "plain-level").received, b"admin\n\n");
    }
}
