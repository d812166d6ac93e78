//! Telling one HAProxy what differs, and reading it back.
//!
//! A map that cannot be changed, or a server that is changed outside teeter again and again, is a trouble of its own:
//! everything else is sent and confirmed.

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
    About, Batch, Gate, PutOff, Reason, Seen, Untold, WantedMap, WantedMaps, diff, diff_maps, missing_maps,
};
use crate::haproxy::{Error, MapName};

/// Maps whose change HAProxy has refused, and that are not tried again at once.
#[derive(Debug, Default)]
pub(super) struct Refusals(BTreeMap<MapName, (WantedMap, Reason, Instant)>);

impl Refusals {
    /// Those that are still wanted as they were refused.
    fn now(&mut self, wanted: &WantedMaps, now: Instant) -> BTreeMap<MapName, Reason> {
        self.0.retain(|map, (refused, _, at)| wanted.get(map) == Some(&*refused) && now.duration_since(*at) < AGAIN);
        self.0.iter().map(|(map, (_, why, _))| (map.clone(), why.clone())).collect()
    }
}

impl Observer {
    /// The maps that are not told what they should have, and what other programs have done to the files of maps.
    pub(super) async fn untold(
        &mut self,
        order: &Order,
        seen: &Seen,
    ) -> (BTreeMap<MapName, Reason>, Vec<(MapName, String)>) {
        let mut untold = self.refusals.now(&order.maps, self.clock.mark());
        // The files first: a reload in the next moment must find what is about to be told.
        let (changed, troubles) = self.files.agree(order.revision, &order.maps, &seen.maps).await;
        let differ = if troubles.is_empty() { Vec::new() } else { diff_maps(&order.maps, &seen.maps) };
        for (map, trouble) in troubles {
            // What has been turned once is turned again, whatever becomes of the file; nothing else is begun.
            let turns = self.turned.get(&map) != order.maps.get(&map)
                && differ.iter().any(|step| step.about == About::Map(map.clone()));
            let why = match trouble {
                Trouble::Cannot(words) => Reason::Cannot(words),
                Trouble::Slow(words) => Reason::NotYet(words),
            };
            self.report.trouble = Some(why.words().to_owned());
            if turns {
                untold.insert(map, why);
            }
        }
        untold.extend(missing_maps(&self.name, &order.maps, &seen.maps));
        (untold, changed)
    }

    /// Tells HAProxy what differs, and reads it back. `Some`: it does not agree yet, and when to look again.
    pub(super) async fn make_agree(
        &mut self,
        order: &Order,
        untold: BTreeMap<MapName, Reason>,
        seen: Arc<Seen>,
    ) -> Result<Option<PollReason>, Error> {
        let (mut seen, mut untold) = (seen, untold);
        for _ in 0..STAGES {
            let told = without(&order.maps, &untold);
            let mut differ = diff(&order.wanted, &told, &seen, &self.report.begun);
            let gate = Gate { wanted: &order.wanted, maps: &order.maps, seen: &seen, set_down: &self.set_down };
            let mut left = Untold { servers: gate.keep_behind(&mut differ, &untold), maps: untold.clone() };
            if self.drifts.is_left_alone(&differ) {
                return Ok(self.agree(order, told, left, &seen));
            }
            left.extend(self.drifts.allow(&mut differ, &told, &seen, self.clock.mark()));
            let before = differ.abouts();
            let mut later = Untold::default();
            match gate.keep_served(&mut differ).filter(|_| differ.is_empty()) {
                Some(PutOff::TakenOver(backend, servers)) => {
                    let drifts = self.drifts.live(&backend, servers);
                    self.found(drifts);
                    self.report.trouble = Some(format!("the traffic was switched to backend {backend} outside teeter"));
                    return Ok(Some(PollReason::Checks));
                }
                Some(PutOff::Until(words)) => {
                    later = Untold::put_off(before, &words);
                    self.report.trouble = Some(words);
                }
                None => {}
            }
            if differ.is_empty() && self.drifts.is_undecided() {
                return Ok(Some(PollReason::Checks));
            }
            if differ.is_empty() {
                let told = without(&told, &later.maps);
                left.extend(later);
                return Ok(self.agree(order, told, left, &seen));
            }
            let steps = Batch::next_stage(differ);
            self.drifts.sending(&steps);
            let Some(process) = &self.process else { return Ok(Some(PollReason::Answer(0))) };
            let applied = apply(&self.client, process, &steps, &self.clock).await;
            if applied.is_err() {
                self.late = UnreadCommands::Unanswered;
            }
            match applied? {
                Applied::All(took, off) => {
                    self.report.took = Some((order.revision, took));
                    self.note_begun(order, &steps);
                    if !off.is_empty() {
                        // What is wanted of them is left out from the next look on.
                        self.off.extend(off);
                        return Ok(Some(PollReason::Answer(0)));
                    }
                }
                Applied::Refused(About::Map(map), words) => {
                    let why = Reason::Cannot(words);
                    if let Some(wanted) = order.maps.get(&map) {
                        self.refusals.0.insert(map.clone(), (wanted.clone(), why.clone(), self.clock.mark()));
                    }
                    untold.insert(map, why);
                }
                Applied::Refused(About::Server(_), words) => return Ok(Some(self.refused(order, words))),
                Applied::OtherProcess => {
                    self.scope.everything();
                    return Ok(Some(PollReason::Answer(0)));
                }
            }
            // Silence is not success: read back.
            if !self.look(order).await? {
                return Ok(Some(self.leaving()));
            }
            match &self.report.seen {
                Some(now) => seen = Arc::clone(now),
                None => return Ok(Some(self.leaving())),
            }
        }
        Ok(Some(PollReason::Checks))
    }

    /// HAProxy has what is wanted, but for what it is not told.
    fn agree(&mut self, order: &Order, told: Arc<WantedMaps>, untold: Untold, seen: &Seen) -> Option<PollReason> {
        if self.late.may_follow() {
            self.report.trouble = Some("commands whose replies nobody has read may still be carried out".to_owned());
            return Some(PollReason::Checks);
        }
        if let Some(words) = untold.words().filter(|_| *self.report.untold != untold) {
            tracing::warn!(instance = %self.name, "{words}");
        }
        self.report.agreed = order.revision;
        self.report.refused = None;
        self.drifts.confirmed(&order.wanted, &told, &untold, seen);
        self.turned = told;
        self.report.untold = Arc::new(untold);
        None
    }
}

/// The maps that are told.
fn without(maps: &Arc<WantedMaps>, untold: &BTreeMap<MapName, Reason>) -> Arc<WantedMaps> {
    if maps.keys().all(|map| !untold.contains_key(map)) {
        return Arc::clone(maps);
    }
    let told = maps.iter().filter(|(map, _)| !untold.contains_key(*map));
    Arc::new(told.map(|(map, wanted)| (map.clone(), wanted.clone())).collect())
}

/// Servers that come in, the switch of maps, and further stages in case of changes outside teeter.
const STAGES: usize = 4;

/// A map that was refused is tried again so often.
const AGAIN: Duration = Duration::from_secs(1);
