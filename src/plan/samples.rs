//! Samples of one HAProxy: when nothing is in flight, neither on servers nor on its way to them.

use std::collections::BTreeMap;

use jiff::Timestamp;

use crate::farm::{Entry, Load, Span};

/// The samples of one instance.
#[derive(Debug, Clone, Default)]
pub(super) struct Samples {
    pub(super) first: BTreeMap<Entry, Load>,
    pub(super) last: BTreeMap<Entry, Load>,
    /// The first and the last of the latest samples in a row with nothing in flight.
    quiet: Option<(Timestamp, Timestamp)>,
}

impl Samples {
    /// Adds a sample of all of the hold's servers in the instance.
    pub(super) fn add(&mut self, loads: BTreeMap<Entry, Load>, at: Timestamp) {
        if self.first.is_empty() {
            self.first.clone_from(&loads);
        }
        let before = |entry| self.last.get(entry).map_or(u64::MAX, |load: &Load| load.troubles);
        let rises = loads.iter().any(|(entry, load)| load.troubles > before(entry));
        self.quiet = match self.quiet {
            _ if loads.values().any(|load| load.in_flight() > 0) => None,
            Some((since, _)) if !rises => Some((since, at)),
            _ => Some((at, at)),
        };
        self.last = loads;
    }

    /// Whether nothing seems to be in flight: enough for the next step of the drain ladder, after which samples are
    /// taken again.
    pub(super) fn is_calm(&self) -> bool {
        self.is_quiet_for(if self.was_troubled() { RETRY_LANDS } else { SAMPLES_APART })
    }

    /// Whether nothing is in flight, neither on a server nor on its way to one.
    pub(super) fn is_drained(&self) -> bool {
        self.is_quiet_for(if self.may_be_retried() { RETRY_LANDS } else { SAMPLES_APART })
    }

    fn is_quiet_for(&self, gap: Span) -> bool {
        self.quiet.is_some_and(|(since, last)| last >= gap.after(since))
    }

    pub(super) fn retry_may_land(&self) -> Option<Timestamp> {
        let (since, _) = self.quiet.filter(|_| self.may_be_retried())?;
        Some(RETRY_LANDS.after(since))
    }

    /// Whether a request may be between two attempts to connect, where nothing counts it: HAProxy's list of sessions
    /// has not been asked, and connections have failed. The time of these failures is not known; it may be before the
    /// confirmation.
    fn may_be_retried(&self) -> bool {
        self.last.values().any(|load| load.assigned.is_none() && load.troubles > 0)
    }

    /// Whether connections failed since the confirmation. Before a retry a request is counted on no server.
    fn was_troubled(&self) -> bool {
        self.last.iter().any(|(entry, load)| self.first.get(entry).is_some_and(|first| load.troubles > first.troubles))
    }
}

/// Two samples must lie apart: HAProxy chooses a server some microseconds before it counts the request there, on
/// another thread than the one that answers.
const SAMPLES_APART: Span = Span::from_millis(10);

/// After a failed connection HAProxy waits up to a second before it tries again, even on a server that has been put
/// in maintenance meanwhile (2.6 and 3.5 alike); the request is counted on no server while it waits.
const RETRY_LANDS: Span = Span::from_millis(1100);
