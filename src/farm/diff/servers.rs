//! The commands that give one HAProxy its wanted state, in an order that never leaves a backend without servers.

use std::collections::BTreeMap;

use jiff::Timestamp;

use crate::farm::diff::batch::{About, Batch, BatchStep};
use crate::farm::diff::maps::diff_maps;
use crate::farm::diff::wanted::{Wanted, WantedServer};
use crate::farm::diff::wanted_maps::{WantedMap, WantedMaps};
use crate::farm::seen::server::SeenServer;
use crate::farm::seen::snapshot::Seen;
use crate::haproxy::commands::{
    AgentSwitch, SetCommand, SetServerAgentDown, SetServerHealth, SetServerState, SetServerWeight, Switch,
};
use crate::haproxy::{AdminState, ServerRef};

/// Verifications that have started in the present HAProxy process: for each server the time that identifies its
/// verification.
pub type StartedVerifications = BTreeMap<ServerRef, Timestamp>;

/// Works out the commands. Servers that HAProxy does not have are skipped. Servers that take more traffic come first
/// and servers that take less traffic come last, so that at no moment fewer servers are in service than before and
/// after. Only a hold with `first_out` takes its servers out first.
pub fn diff(wanted: &Wanted, maps: &WantedMaps, seen: &Seen, started: &StartedVerifications) -> Batch {
    let map_steps = diff_maps(maps, &seen.maps);
    // A backend that is about to get traffic must not have a server in service that should be out: a new HAProxy
    // process does not know the holds.
    let gets_traffic = |server: &ServerRef| {
        let switched = map_steps.iter().filter_map(|step| match &step.about {
            About::Map(map) => maps.get(map),
            About::Server(_) => None,
        });
        switched.flat_map(WantedMap::entries).any(|(_, to)| to.is_some_and(|to| to.as_str() == server.backend.as_str()))
    };
    let stays_out = |server: &ServerRef, wanted: &WantedServer| {
        let current = seen.servers.get(server).map(|current| current.admin.forced());
        wanted.state > AdminState::Ready && current == Some(wanted.state) && gets_traffic(server)
    };
    let out = wanted.iter().filter(|(server, wanted)| stays_out(server, wanted));
    let repeated = out.map(|(server, wanted)| BatchStep {
        about: About::Server(server.clone()),
        changes: vec![SetCommand::State(SetServerState { server: server.clone(), state: wanted.state })],
        undo: Vec::new(),
        together: false,
    });
    let repeated = repeated.collect();
    let mut steps: Vec<(Direction, BatchStep)> = wanted
        .iter()
        .filter_map(|(server, wanted)| {
            let current = seen.servers.get(server)?;
            let step = step(server, wanted, current, started.get(server).copied());
            let direction = match direction(wanted, current) {
                Direction::Out if gets_traffic(server) => Direction::OutBefore,
                direction => direction,
            };
            (!step.changes.is_empty()).then_some((direction, step))
        })
        .collect();
    steps.extend(map_steps.iter().cloned().map(|step| (Direction::Route, step)));
    steps.sort_by_key(|(direction, _)| *direction);
    let (incoming, rest) = steps.into_iter().partition(|(direction, _)| *direction < Direction::Route);
    let steps = |part: Vec<(Direction, BatchStep)>| part.into_iter().map(|(_, step)| step).collect();
    Batch { incoming: steps(incoming), repeated, rest: steps(rest) }
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
enum Direction {
    FirstOut,
    /// Weights of servers in service, before another server comes in.
    Weight,
    In,
    /// Servers that go out of a backend that is about to get traffic.
    OutBefore,
    Route,
    Neither,
    Out,
}

fn direction(wanted: &WantedServer, current: &SeenServer) -> Direction {
    if wanted.weight.is_some() && wanted.state == current.admin.forced() {
        Direction::Weight
    } else if wanted.state == AdminState::Ready {
        Direction::In
    } else if wanted.state > current.admin.forced() && current.admin.forced() == AdminState::Ready {
        if wanted.first_out { Direction::FirstOut } else { Direction::Out }
    } else {
        Direction::Neither
    }
}

fn step(server: &ServerRef, wanted: &WantedServer, current: &SeenServer, started: Option<Timestamp>) -> BatchStep {
    let (mut changes, mut undo) = (Vec::new(), Vec::new());
    let state = |state| SetCommand::State(SetServerState { server: server.clone(), state });
    let agent = |switch| SetCommand::Agent(AgentSwitch { server: server.clone(), switch });
    // An agent check is disabled before the state is set, and enabled only after it: an answer of the agent takes
    // effect at once.
    if wanted.held && current.agent.is_enabled() {
        changes.push(agent(Switch::Disable));
        undo.push(agent(Switch::Enable));
    }
    let agent_returns = wanted.agent && !wanted.held && !current.agent.is_enabled();
    // The agent reported down before its check was disabled. This answer counts until its next one, which may be
    // seconds away.
    if agent_returns && wanted.agent_down {
        changes.push(agent(Switch::Enable));
        changes.push(SetCommand::AgentDown(SetServerAgentDown { server: server.clone() }));
    }
    let weight = |weight| SetCommand::Weight(SetServerWeight { server: server.clone(), weight });
    if let Some(wanted) = wanted.weight.filter(|wanted| *wanted != current.weight) {
        changes.push(weight(wanted));
        undo.push(weight(current.weight));
    }
    let current_state = current.admin.forced();
    let checked = current.check.is_enabled() && current.tracked.is_none();
    let verification_due = wanted.new_checks_since.is_some() && wanted.new_checks_since > started;
    let was_down = wanted.down && current_state == AdminState::Maint && wanted.state < AdminState::Maint;
    // HAProxy takes a server that leaves maintenance for UP before a check of the server.
    let out_of_maint = |to| {
        let by_drain = [state(AdminState::Drain), SetCommand::Health(SetServerHealth { server: server.clone() })];
        by_drain.into_iter().chain((to == AdminState::Ready).then(|| state(to)))
    };
    if wanted.state != current_state {
        if was_down && checked {
            changes.extend(out_of_maint(wanted.state));
        } else {
            changes.push(state(wanted.state));
        }
        let earlier: Vec<SetCommand> = match current_state {
            AdminState::Ready if wanted.state == AdminState::Maint && checked && current.is_down() => {
                out_of_maint(current_state).collect()
            }
            current_state => vec![state(current_state)],
        };
        undo.splice(0..0, earlier);
    }
    if verification_due && checked && !was_down {
        changes.push(SetCommand::Health(SetServerHealth { server: server.clone() }));
    }
    if agent_returns && !wanted.agent_down {
        changes.push(agent(Switch::Enable));
    }
    BatchStep { about: About::Server(server.clone()), changes, undo, together: false }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::haproxy::{AdminBits, CheckBits, Command};

    fn seen(servers: &[(&str, u32, u32)]) -> Seen {
        let server = |admin: u32, agent: u32| SeenServer {
            admin: AdminBits(admin),
            agent: CheckBits(agent),
            ..SeenServer::sample()
        };
        let servers = servers.iter().map(|(name, admin, agent)| (name.parse().unwrap(), server(*admin, *agent)));
        Seen { pid: 1, version: "2.6".into(), servers: servers.collect(), ..Seen::default() }
    }

    fn wanted(servers: &[(&str, AdminState, bool, bool)]) -> Wanted {
        let server = |state, agent, held| WantedServer { state, agent, held, ..WantedServer::without_holds(None) };
        servers
            .iter()
            .map(|(name, state, agent, held)| (name.parse().unwrap(), server(*state, *agent, *held)))
            .collect()
    }

    fn sent(wanted: &Wanted, seen: &Seen) -> Vec<String> {
        texts(diff(wanted, &WantedMaps::new(), seen, &StartedVerifications::new()).steps())
    }

    fn texts(steps: Vec<BatchStep>) -> Vec<String> {
        steps.iter().flat_map(|step| &step.changes).map(Command::text).collect()
    }

    /// A map that should lead to this backend.
    fn leading_to(backend: &str) -> WantedMaps {
        let live = [("web".parse().unwrap(), backend.parse().unwrap())].into();
        WantedMaps::from([("/m".parse().unwrap(), WantedMap { live, ..WantedMap::default() })])
    }

    #[test]
    fn a_flip_brings_servers_in_before_it_takes_others_out() {
        let wanted = wanted(&[("app/a", AdminState::Drain, false, true), ("app/b", AdminState::Ready, true, false)]);
        let sent = sent(&wanted, &seen(&[("app/a", 0, 0), ("app/b", 8, 4)]));
        assert_eq!(sent, ["set server app/b state ready", "set server app/a state drain"]);
    }

    #[test]
    fn a_flip_with_a_gap_takes_servers_out_first() {
        let mut wanted =
            wanted(&[("app/a", AdminState::Drain, false, true), ("app/b", AdminState::Ready, true, false)]);
        wanted.values_mut().for_each(|server| server.first_out = server.held);
        let sent = sent(&wanted, &seen(&[("app/a", 0, 0), ("app/b", 8, 4)]));
        assert_eq!(sent, ["set server app/a state drain", "set server app/b state ready"]);
    }

    #[test]
    fn traffic_is_switched_after_its_servers_are_in() {
        let wanted = wanted(&[("app/a", AdminState::Drain, false, true), ("app/b", AdminState::Ready, true, false)]);
        let maps = leading_to("b");
        let first = diff(&wanted, &maps, &seen(&[("app/a", 0, 0), ("app/b", 8, 4)]), &StartedVerifications::new());
        assert_eq!(texts(first.next_stage()), ["set server app/b state ready"]);
        let second = diff(&wanted, &maps, &seen(&[("app/a", 0, 0), ("app/b", 0, 4)]), &StartedVerifications::new());
        assert_eq!(texts(second.next_stage()), ["add map /m web b", "set server app/a state drain"]);
    }

    #[test]
    fn servers_that_should_be_out_go_out_before_the_switch() {
        let wanted = wanted(&[("all/b", AdminState::Maint, false, true), ("b/b", AdminState::Maint, false, true)]);
        // A process that was just started has all servers in service.
        let batch =
            diff(&wanted, &leading_to("all"), &seen(&[("all/b", 0, 0), ("b/b", 0, 0)]), &StartedVerifications::new());
        assert_eq!(texts(batch.next_stage()), ["set server all/b state maint"]);
    }

    #[test]
    fn a_switch_repeats_the_state_of_servers_that_are_out_of_the_new_backend() {
        let wanted = wanted(&[("all/b", AdminState::Maint, false, true), ("b/b", AdminState::Maint, false, true)]);
        let batch =
            diff(&wanted, &leading_to("all"), &seen(&[("all/b", 1, 0), ("b/b", 1, 0)]), &StartedVerifications::new());
        assert_eq!(texts(batch.clone().next_stage()), ["set server all/b state maint", "add map /m web all"]);
        let mut put_off = batch;
        put_off.retain(|step| step.server().is_some());
        assert!(put_off.is_empty() && texts(put_off.next_stage()).is_empty());
    }

    #[test]
    fn servers_that_agree_and_missing_servers_get_no_command() {
        let wanted = wanted(&[("app/a", AdminState::Maint, false, true), ("app/gone", AdminState::Maint, false, true)]);
        assert!(sent(&wanted, &seen(&[("app/a", 5, 0)])).is_empty());
    }

    #[test]
    fn an_agent_is_disabled_first_and_enabled_last() {
        let out = wanted(&[("app/a", AdminState::Maint, false, true)]);
        assert_eq!(sent(&out, &seen(&[("app/a", 0, 6)])), ["disable agent app/a", "set server app/a state maint"]);
        let back = wanted(&[("app/a", AdminState::Ready, true, false)]);
        assert_eq!(sent(&back, &seen(&[("app/a", 1, 2)])), ["set server app/a state ready", "enable agent app/a"]);
        let mut down = back;
        down.values_mut().for_each(|server| server.agent_down = true);
        let expected = ["enable agent app/a", "set server app/a agent down", "set server app/a state ready"];
        assert_eq!(sent(&down, &seen(&[("app/a", 8, 2)])), expected);
    }

    #[test]
    fn a_verification_starts_once_in_a_process_and_after_the_drain() {
        let mut wanted = wanted(&[("app/a", AdminState::Drain, false, true)]);
        let verification: Timestamp = "2026-01-01T00:00:00Z".parse().unwrap();
        wanted.values_mut().for_each(|server| server.new_checks_since = Some(verification));
        let expected = ["set server app/a state drain", "set server app/a health down"];
        assert_eq!(sent(&wanted, &seen(&[("app/a", 1, 0)])), expected);
        let started = StartedVerifications::from([("app/a".parse().unwrap(), verification)]);
        assert!(diff(&wanted, &WantedMaps::new(), &seen(&[("app/a", 8, 0)]), &started).is_empty());
    }
}
