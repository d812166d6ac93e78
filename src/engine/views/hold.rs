//! Views of holds, with what people should know about them.

use std::collections::{BTreeMap, BTreeSet};

use jiff::Timestamp;

use crate::api::{HoldStage, HoldView};
use crate::engine::Engine;
use crate::engine::error::{EngineError, Message};
use crate::engine::fleet::loads::withheld;
use crate::engine::fleet::reports::{Found, Reports, gone};
use crate::engine::memory::Memory;
use crate::engine::retired::renamed::last_socket;
use crate::engine::views::run::text;
use crate::farm::{Entry, Hold, HoldId, InstanceName, LineNames, MemberName, Stage};
use crate::haproxy::ServerRef;
use crate::state::State;

impl Engine {
    /// Every hold.
    pub async fn hold_views(&self) -> Vec<HoldView> {
        let state = self.record.state();
        let reports = self.fleet.reports();
        let names = self.line_names(&reports);
        let holds = state.holds.values();
        holds.map(|hold| self.view_of_hold(hold, &state, &reports, &names)).collect()
    }

    /// One hold.
    ///
    /// # Errors
    /// There is no hold of this number, or it has ended.
    pub async fn hold_view(&self, id: HoldId) -> Result<HoldView, EngineError> {
        let state = self.record.state();
        let reports = self.fleet.reports();
        let names = self.line_names(&reports);
        let hold = state.holds.get(&id).map(|hold| self.view_of_hold(hold, &state, &reports, &names));
        hold.ok_or_else(|| EngineError::NotFound(Message::new(format!("there is no hold {id}, or it has ended"))))
    }

    /// The members whose lines have other names, by all lines of HAProxy.
    fn line_names(&self, reports: &Reports) -> LineNames {
        let lines = reports.values().flat_map(|report| report.seen.iter().flat_map(|seen| seen.servers.keys()));
        LineNames::from_farms(lines, &self.fleet.farms())
    }

    fn view_of_hold(&self, hold: &Hold, state: &State, reports: &Reports, names: &LineNames) -> HoldView {
        let note = self.note(hold, state, reports);
        let away = self.fleet.without_for_hold(hold, reports);
        let without = hold.reach.without.union(&away).map(ToString::to_string).collect();
        HoldView { note, without, ..hold_view(hold, reports, names, &self.memory(), self.clock.now()) }
    }

    /// What went wrong with a hold and what it does not reach, for people.
    pub(crate) fn note(&self, hold: &Hold, state: &State, reports: &Reports) -> Option<String> {
        let instances: BTreeSet<&InstanceName> = hold.entries.iter().map(|entry| &entry.instance).collect();
        let left = instances.into_iter().filter_map(|name| withheld(hold, name, reports.get(name)?, state));
        let left: BTreeSet<String> = left.map(|why| why.text().to_owned()).collect();
        let notes = hold.note.iter().cloned().chain(not_there(hold, reports)).chain(overruled(hold, state));
        let notes =
            notes.chain(left).chain(unconfigured(hold, state, reports)).chain(self.not_reached(hold, state, reports));
        notes.reduce(|one, more| format!("{one}; {more}"))
    }
}

/// The view of a hold, without notes.
fn hold_view(hold: &Hold, reports: &Reports, line_names: &LineNames, memory: &Memory, now: Timestamp) -> HoldView {
    let remembered = memory.holds.get(&hold.id);
    let wait = remembered.and_then(|memory| memory.wait.clone());
    let (stage, left) = match hold.stage {
        Stage::Draining(_) => (HoldStage::Draining, 0),
        Stage::Stuck { .. } => (HoldStage::Stuck, 0),
        Stage::Out { left, .. } => (HoldStage::Out, left),
        Stage::Verifying(_) => (HoldStage::Verifying, 0),
        Stage::Shared { .. } => (HoldStage::Shared, 0),
        Stage::Verified { .. } => (HoldStage::Verified, 0),
    };
    HoldView {
        id: hold.id.0,
        owner: hold.owner.to_string(),
        reason: hold.reason.clone(),
        entries: hold.entries.iter().map(ToString::to_string).collect(),
        members: names(hold, reports, line_names),
        mode: hold.wanted_state().into(),
        stage,
        left,
        since: hold.since,
        expires: hold.expires,
        waiting: wait.as_ref().map(ToString::to_string),
        within_s: wait.as_ref().and_then(|wait| wait.within_s(now)),
        wait,
        in_flight: remembered.map(|memory| text(memory.watch.in_flight(hold))).unwrap_or_default(),
        note: None,
        without: Vec::new(),
    }
}

/// The lines of a hold that are left as they were set outside teeter, for people.
fn overruled(hold: &Hold, state: &State) -> Option<String> {
    let overruled = hold.entries.iter().filter_map(|entry| Some((entry, state.baselines.get(entry)?.overruled?)));
    let texts: Vec<String> = overruled
        .map(|(entry, overruled)| format!("{entry} is left in {}, set outside teeter", overruled.state))
        .collect();
    (!texts.is_empty()).then(|| texts.join(", "))
}

/// The lines of a hold in HAProxys that are not configured any more, for people.
fn unconfigured(hold: &Hold, state: &State, reports: &Reports) -> Option<String> {
    let lines: Vec<&Entry> = hold.entries.iter().filter(|entry| !reports.contains_key(&entry.instance)).collect();
    let named: BTreeSet<&InstanceName> = lines.iter().map(|entry| &entry.instance).collect();
    let names = named.iter().map(|name| name.as_str()).collect::<Vec<_>>().join(", ");
    let first = named.first()?;
    let lines = lines.iter().map(ToString::to_string).collect::<Vec<_>>().join(", ");
    Some(format!(
        "HAProxy {names}{} is not configured any more: {lines} cannot be changed until it is configured again; if it \
         is gone, `teeter forget --haproxy {first}` forgets it",
        last_socket(first, state.baselines.iter())
    ))
}

/// The lines of a hold that HAProxy does not have, for people.
fn not_there(hold: &Hold, reports: &Reports) -> Option<String> {
    let missing = hold.entries.iter().filter(|entry| matches!(reports.find(entry), Found::Gone));
    let gone: Vec<String> = missing.map(|entry| format!("{entry} {}", gone(entry))).collect();
    (!gone.is_empty()).then(|| gone.join(", "))
}

/// The names of what a hold keeps out: of a member if all of its lines are held, otherwise of each line; with the
/// HAProxy if another HAProxy has the line, too, and it is not held there.
fn names<'a>(hold: &'a Hold, reports: &'a Reports, line_names: &'a LineNames) -> Vec<String> {
    let member = |line: &'a ServerRef| hold.names.other(line).unwrap_or_else(|| line_names.of_line(line));
    let mut members: BTreeMap<&MemberName, (bool, Vec<&Entry>)> = BTreeMap::new();
    for entry in &hold.entries {
        members.entry(member(&entry.server)).or_insert((true, Vec::new())).1.push(entry);
    }
    let mut free: BTreeSet<&ServerRef> = BTreeSet::new();
    // Each line once: a hold may have a thousand members, and HAProxy ten thousand lines.
    for (name, report) in reports {
        let lines = report.seen.iter().flat_map(|seen| {
            // A backend that is switched off gets no traffic, whatever its lines are.
            seen.servers.keys().filter(|line| !seen.is_disabled(&line.backend))
        });
        for line in lines {
            let Some((whole, held)) = members.get_mut(member(line)) else { continue };
            if !held.iter().any(|entry| entry.server == *line && entry.instance == *name) {
                *whole = false;
                free.insert(line);
            }
        }
    }
    let line = |entry: &Entry| match free.contains(&entry.server) {
        true => entry.to_string(),
        false => entry.server.to_string(),
    };
    let names = |(member, (whole, held)): (&MemberName, (bool, Vec<&Entry>))| match whole {
        true => vec![member.to_string()],
        false => held.iter().map(|entry| line(entry)).collect::<BTreeSet<_>>().into_iter().collect(),
    };
    members.into_iter().flat_map(names).collect()
}
