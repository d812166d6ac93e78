//! Sends the difference to one HAProxy, and reads it back.
//!
//! A map that cannot be changed, and a server that another program keeps changing, are left out: everything else is
//! sent and confirmed.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use tokio::time::Instant;

use super::super::map_files::Trouble;
use super::super::order::Order;
use super::super::pace::PollReason;
use super::super::send::{Applied, apply};
use super::super::unread::UnreadCommands;
use super::Observer;
use crate::farm::{
    About, Batch, BatchStep, Gate, PutOff, Reason, Seen, WantedMap, WantedMaps, Withheld, diff, diff_maps, missing_maps,
};
use crate::haproxy::commands::SetCommand;
use crate::haproxy::{Error, MapName};

/// Maps whose change HAProxy has refused: the change is not tried again at once.
#[derive(Debug, Default)]
pub(super) struct Refusals(BTreeMap<MapName, Refusal>);

#[derive(Debug)]
struct Refusal {
    wanted: WantedMap,
    why: Reason,
    at: Instant,
}

impl Refusals {
    /// The refusals that are not over, for entries that are still wanted.
    fn now(&mut self, wanted: &WantedMaps, now: Instant) -> BTreeMap<MapName, Reason> {
        let lasts = |map: &MapName, refusal: &Refusal| {
            wanted.get(map) == Some(&refusal.wanted) && now.duration_since(refusal.at) < AGAIN
        };
        self.0.retain(|map, refusal| lasts(map, refusal));
        self.0.iter().map(|(map, refusal)| (map.clone(), refusal.why.clone())).collect()
    }
}

impl Observer {
    /// Brings the files of maps up to date. Returns the maps that HAProxy must not change now, each with the reason,
    /// and the changes that other programs have made to the files.
    pub(super) async fn withheld_maps(
        &mut self,
        order: &Order,
        seen: &Seen,
    ) -> (BTreeMap<MapName, Reason>, Vec<(MapName, String)>) {
        let mut withheld = self.refusals.now(&order.maps, self.clock.mark());
        // The files first: a reload in the next moment must find the entries that are about to be sent.
        let (changed, troubles) = self.files.agree(order.revision, &order.maps, &seen.maps).await;
        let differ = if troubles.is_empty() { Vec::new() } else { diff_maps(&order.maps, &seen.maps) };
        for (map, trouble) in troubles {
            // A confirmed switch is repeated even if the file cannot be written; a new switch is not sent.
            let is_new_switch = self.confirmed_maps.get(&map) != order.maps.get(&map)
                && differ.iter().any(|step| step.about == About::Map(map.clone()));
            let why = match trouble {
                Trouble::Cannot(words) => Reason::Cannot(words),
                Trouble::Slow(words) => Reason::NotYet(words),
            };
            self.report.trouble = Some(why.text().to_owned());
            if is_new_switch {
                withheld.insert(map, why);
            }
        }
        withheld.extend(missing_maps(&self.name, &order.maps, &seen.maps));
        (withheld, changed)
    }

    /// Sends the difference, and reads it back. `Some`: HAProxy does not agree yet; what the next look waits for.
    pub(super) async fn make_agree(
        &mut self,
        order: &Order,
        withheld: BTreeMap<MapName, Reason>,
        seen: Arc<Seen>,
    ) -> Result<Option<PollReason>, Error> {
        let (mut seen, mut withheld) = (seen, withheld);
        for _ in 0..STAGES {
            let maps = without(&order.maps, &withheld);
            let mut differ = diff(&order.wanted, &maps, &seen, &self.report.started_verifications);
            let gate = Gate { wanted: &order.wanted, maps: &order.maps, seen: &seen, unchecked: &self.unchecked };
            let mut left = Withheld { servers: gate.keep_behind(&mut differ, &withheld), maps: withheld.clone() };
            if self.drifts.keeps_all(&differ) {
                return Ok(self.agree(order, maps, left, &seen));
            }
            left.extend(self.drifts.allow(&mut differ, &maps, &seen, self.clock.mark()));
            let before = differ.abouts();
            let mut later = Withheld::default();
            match gate.keep_served(&mut differ).filter(|_| differ.is_empty()) {
                Some(PutOff::TakenOver(backend, servers)) => {
                    let drifts = self.drifts.find_taken_over(&backend, servers);
                    self.report_drifts(drifts);
                    self.report.trouble = Some(format!("the traffic was switched to backend {backend} outside teeter"));
                    return Ok(Some(PollReason::Checks));
                }
                Some(PutOff::Until(words)) => {
                    later = Withheld::put_off(before, &words);
                    self.report.trouble = Some(words);
                }
                None => {}
            }
            if differ.is_empty() && self.drifts.is_undecided() {
                return Ok(Some(PollReason::Checks));
            }
            if differ.is_empty() {
                let maps = without(&maps, &later.maps);
                left.extend(later);
                return Ok(self.agree(order, maps, left, &seen));
            }
            let steps = Batch::next_stage(differ);
            self.drifts.note_sent(&steps);
            let Some(process) = &self.process else { return Ok(Some(PollReason::Answer(0))) };
            let applied = apply(&self.client, process, &steps, &self.clock).await;
            if applied.is_err() {
                self.unread = UnreadCommands::Unanswered;
            }
            match applied? {
                Applied::All(took, off) => {
                    self.report.took = Some((order.revision, took));
                    self.note_started_verifications(order, &steps);
                    if !off.is_empty() {
                        // From the next look on, the order is applied without their servers.
                        self.off.extend(off);
                        return Ok(Some(PollReason::Answer(0)));
                    }
                }
                Applied::Refused(About::Map(map), words) => {
                    let why = Reason::Cannot(words);
                    if let Some(wanted) = order.maps.get(&map) {
                        let refusal = Refusal { wanted: wanted.clone(), why: why.clone(), at: self.clock.mark() };
                        self.refusals.0.insert(map.clone(), refusal);
                    }
                    withheld.insert(map, why);
                }
                Applied::Refused(About::Server(_), words) => return Ok(Some(self.note_refusal(order, words))),
                Applied::OtherProcess => {
                    self.scope.everything();
                    return Ok(Some(PollReason::Answer(0)));
                }
            }
            // Silence is not success: read back.
            if !self.look(order).await? {
                return Ok(Some(self.leaving_process()));
            }
            match &self.report.seen {
                Some(now) => seen = Arc::clone(now),
                None => return Ok(Some(self.leaving_process())),
            }
        }
        Ok(Some(PollReason::Checks))
    }

    /// Remembers for which servers these steps have started new checks.
    fn note_started_verifications(&mut self, order: &Order, steps: &[BatchStep]) {
        let mut started = (*self.report.started_verifications).clone();
        let sets_health = |step: &&BatchStep| step.changes.iter().any(|set| matches!(set, SetCommand::Health(_)));
        for step in steps.iter().filter(sets_health) {
            let Some(server) = step.server() else { continue };
            let wanted = order.wanted.get(server);
            // A server that was DOWN before its hold is not waited for.
            if wanted.is_none_or(|wanted| !wanted.down) {
                self.unchecked.insert(server.clone());
            }
            if let Some(verification) = wanted.and_then(|wanted| wanted.new_checks_since) {
                started.insert(server.clone(), verification);
            }
        }
        self.report.started_verifications = Arc::new(started);
    }

    /// HAProxy has the wanted state, apart from the servers and maps in `withheld`.
    fn agree(&mut self, order: &Order, maps: Arc<WantedMaps>, withheld: Withheld, seen: &Seen) -> Option<PollReason> {
        if self.unread.may_follow() {
            self.report.trouble = Some("HAProxy may still carry out commands whose replies were not read".to_owned());
            return Some(PollReason::Checks);
        }
        if let Some(words) = withheld.text().filter(|_| *self.report.withheld != withheld) {
            tracing::warn!(instance = %self.name, "{words}");
        }
        self.report.agreed = order.revision;
        self.report.refused = None;
        self.drifts.confirm(&order.wanted, &maps, &withheld, seen);
        self.confirmed_maps = maps;
        self.report.withheld = Arc::new(withheld);
        None
    }
}

/// The wanted maps without those that are left out.
fn without(maps: &Arc<WantedMaps>, withheld: &BTreeMap<MapName, Reason>) -> Arc<WantedMaps> {
    if maps.keys().all(|map| !withheld.contains_key(map)) {
        return Arc::clone(maps);
    }
    let sent = maps.iter().filter(|(map, _)| !withheld.contains_key(*map));
    Arc::new(sent.map(|(map, wanted)| (map.clone(), wanted.clone())).collect())
}

/// The stages of a batch: servers that come in, the switch of maps, and two more in case of changes outside teeter.
const STAGES: usize = 4;

/// The time after which a refused change of a map is tried again.
const AGAIN: Duration = Duration::from_secs(1);
