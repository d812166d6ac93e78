//! The HAProxy instances that a change reaches: all configured ones, apart from those that may be away.

use std::collections::BTreeSet;
use std::sync::Arc;

use crate::engine::error::{EngineError, Message};
use crate::engine::fleet::Fleet;
use crate::engine::fleet::reports::{Reports, silence};
use crate::farm::{Hold, InstanceName, Reach, Selector};
use crate::plan::Run;
use crate::platform::{read, write};
use crate::reconcile::InstanceReport;

/// The HAProxy instances that a change reaches now.
pub(crate) struct Reached {
    /// The reports of the instances that answer.
    pub(crate) reports: Reports,
    /// The instances without which the change goes on.
    pub(crate) without: BTreeSet<InstanceName>,
}

impl Fleet {
    /// Sets the instances that the configuration allows to be away: drains and deploys go on without them.
    pub(crate) fn set_may_be_away(&self, names: BTreeSet<InstanceName>) {
        *write(&self.may_be_away) = Arc::new(names);
        self.nudge.notify_one();
    }

    pub(crate) fn may_be_away(&self) -> Arc<BTreeSet<InstanceName>> {
        Arc::clone(&read(&self.may_be_away))
    }

    /// What a change reaches that `concerns` some instances; those of `without` may be away, too.
    ///
    /// # Errors
    /// Another instance does not answer, no instance answers, or `without` names one that is not configured.
    pub(crate) fn reached(
        &self,
        reports: Reports,
        without: &BTreeSet<InstanceName>,
        concerns: impl Fn(&InstanceName) -> bool,
    ) -> Result<Reached, EngineError> {
        self.away_among(without, &reports)?;
        let (excused, missed) = self.away(&reports, without, &concerns);
        let answers = |(name, report): (&InstanceName, &InstanceReport)| report.reachable && concerns(name);
        if !missed.is_empty() || !reports.iter().any(answers) {
            let all: Vec<_> = missed.into_iter().chain(excused).collect();
            return Err(EngineError::Unreachable(refusal(&all)));
        }
        let without = excused.into_iter().map(|(name, _)| name.clone()).collect();
        Ok(Reached { reports: reports.reachable(), without })
    }

    /// The concerned instances that do not answer: those that may be away, and the others.
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

    /// Refuses a change that needs these instances if one of them does not answer and may not be away.
    ///
    /// # Errors
    /// There is such an instance.
    pub(crate) fn refuse_without(
        &self,
        needed: BTreeSet<InstanceName>,
        without: &BTreeSet<InstanceName>,
        reports: &Reports,
    ) -> Result<(), EngineError> {
        let (_, missed) = self.away(reports, without, |name| needed.contains(name));
        if missed.is_empty() { Ok(()) } else { Err(EngineError::Unreachable(refusal(&missed))) }
    }

    /// The instances that these selectors concern.
    pub(crate) fn concerned(&self, selectors: &[Selector], reports: &Reports) -> BTreeSet<InstanceName> {
        let (all, seen) = (self.instances.keys().cloned().collect(), reports.seen());
        if selectors.is_empty() {
            return all;
        }
        selectors.iter().flat_map(|selector| selector.within(&all, &seen)).collect()
    }

    /// The instances of `without` that do not answer.
    ///
    /// # Errors
    /// One of `without` is not configured.
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

    /// Those of these instances that do not answer and may be away. Empty if they are all of them: then the state of
    /// the servers is unknown.
    fn without_now<'a>(
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

    /// The instances without which a run goes on now.
    pub(crate) fn without_for_run(&self, run: &Run, reports: &Reports) -> BTreeSet<InstanceName> {
        self.without_now(&run.reach, run.plan.entries().map(|entry| &entry.instance), reports)
    }

    /// The instances without which a hold goes on now.
    pub(crate) fn without_for_hold(&self, hold: &Hold, reports: &Reports) -> BTreeSet<InstanceName> {
        self.without_now(&hold.reach, hold.entries.iter().map(|entry| &entry.instance), reports)
    }
}

/// HAProxy instances that do not answer, with their last reports.
type Silent<'a> = Vec<(&'a InstanceName, &'a InstanceReport)>;

/// Why a change is refused while these instances do not answer, and which option to add.
fn refusal(away: &[(&InstanceName, &InstanceReport)]) -> String {
    let texts: Vec<String> = away.iter().map(|(name, report)| silence(name, report)).collect();
    let options: Vec<String> = away.iter().map(|(name, _)| format!("--without-haproxy {name}")).collect();
    format!(
        "{}; it may be sending requests to these servers. If it was stopped on purpose, `{}` goes on without it, and \
         it gets the change as soon as it answers; otherwise start it, or correct its socket in teeter.toml",
        texts.join("; "),
        options.join(" ")
    )
}
