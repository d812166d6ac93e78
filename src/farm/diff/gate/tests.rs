//! Tests of the gate with two backends and a map.

use super::*;
use crate::farm::{SeenMap, StartedVerifications, WantedServer, diff};
use crate::haproxy::{AdminBits, Command, OpState};

/// Backends `a` and `b`, each with one server of the same name. The map leads the traffic to one of them.
struct Case {
    seen: Seen,
    wanted: Wanted,
    maps: WantedMaps,
    unchecked: BTreeSet<ServerRef>,
}

impl Case {
    fn new(live: &str) -> Self {
        let key = "web".parse().unwrap();
        let entries = BTreeMap::from([(key, Some(live.to_owned()))]);
        let seen = SeenMap { missing: false, entries };
        let maps = BTreeMap::from([("/m".parse().unwrap(), seen)]);
        let seen = Seen { pid: 1, version: "2.6".into(), maps, ..Seen::default() };
        Self { seen, wanted: Wanted::new(), maps: WantedMaps::new(), unchecked: BTreeSet::new() }
    }

    fn server(mut self, name: &str, admin: u32, op: OpState, state: AdminState) -> Self {
        let server: ServerRef = name.parse().unwrap();
        let seen = SeenServer { admin: AdminBits(admin), op, ..SeenServer::sample() };
        self.seen.servers.insert(server.clone(), seen);
        let held = state != AdminState::Ready;
        self.wanted.insert(server, WantedServer { state, held, ..WantedServer::without_holds(None) });
        self
    }

    fn switched_to(mut self, backend: &str) -> Self {
        let live = BTreeMap::from([("web".parse().unwrap(), backend.parse().unwrap())]);
        self.maps = BTreeMap::from([("/m".parse().unwrap(), WantedMap { live, ..WantedMap::default() })]);
        self
    }

    fn gate(&self) -> Gate<'_> {
        Gate { wanted: &self.wanted, maps: &self.maps, seen: &self.seen, unchecked: &self.unchecked }
    }

    /// The commands that are sent, and why the others are put off.
    fn sent(&self) -> (Vec<String>, Option<PutOff>) {
        let mut batch = diff(&self.wanted, &self.maps, &self.seen, &StartedVerifications::new());
        let gate = Gate { wanted: &self.wanted, maps: &self.maps, seen: &self.seen, unchecked: &self.unchecked };
        let why = gate.keep_served(&mut batch);
        (batch.steps().iter().flat_map(|step| &step.changes).map(Command::text).collect(), why)
    }
}

use AdminState::{Drain, Ready};
use OpState::{Running, Stopped};

#[test]
fn traffic_is_not_switched_to_servers_that_are_being_checked_anew() {
    let mut case = Case::new("b").switched_to("a").server("a/s", 8, Stopped, Ready).server("b/s", 0, Running, Drain);
    case.unchecked.insert("a/s".parse().unwrap());
    let (sent, why) = case.sent();
    assert_eq!(sent, ["set server a/s state ready"]);
    assert!(matches!(why, Some(PutOff::Until(why)) if why.contains("backend a")));
    // The server is DOWN, but not by a command of teeter: the guards have already checked this case.
    case.unchecked.clear();
    let switched = ["set server a/s state ready", "set map /m web a", "set server b/s state drain"];
    assert_eq!(case.sent(), (switched.map(str::to_owned).to_vec(), None));
}

#[test]
fn without_a_map_old_servers_serve_until_the_checks_of_new_ones_pass() {
    let mut case = Case::new("other").server("a/new", 8, Stopped, Ready).server("a/old", 0, Running, Drain);
    case.unchecked.insert("a/new".parse().unwrap());
    assert_eq!(case.sent().0, ["set server a/new state ready"]);
    case.unchecked.clear();
    let flip = ["set server a/new state ready", "set server a/old state drain"];
    assert_eq!(case.sent(), (flip.map(str::to_owned).to_vec(), None));
}

#[test]
fn servers_that_track_a_checked_server_wait_for_it() {
    let case = Case::new("other").server("a/new", 8, Stopped, Ready).server("a/old", 0, Running, Drain);
    let mut case = case.server("b/new", 8, Stopped, Ready).server("b/old", 0, Running, Drain);
    for name in ["new", "old"] {
        let follower = case.seen.servers.get_mut(&format!("b/{name}").parse().unwrap()).unwrap();
        follower.tracked = Some(format!("a/{name}").parse().unwrap());
    }
    case.unchecked.insert("a/new".parse().unwrap());
    assert_eq!(case.sent().0, ["set server a/new state ready", "set server b/new state ready"]);
}

#[test]
fn the_live_backend_keeps_a_server() {
    let case = Case::new("a").server("a/s", 0, Running, Drain).server("b/s", 0, Running, Ready);
    let (sent, why) = case.sent();
    assert!(sent.is_empty());
    let servers = BTreeSet::from(["a/s".parse().unwrap()]);
    assert_eq!(why, Some(PutOff::TakenOver("a".parse().unwrap(), servers.clone())));
    // The stored route leads to this backend, too.
    let case = Case::new("a").switched_to("a").server("a/s", 0, Running, Drain).server("b/s", 0, Running, Ready);
    assert_eq!(case.sent().1, Some(PutOff::TakenOver("a".parse().unwrap(), servers)));
    assert_eq!(Case::new("b").server("a/s", 0, Running, Drain).sent().0, ["set server a/s state drain"]);
    // Another server stays in service.
    let case = Case::new("a").server("a/s", 0, Running, Drain).server("a/t", 0, Running, Ready);
    assert_eq!(case.sent().0, ["set server a/s state drain"]);
    // The map should lead to another backend, and cannot be changed at present.
    let case = Case::new("a").switched_to("b").server("a/s", 0, Running, Drain).server("b/s", 0, Running, Ready);
    let mut batch = diff(&case.wanted, &case.maps, &case.seen, &StartedVerifications::new());
    batch.retain(|step| step.server().is_some());
    assert!(matches!(case.gate().keep_served(&mut batch), Some(PutOff::Until(_))));
    assert!(batch.is_empty());
    // No server of the backend is in service.
    assert_eq!(Case::new("a").server("a/s", 0, Stopped, Drain).sent().0, ["set server a/s state drain"]);
    // An operator's hold takes the servers out.
    let mut case = Case::new("a").server("a/s", 0, Running, Drain);
    case.wanted.values_mut().for_each(|server| server.by_operator = true);
    assert_eq!(case.sent().0, ["set server a/s state drain"]);
}

#[test]
fn a_missing_map_keeps_servers_in_each_backend_that_it_may_lead_to() {
    let kept_servers = |case: &Case| {
        let mut batch = diff(&case.wanted, &WantedMaps::new(), &case.seen, &StartedVerifications::new());
        let withheld = BTreeMap::from([("/m".parse().unwrap(), Reason::Cannot("no map".to_owned()))]);
        let kept_servers = case.gate().keep_behind(&mut batch, &withheld);
        let sent: Vec<String> = batch.steps().iter().flat_map(|step| &step.changes).map(Command::text).collect();
        (kept_servers.keys().map(ToString::to_string).collect::<Vec<_>>(), sent)
    };
    let mut case = Case::new("b").switched_to("b").server("a/s", 0, Running, Drain).server("c/s", 0, Running, Drain);
    case.maps.values_mut().for_each(|map| map.backends = ["a", "b"].map(|name| name.parse().unwrap()).into());
    // The map leads to another backend, and only the map's own backends count.
    let both = ["set server a/s state drain", "set server c/s state drain"].map(str::to_owned).to_vec();
    assert_eq!(kept_servers(&case), (vec![], both.clone()));
    case.seen.maps.values_mut().for_each(|map| *map = SeenMap { missing: true, ..SeenMap::default() });
    assert_eq!(kept_servers(&case), (vec!["a/s".to_owned()], both[1..].to_vec()));
    // An operator's hold takes the servers out.
    case.wanted.values_mut().for_each(|server| server.by_operator = true);
    assert_eq!(kept_servers(&case), (vec![], both));
}

#[test]
fn tracking_servers_count_like_the_server_that_they_track() {
    let mut case = Case::new("all").server("a/s", 0, Running, Drain).server("all/s", 0, Running, Ready);
    case.seen.servers.get_mut(&"all/s".parse().unwrap()).unwrap().tracked = Some("a/s".parse().unwrap());
    assert!(case.sent().0.is_empty());
}
