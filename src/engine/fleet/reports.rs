//! The last reports of all HAProxy instances, and questions about them.

use std::collections::{BTreeMap, BTreeSet, btree_map};

use crate::engine::error::{EngineError, Message};
use crate::farm::{Entry, InstanceName, Reason, Seen, SeenServer};
use crate::haproxy::commands::Level;
use crate::haproxy::{MapName, ServerRef};
use crate::plan::machine::Confirmation;
use crate::reconcile::InstanceReport;
use crate::state::{Observed, ObservedInstance};

/// The last report of each configured HAProxy instance.
#[derive(Debug, Clone, Default)]
pub(crate) struct Reports(BTreeMap<InstanceName, InstanceReport>);

/// A server line as HAProxy has it, or why it is unknown.
pub(crate) enum Found<'a> {
    /// HAProxy does not answer.
    Unknown,
    /// The process that answers does not have this line.
    Gone,
    /// The process that answers has this line.
    Here(&'a SeenServer),
}

impl FromIterator<(InstanceName, InstanceReport)> for Reports {
    fn from_iter<I: IntoIterator<Item = (InstanceName, InstanceReport)>>(reports: I) -> Self {
        Self(reports.into_iter().collect())
    }
}

impl<'a> IntoIterator for &'a Reports {
    type Item = (&'a InstanceName, &'a InstanceReport);
    type IntoIter = btree_map::Iter<'a, InstanceName, InstanceReport>;

    fn into_iter(self) -> Self::IntoIter {
        self.0.iter()
    }
}

impl Reports {
    pub(crate) fn get(&self, name: &InstanceName) -> Option<&InstanceReport> {
        self.0.get(name)
    }

    pub(crate) fn contains_key(&self, name: &InstanceName) -> bool {
        self.0.contains_key(name)
    }

    pub(crate) fn iter(&self) -> btree_map::Iter<'_, InstanceName, InstanceReport> {
        self.0.iter()
    }

    pub(crate) fn keys(&self) -> impl Iterator<Item = &InstanceName> {
        self.0.keys()
    }

    pub(crate) fn values(&self) -> impl Iterator<Item = &InstanceReport> {
        self.0.values()
    }

    /// The reports of the instances that answer.
    #[must_use]
    pub(crate) fn reachable(self) -> Self {
        self.0.into_iter().filter(|(_, report)| report.reachable).collect()
    }

    /// The last look at each instance that has answered since teeterd was started.
    pub(crate) fn seen(&self) -> BTreeMap<InstanceName, &Seen> {
        self.iter().filter_map(|(name, report)| Some((name.clone(), report.seen.as_deref()?))).collect()
    }

    /// The last look at each instance, as the functions of `state` take it.
    pub(crate) fn observed(&self) -> Observed<'_> {
        let answers = self.iter().filter_map(|(name, report)| {
            Some((name, ObservedInstance { socket: &report.socket, seen: report.seen.as_deref()? }))
        });
        answers.collect()
    }

    /// A server line in the last answer of its HAProxy, however old that is.
    pub(crate) fn server(&self, entry: &Entry) -> Option<&SeenServer> {
        self.get(&entry.instance)?.seen.as_ref()?.servers.get(&entry.server)
    }

    /// A server line in a HAProxy that answers now.
    pub(crate) fn find(&self, entry: &Entry) -> Found<'_> {
        let report = self.get(&entry.instance).filter(|report| report.reachable);
        let Some(seen) = report.and_then(|report| report.seen.as_ref()) else { return Found::Unknown };
        seen.servers.get(&entry.server).map_or(Found::Gone, Found::Here)
    }

    /// HAProxy's status of a line that takes no traffic although it should. `None`: it takes traffic, or is not in use.
    pub(crate) fn not_up(&self, entry: &Entry) -> Option<String> {
        let seen = self.get(&entry.instance)?.seen.as_ref()?;
        let server = seen.servers.get(&entry.server)?;
        let in_use = server.weight > 0 && seen.unused(&entry.server).is_none();
        (!server.is_usable() && in_use).then(|| server.status.clone())
    }

    /// These lines, and the lines that share their maintenance by tracking them, directly or through others.
    pub(crate) fn with_trackers(&self, entries: &BTreeSet<Entry>) -> BTreeSet<Entry> {
        self.observed().with_trackers(entries)
    }

    /// Whether HAProxy agrees with the change that was stored as `revision`, as far as it concerns `entries` and
    /// `maps`. The change does not wait for the instances in `without`.
    pub(crate) fn confirmation<'a>(
        &self,
        revision: u64,
        entries: impl Iterator<Item = &'a Entry>,
        maps: &BTreeSet<&MapName>,
        without: &BTreeSet<InstanceName>,
    ) -> Confirmation {
        let mut lines: BTreeMap<&InstanceName, Vec<&ServerRef>> = BTreeMap::new();
        entries.for_each(|entry| lines.entry(&entry.instance).or_default().push(&entry.server));
        let mut pending = Vec::new();
        let mut trouble = None;
        for (name, servers) in lines.into_iter().filter(|(name, _)| !without.contains(*name)) {
            let Some(report) = self.get(name) else {
                trouble = Some(NOT_CONFIGURED.to_owned());
                pending.push(name.clone());
                continue;
            };
            match &report.refused {
                Some((refused, words)) if *refused >= revision => return Confirmation::Refused(words.clone()),
                _ if report.agreed >= revision => match report.withheld.reason(maps.iter().copied(), servers) {
                    Some(Reason::Cannot(words)) => return Confirmation::Refused(words.clone()),
                    Some(Reason::NotYet(words)) => {
                        trouble = trouble.or_else(|| Some(words.clone()));
                        pending.push(name.clone());
                    }
                    None => {}
                },
                _ => {
                    trouble = trouble.or_else(|| report.trouble.clone());
                    pending.push(name.clone());
                }
            }
        }
        if pending.is_empty() { Confirmation::Agreed } else { Confirmation::Pending { instances: pending, trouble } }
    }

    /// Refuses a change of lines if their HAProxy does not answer: it could not confirm the change.
    pub(crate) fn require_answer(&self, entries: &BTreeSet<Entry>) -> Result<(), EngineError> {
        let silent = entries.iter().filter_map(|entry| self.get(&entry.instance)).find(|report| !report.reachable);
        match silent {
            Some(report) => Err(EngineError::Unreachable(report.trouble.clone().unwrap_or_default())),
            None => Ok(()),
        }
    }

    /// Refuses a change of lines if the stats socket of their HAProxy lacks level admin.
    pub(crate) fn require_admin(&self, entries: &BTreeSet<Entry>) -> Result<(), EngineError> {
        for entry in entries {
            let level = self.get(&entry.instance).and_then(|report| report.level);
            if let Some(level) = level.filter(|level| *level < Level::Admin) {
                let text = format!(
                    "the stats socket of HAProxy {} has level {level}, and changing a server needs admin",
                    entry.instance
                );
                let hint = "write `level admin` on its `stats socket` line in haproxy.cfg and reload HAProxy";
                return Err(EngineError::NotPermitted(Message::new(text).hint(hint)));
            }
        }
        Ok(())
    }

    /// The problem with the first instance that does not answer.
    pub(crate) fn silent(&self) -> Option<String> {
        self.iter().find(|(_, report)| !report.reachable).map(|(name, report)| silence(name, report))
    }
}

/// The text about a line that its HAProxy does not have.
pub(crate) fn gone(entry: &Entry) -> String {
    format!("is not in HAProxy {} any more", entry.instance)
}

/// The problem with a HAProxy that the store has but the configuration does not.
pub(crate) const NOT_CONFIGURED: &str = "it is not configured any more";

/// The text about a HAProxy that does not answer.
pub(crate) fn silence(name: &InstanceName, report: &InstanceReport) -> String {
    let trouble = report.trouble.as_ref().map(|trouble| format!(": {trouble}")).unwrap_or_default();
    match report.seen {
        None => format!("HAProxy {name} has not answered since teeterd was started{trouble}"),
        Some(_) => format!("HAProxy {name} does not answer{trouble}"),
    }
}
