//! The commands on a real HAProxy: what is sent, what is read, what is refused.

use std::time::Duration;

use teeter::haproxy::commands::{
    AgentSwitch, GetMap, Level, SetCommand, SetMap, SetServerHealth, SetServerState, SetServerWeight, ShowCliLevel,
    ShowInfo, ShowMap, ShowServersConn, ShowServersState, ShowSession, ShowSessions, ShowStat, ShutdownSessions,
    StatKind, Switch,
};
use teeter::haproxy::{Address, AdminState, Client, Command, Line, OpState, Quirk, Refusal, RefusalKind, ServerRef};
use teeter_lab::{App, Haproxy, Held};

use crate::haproxy::transcripts::Raw;

struct Wire {
    client: Client,
    haproxy: Haproxy,
    app: App,
    port: u16,
    dir: tempfile::TempDir,
}

impl Wire {
    async fn start() -> Self {
        let dir = tempfile::tempdir().unwrap();
        let app = App::start("web01", "v1").await.unwrap();
        let port = teeter_lab::free_port().unwrap();
        let map = dir.path().join("live.map");
        std::fs::write(&map, "web app\nshop other\n").unwrap();
        let config = format!(
            "global\n  stats socket {socket} level admin expose-fd listeners\n  stats socket {low} level operator\n\
             defaults\n  mode http\n  timeout connect 1s\n  timeout client 10s\n  timeout server 10s\n  \
             timeout tunnel 1h\nfrontend www\n  bind 127.0.0.1:{port}\n  use_backend %[str(web),map({map})]\n  default_backend app\n\
             backend app\n  option httpchk GET /_status\n  server web01 {addr} check inter 100ms fall 1 rise 2 \
             weight 50 agent-check agent-port 1 agent-inter 1h\n  server web02 127.0.0.1:1 cookie two\n\
             backend other\n  server x 127.0.0.1:1 track app/web01\n",
            socket = dir.path().join("admin.sock").display(),
            low = dir.path().join("low.sock").display(),
            map = map.display(),
            addr = app.addr(),
        );
        let haproxy = Haproxy::start(dir.path(), &config).await.unwrap();
        haproxy.wait_for_check("app/web01").await.unwrap();
        let client = Client::new(Address::Unix(haproxy.socket()), Duration::from_secs(5));
        Self { client, haproxy, app, port, dir }
    }

    async fn refusal(&self, command: &SetCommand) -> Refusal {
        self.client.ask(command).await.unwrap_err().refusal().unwrap().clone()
    }
}

fn server(name: &str) -> ServerRef {
    name.parse().unwrap()
}

#[tokio::test]
async fn states_read_match_haproxy() {
    let wire = Wire::start().await;
    let client = &wire.client;
    let info = client.ask(&ShowInfo).await.unwrap();
    assert_eq!(info.pid, wire.haproxy.pid().await.unwrap());
    assert!(!info.stopping && info.version.contains('.'));
    assert_eq!(client.ask(&ShowCliLevel).await.unwrap(), Level::Admin);
    let version = client.ask(&Raw("show version")).await.unwrap();
    let has_version = version.trim() == info.version;
    assert!(has_version || version.starts_with("Unknown command"), "{version}");
    assert_eq!(!has_version, info.has(Quirk::NoShowVersion));
    let states = client.ask(&ShowServersState::default()).await.unwrap();
    assert_eq!(states.len(), 3);
    let first = states.iter().find(|row| row.server == server("app/web01")).unwrap();
    assert_eq!((first.op, first.admin.0, first.weight, first.port), (OpState::Running, 0, 50, wire.app.addr().port()));
    assert!(first.check.is_enabled() && first.agent.is_enabled());
    let second = states.iter().find(|row| row.server == server("app/web02")).unwrap();
    assert!(!second.check.is_enabled() && !second.agent.is_enabled());
    let backend = Some("other".parse().unwrap());
    let stats = client.ask(&ShowStat::default()).await.unwrap();
    let id = stats.iter().find(|row| row.pxname == "other").map(|row| row.iid);
    let other = client.ask(&ShowStat { backend: id, kind: StatKind::BackendsAndServers }).await.unwrap();
    assert_eq!(other.iter().map(|row| row.svname.as_str()).collect::<Vec<_>>(), ["x", "BACKEND"]);
    assert_eq!(other[0].tracked, "app/web01");
    assert_eq!(stats.iter().find(|row| row.svname == "web02").unwrap().cookie, "two");
    assert_eq!(client.ask(&ShowServersConn { backend }).await.unwrap().len(), 1);
}

#[tokio::test]
async fn changes_have_an_empty_reply_and_are_read_back() {
    let wire = Wire::start().await;
    let name = server("app/web01");
    let state = |state| SetCommand::State(SetServerState { server: name.clone(), state });
    for (change, column, value) in [
        (state(AdminState::Drain), "srv_admin_state", "8"),
        (SetCommand::Health(SetServerHealth { server: name.clone() }), "srv_op_state", "0"),
        (state(AdminState::Maint), "srv_admin_state", "1"),
        (state(AdminState::Ready), "srv_admin_state", "0"),
        (SetCommand::Weight(SetServerWeight { server: name.clone(), weight: 7 }), "srv_uweight", "7"),
        (SetCommand::Agent(AgentSwitch { server: name.clone(), switch: Switch::Disable }), "srv_agent_state", "18"),
    ] {
        wire.client.ask(&change).await.unwrap();
        assert_eq!(wire.haproxy.server_line("app/web01").await.unwrap()[column], value, "{}", change.text());
    }
}

#[tokio::test]
async fn refusals_are_recognised_in_the_middle_of_a_batch() {
    let wire = Wire::start().await;
    let unknown = |name| SetCommand::State(SetServerState { server: server(name), state: AdminState::Drain });
    assert_eq!(wire.refusal(&unknown("app/absent")).await.kind, RefusalKind::NoSuchServer);
    assert_eq!(wire.refusal(&unknown("nowhere/web01")).await.kind, RefusalKind::NoSuchBackend);
    let heavy = SetCommand::Weight(SetServerWeight { server: server("app/web01"), weight: 300 });
    assert!(wire.refusal(&heavy).await.message.contains("256"));
    let agent = SetCommand::Agent(AgentSwitch { server: server("app/web02"), switch: Switch::Enable });
    assert!(wire.refusal(&agent).await.message.contains("Agent"));
    let tracking = SetCommand::Health(SetServerHealth { server: server("other/x") });
    assert!(wire.refusal(&tracking).await.message.contains("tracking"));
    // Each reply belongs to its command, whatever the other replies are.
    let changes = [heavy, unknown("app/absent"), unknown("app/web02"), agent, tracking, unknown("app/web01")];
    let mut line = Line::new();
    let slots: Vec<_> = changes.iter().map(|change| line.push(change)).collect();
    let answers = wire.client.send(&line).await.unwrap();
    let accepted: Vec<bool> =
        slots.into_iter().zip(&changes).map(|(slot, change)| answers.read(slot, change).is_ok()).collect();
    assert_eq!(accepted, [false, false, true, false, false, true]);
    assert_eq!(wire.haproxy.server_admin_bits("app/web01").await.unwrap(), 8);
    let low = Client::new(Address::Unix(wire.dir.path().join("low.sock")), Duration::from_secs(5));
    let denied = low.ask(&unknown("app/web01")).await.unwrap_err();
    assert_eq!(denied.refusal().unwrap().kind, RefusalKind::PermissionDenied);
}

#[tokio::test]
async fn sessions_are_listed_and_ended() {
    let wire = Wire::start().await;
    let second = SetCommand::State(SetServerState { server: server("app/web02"), state: AdminState::Maint });
    wire.client.ask(&second).await.unwrap();
    let mut held = Held::open(([127, 0, 0, 1], wire.port).into(), "/ws", &[]).await.unwrap();
    let sessions = wire.client.ask(&ShowSessions).await.unwrap();
    let session = sessions.iter().find(|session| session.server == "web01").unwrap();
    assert_eq!((session.backend.as_str(), session.frontend.as_str()), ("app", "www"));
    let bytes = wire.client.ask(&ShowSession { id: session.id.clone() }).await.unwrap().unwrap();
    assert!(bytes.request > 0 && bytes.response > 0);
    wire.client.ask(&ShutdownSessions { server: server("app/web01") }).await.unwrap();
    held.closed().await;
}

#[tokio::test]
async fn maps_are_read_and_switched() {
    let wire = Wire::start().await;
    let map: teeter::haproxy::MapName = wire.dir.path().join("live.map").display().to_string().parse().unwrap();
    let key: teeter::haproxy::MapKey = "web".parse().unwrap();
    let get = GetMap { map: map.clone(), key: key.clone() };
    assert_eq!(wire.client.ask(&get).await.unwrap().as_deref(), Some("app"));
    wire.client.ask(&SetMap { map: map.clone(), key, value: "other".parse().unwrap() }).await.unwrap();
    assert_eq!(wire.client.ask(&get).await.unwrap().as_deref(), Some("other"));
    assert_eq!(wire.client.ask(&ShowMap { map: map.clone() }).await.unwrap().len(), 2);
    let absent = GetMap { map: map.clone(), key: "absent".parse().unwrap() };
    assert_eq!(wire.client.ask(&absent).await.unwrap(), None);
    let unknown = SetMap { map, key: "absent".parse().unwrap(), value: "app".parse().unwrap() };
    let refused = wire.client.ask(&unknown).await.unwrap_err();
    assert_eq!(refused.refusal().unwrap().kind, RefusalKind::NoSuchMapEntry);
}
