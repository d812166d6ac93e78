//! What is stored when a watch begins.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

use super::bursts::Bursts;
use super::tracker::{Counted, Look, Tracker};
use crate::farm::{Counts, Entry, GroupName, InstanceName, Process};
use crate::plan::run::Run;
use crate::plan::step::Step;

/// What a watch is compared with, and the counters at its beginning.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Bake {
    /// Counts of the side that had the traffic before. Not used while both sides have traffic.
    pub before: Counts,
    /// When that side answered with 5xx.
    #[serde(default)]
    pub bursts_5xx: Bursts,
    /// When requests to that side failed.
    #[serde(default)]
    pub bursts_errors: Bursts,
    /// The counters of each line of the new side.
    pub from: BTreeMap<Entry, Counts>,
    /// The counters of each line of the other side, where both have traffic during the watch.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub old: BTreeMap<Entry, Counts>,
    /// The HAProxy processes that counted; without those in records of earlier versions.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub processes: BTreeMap<InstanceName, Process>,
}

/// What is known of the other side when a watch begins.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Control {
    /// What it was given before.
    pub before: Counted,
    /// Whether it has traffic during the watch, so that both are counted over the same time.
    pub concurrent: bool,
}

impl Bake {
    /// The beginning of the watch that a run is at. `look`: the present counters of a line.
    pub fn begin(run: &Run, control: Control, look: impl Fn(&Entry) -> Option<Look>) -> Self {
        let none: &[GroupName] = &[];
        let (new, old) = match run.current() {
            Some(Step::Bake { new, old, .. }) => (&new[..], &old[..]),
            _ => (none, none),
        };
        let old = if control.concurrent { old } else { none };
        let looks = |groups| lines(run, groups).filter_map(|entry| Some((entry, look(entry)?)));
        let counts = |groups| looks(groups).map(|(entry, look)| (entry.clone(), look.counts)).collect();
        let process = |(entry, look): (&Entry, Look)| (entry.instance.clone(), look.process);
        Self {
            before: control.before.counts,
            bursts_5xx: control.before.bursts_5xx,
            bursts_errors: control.before.bursts_errors,
            from: counts(new),
            old: counts(old),
            processes: looks(new).chain(looks(old)).map(process).collect(),
        }
    }

    /// Whether both sides are counted over the same time.
    pub fn is_concurrent(&self) -> bool {
        !self.old.is_empty()
    }

    /// What counts the new side from the beginning of the watch on. `process`: the present process of an instance.
    pub fn new_side(&self, process: impl Fn(&InstanceName) -> Option<Process>) -> Tracker {
        tracker(&self.from, &self.processes, process)
    }

    /// What counts the other side: from the beginning of the watch on where both have traffic, else what it was given
    /// before.
    pub fn old_side(&self, process: impl Fn(&InstanceName) -> Option<Process>) -> Tracker {
        let counts = if self.is_concurrent() { Counts::default() } else { self.before };
        let bursts_5xx = self.bursts_5xx.clone();
        let counted = Counted { counts, bursts_5xx, bursts_errors: self.bursts_errors.clone() };
        tracker(&self.old, &self.processes, process).with(counted)
    }
}

/// What counts lines from stored counters on. Where their process is not stored, it is the present one.
pub(super) fn tracker(
    from: &BTreeMap<Entry, Counts>,
    processes: &BTreeMap<InstanceName, Process>,
    process: impl Fn(&InstanceName) -> Option<Process>,
) -> Tracker {
    let look = |(entry, counts): (&Entry, &Counts)| {
        let process = processes.get(&entry.instance).copied().or_else(|| process(&entry.instance));
        (entry.clone(), Look { process: process.unwrap_or_default(), counts: *counts })
    };
    Tracker::since(from.iter().map(look))
}

/// The lines of a run's groups.
fn lines<'a>(run: &'a Run, groups: &'a [GroupName]) -> impl Iterator<Item = &'a Entry> {
    groups.iter().flat_map(|group| run.members(group)).flat_map(|member| &member.entries)
}

impl Run {
    /// The lines of the side that the next watch of this run compares with; none if it has no further watch.
    pub fn compared_lines(&self) -> impl Iterator<Item = &Entry> {
        let watch = |step: &'_ Step| matches!(step, Step::Bake { .. });
        let old = self.plan.steps.iter().skip(self.cursor).find(|step| watch(step)).map(|step| match step {
            Step::Bake { old, .. } => &old[..],
            _ => &[],
        });
        lines(self, old.unwrap_or_default())
    }

    /// What counts that side from the beginning of the run on.
    pub fn past_of_compared(&self, process: impl Fn(&InstanceName) -> Option<Process>) -> Tracker {
        let compared = |entry: &Entry| Some((entry.clone(), *self.counted.get(entry)?));
        tracker(&self.compared_lines().filter_map(compared).collect(), &self.counted_by, process)
    }
}
