//! Plans and the machine on invented farms and invented time: no HAProxy, no clock.

mod blue_green;
mod canary;
mod guards;
mod forecasts;
mod properties;
mod rollback;
mod rolling;
mod see_saws;
mod step_times;
mod world;

use std::collections::{BTreeMap, BTreeSet};

use super::machine::{
    Confirmation, Facts, Illegal, Outcome, WorkReport, handle_abort, handle_lost_servers, handle_report, handle_tick,
};
use super::verify::ProbeResult;
use super::watch::{Counted, Figures};
use super::{
    CallerState, FailureKind, Phase, Plan, PlanningInput, Run, RunState, Skipped, Step, StepState, Veto, Wait, guard,
    see_saw,
};
use crate::farm::{
    Counts, Entry, Farm, GroupName, Hold, HoldId, InstanceName, Ladder, Layout, MemberName, OnDeadline, Owner, RunId,
    Seen, SeenServer, Side, Span, Stage, Stays, Verification,
};
use crate::haproxy::{AdminBits, AdminState, OpState};
use jiff::Timestamp;

use self::world::{ROUTE, World};

fn at(secs: i64) -> Timestamp {
    Timestamp::from_second(1_800_000_000 + secs).unwrap()
}

fn farm(settings: &str) -> Farm {
    Farm { name: "web".parse().unwrap(), settings: toml::from_str(settings).unwrap() }
}

const HALVES: &str = "members = [\"app/*\", \"api/*\"]\nhalves = \"auto\"\n";

/// Servers w0, w1, … in two backends; those at `bits` have these admin bits.
fn seen(servers: usize, bits: &[(usize, u32)]) -> Seen {
    let server = |index: usize| SeenServer {
        admin: AdminBits(bits.iter().find(|(at, _)| *at == index).map_or(0, |(_, bits)| *bits)),
        weight: 100,
        address: "10.0.0.1".into(),
        port: 8000 + u16::try_from(index).unwrap(),
        ..SeenServer::sample()
    };
    let names = (0..servers).flat_map(|index| [(index, format!("app/w{index}")), (index, format!("api/w{index}"))]);
    let servers = names.map(|(index, name)| (name.parse().unwrap(), server(index))).collect();
    Seen { pid: 1, version: "2.6".into(), servers, ..Seen::default() }
}

fn planned(settings: &str, seen: &Seen, holds: &[Hold]) -> Result<Plan, Vec<Veto>> {
    let farm = farm(settings);
    let seen = BTreeMap::from([("edge".parse().unwrap(), seen)]);
    let layout = farm.layout(&seen).unwrap();
    let skipped = Skipped::by_holds(&layout, &BTreeSet::new(), holds)?;
    see_saw::plan(&PlanningInput { version: Some("v2"), ..input(&farm, &layout, &seen, &skipped) })
}

/// The plan of a canary deploy to four servers.
pub(super) fn planned_canary(settings: &str) -> Plan {
    let (farm, seen) = (farm(settings), seen(4, &[]));
    let all = BTreeMap::from([("edge".parse().unwrap(), &seen)]);
    let (layout, skipped) = (layout_of(&farm, &seen), Skipped::default());
    super::canary::plan(&input(&farm, &layout, &all, &skipped)).unwrap()
}

static NO_PHASES: BTreeSet<Phase> = BTreeSet::new();
static NO_STANDBY: BTreeMap<GroupName, HoldId> = BTreeMap::new();

/// No version, no hooks, no route and no group on standby.
pub(super) fn input<'a>(
    farm: &'a Farm,
    layout: &'a Layout,
    seen: &'a BTreeMap<InstanceName, &'a Seen>,
    skipped: &'a Skipped,
) -> PlanningInput<'a> {
    PlanningInput { farm, layout, version: None, phases: &NO_PHASES, live: None, seen, skipped, standby: &NO_STANDBY }
}

fn hold(id: u64, owner: Owner, entries: impl IntoIterator<Item = Entry>, stage: Stage) -> Hold {
    Hold {
        id: HoldId(id),
        owner,
        reason: "r".into(),
        selectors: Vec::new(),
        entries: entries.into_iter().collect(),
        since: at(0),
        expires: None,
        ladder: Ladder {
            first: AdminState::Drain,
            last: AdminState::Maint,
            grace: Span::from_secs(5),
            deadline: Span::from_secs(30),
            on_deadline: OnDeadline::Fail,
            stays: Stays::Sticky,
            idle: false,
        },
        stage,
        first_out: false,
        revision: 1,
        note: None,
        reach: Default::default(),
        names: Default::default(),
    }
}

fn entry(name: &str) -> Entry {
    format!("edge:{name}").try_into().unwrap()
}

fn names(text: &[&str]) -> Vec<MemberName> {
    text.iter().map(|name| name.parse().unwrap()).collect()
}

fn layout_of(farm: &Farm, seen: &Seen) -> Layout {
    farm.layout(&BTreeMap::from([("edge".parse().unwrap(), seen)])).unwrap()
}
