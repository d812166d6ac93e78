//! Which HAProxys a change reaches: every one that is configured, but for those that may be away.

use std::collections::BTreeSet;
use std::sync::Arc;

use crate::engine::error::{EngineError, Message};
use crate::engine::fleet::Fleet;
use crate::engine::fleet::reports::{Reports, silence};
use crate::farm::{Hold, InstanceName, Reach, Selector};
use crate::plan::Run;
use crate::platform::{read, write};
use crate::reconcile::InstanceReport;

/// The HAProxys that a change reaches now.
pub(crate) struct Reached {
    /// What those report that answer.
    pub(crate) reports: Reports,
    /// Those that it goes on without.
    pub(crate) without: BTreeSet<InstanceName>,
}

impl Fleet {
    /// Takes over which HAProxys are away from time to time: drains and deploys go on without them then.
    pub(crate) fn set_may_be_away(&self, names: BTreeSet<InstanceName>) {
        *write(&self.may_be_away) = Arc::new(names);
        self.nudge.notify_one();
    }

    pub(crate) fn may_be_away(&self) -> Arc<BTreeSet<InstanceName>> {
        Arc::clone(&read(&self.may_be_away))
    }

    /// What a change reaches that `concerns` these HAProxys, where those of `without` may be away as well.
    ///
    /// # Errors
    /// Another one does not answer, none does, or `without` names one that is not configured.
    pub(crate) fn reached(
        &self,
        reports: Reports,
        without: &BTreeSet<InstanceName>,
        concerns: impl Fn(&InstanceName) -> bool,
    ) -> Result<Reached, EngineError> {
        self.away_among(without, &reports)?;
        let (aside, missed) = self.away(&reports, without, &concerns);
        let answers = |(name, report): (&InstanceName, &InstanceReport)| report.reachable && concerns(name);
        if !missed.is_empty() || !reports.iter().any(answers) {
            let all: Vec<_> = missed.into_iter().chain(aside).collect();
            return Err(EngineError::Unreachable(refusal(&all)));
        }
        let without = aside.into_iter().map(|(name, _)| name.clone()).collect();
        Ok(Reached { reports: reports.reachable(), without })
    }

    /// The HAProxys that something concerns and that do not answer: those that may be away, and the others.
    fn away<'a>(
        &self,
        reports: &'a Reports,
        without: &BTreeSet<InstanceName>,
        concerns: impl Fn(&InstanceName) -> bool,
    ) -> (Silent<'a>, Silent<'a>) {
        let configured = self.may_be_away();
        let away = reports.iter().filter(|(name, report)| !report.reachable && concerns(name));
        away.partition(|(name, _)| configured.contains(*name) || without.contains(*name))
    }

    /// Refuses what needs these HAProxys while one of them does not answer that may not be away.
    ///
    /// # Errors
    /// There is such a HAProxy.
    pub(crate) fn refuse_without(
        &self,
        needed: BTreeSet<InstanceName>,
        without: &BTreeSet<InstanceName>,
        reports: &Reports,
    ) -> Result<(), EngineError> {
        let (_, missed) = self.away(reports, without, |name| needed.contains(name));
        if missed.is_empty() { Ok(()) } else { Err(EngineError::Unreachable(refusal(&missed))) }
    }

    /// The HAProxys that these selectors are about.
    pub(crate) fn concerned(&self, selectors: &[Selector], reports: &Reports) -> BTreeSet<InstanceName> {
        let (all, seen) = (self.instances.keys().cloned().collect(), reports.seen());
        if selectors.is_empty() {
            return all;
        }
        selectors.iter().flat_map(|selector| selector.within(&all, &seen)).collect()
    }

    /// Those of `without` that do not answer.
    ///
    /// # Errors
    /// One of them is not configured.
    pub(crate) fn away_among(
        &self,
        without: &BTreeSet<InstanceName>,
        reports: &Reports,
    ) -> Result<BTreeSet<InstanceName>, EngineError> {
        if let Some(unknown) = without.iter().find(|name| !self.instances.contains_key(*name)) {
            let known = self.instances.keys().map(InstanceName::as_str).collect::<Vec<_>>().join(", ");
            let problem = format!("there is no HAProxy {unknown} to go on without: teeterd is configured with {known}");
            return Err(EngineError::NotFound(Message::new(problem)));
        }
        let away = |name: &&InstanceName| reports.get(name).is_none_or(|report| !report.reachable);
        Ok(without.iter().filter(away).cloned().collect())
    }

    /// The HAProxys among these that do not answer and may be away. None where no other is there: then nothing at all is
    /// known.
    pub(crate) fn aside<'a>(
        &self,
        reach: &Reach,
        instances: impl Iterator<Item = &'a InstanceName>,
        reports: &Reports,
    ) -> BTreeSet<InstanceName> {
        let configured = self.may_be_away();
        let all: BTreeSet<&InstanceName> = instances.collect();
        let is_away = |name: &InstanceName| {
            let may_be = configured.contains(name) || reach.without.contains(name);
            may_be && reports.get(name).is_some_and(|report| !report.reachable)
        };
        let away: BTreeSet<InstanceName> =
            all.iter().filter(|name| is_away(name)).map(|name| (*name).clone()).collect();
        if away.len() == all.len() { BTreeSet::new() } else { away }
    }

    /// The same of a run.
    pub(crate) fn aside_of_run(&self, run: &Run, reports: &Reports) -> BTreeSet<InstanceName> {
        self.aside(&run.reach, run.plan.entries().map(|entry| &entry.instance), reports)
    }

    /// The same of a hold.
    pub(crate) fn aside_of(&self, hold: &Hold, reports: &Reports) -> BTreeSet<InstanceName> {
        self.aside(&hold.reach, hold.entries.iter().map(|entry| &entry.instance), reports)
    }
}

/// HAProxys that do not answer, and what is known of them.
type Silent<'a> = Vec<(&'a InstanceName, &'a InstanceReport)>;

/// Why nothing is begun while these do not answer, and what to type.
fn refusal(away: &[(&InstanceName, &InstanceReport)]) -> String {
    let texts: Vec<String> = away.iter().map(|(name, report)| silence(name, report)).collect();
    let options: Vec<String> = away.iter().map(|(name, _)| format!("--without-haproxy {name}")).collect();
    format!(
        "{}; it may be sending requests to these servers. Where it is stopped on purpose, `{}` goes on without it, and it \
         is told as soon as it answers; otherwise start it, or set its socket right",
        texts.join("; "),
        options.join(" ")
    )
}
