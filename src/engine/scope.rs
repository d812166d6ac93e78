//! What the next look is at. A look at everything is dear where there are thousands of servers, so it is taken at the
//! start, after a reload and when somebody asks for everything.

use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

use tokio::time::Instant;

use super::order::Order;
use crate::farm::{Farm, FarmName, Seen, Selector};
use crate::haproxy::BackendName;

/// What the next look is at.
#[derive(Debug)]
pub(super) struct Scope {
    whole: bool,
    /// Backends that somebody asks for.
    also: BTreeSet<BackendName>,
    /// When all that is held was looked at last, and in which order.
    wide: Option<(u64, Instant)>,
}

impl Scope {
    /// The first look is at everything.
    pub(super) fn new() -> Self {
        Self { whole: true, also: BTreeSet::new(), wide: None }
    }

    /// The next look is at everything.
    pub(super) fn everything(&mut self) {
        self.whole = true;
    }

    /// The next look is at these backends, too; at everything where none are named.
    pub(super) fn add(&mut self, backends: Option<BTreeSet<BackendName>>) {
        match backends {
            Some(backends) => self.also.extend(backends),
            None => self.whole = true,
        }
    }

    pub(super) fn is_whole(&self) -> bool {
        self.whole
    }

    /// The backends of a look that is not at everything. While servers are emptied these are looked at many times a
    /// second, and whatever else is held only as often as usual.
    pub(super) fn backends(&mut self, order: &Order, agreed: u64, now: Instant) -> BTreeSet<BackendName> {
        let mut backends = std::mem::take(&mut self.also);
        let lately = |(revision, at): (u64, Instant)| revision == order.revision && now.duration_since(at) < USUALLY;
        if !order.draining.is_empty() && agreed >= order.revision && self.wide.is_some_and(lately) {
            let draining = order.draining.iter().flat_map(|draining| &draining.servers);
            let proving = order.wanted.iter().filter(|(_, wanted)| wanted.afresh.is_some() || !wanted.held);
            backends.extend(draining.chain(proving.map(|(server, _)| server)).map(|server| server.backend.clone()));
        } else {
            self.wide = Some((order.revision, now));
            backends.extend(order.wanted.keys().map(|server| server.backend.clone()));
        }
        backends.extend(order.watched.iter().cloned());
        backends
    }

    /// The look has been taken.
    pub(super) fn taken(&mut self) {
        self.whole = false;
    }
}

/// How sure one has to be of what selectors name.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Care {
    /// What is known by these names will do: somebody looks, perhaps again and again.
    Known,
    /// Lines that have come since count, too, and so does what guards want to know of their farms.
    Sure,
}

/// The backends that selectors may name servers of, and those that stand with them; `None`: anywhere. Backends come and
/// go only with the process, servers at any time.
pub(super) fn backends_of(
    selectors: &[Selector],
    farms: &BTreeMap<FarmName, Farm>,
    seen: &Seen,
    care: Care,
) -> Option<BTreeSet<BackendName>> {
    if selectors.len() > MANY {
        return None;
    }
    let mut named = BTreeSet::new();
    for selector in selectors {
        match (selector.backends(farms, seen.backends.keys()), care) {
            (Some(backends), _) => named.extend(backends),
            (None, Care::Sure) => return None,
            (None, Care::Known) => {
                let found = seen.servers.iter().filter(|(name, server)| selector.picks(name, server));
                named.extend(found.map(|(server, _)| server.backend.clone()));
            }
        }
    }
    if named.is_empty() {
        return None;
    }
    if care == Care::Sure {
        let of = |farm: &Farm| -> BTreeSet<BackendName> {
            let patterns = farm.settings.members.iter();
            patterns.filter_map(|pattern| pattern.backends(farms, seen.backends.keys())).flatten().collect()
        };
        let with = farms.values().map(of).filter(|backends| !backends.is_disjoint(&named));
        let with: BTreeSet<BackendName> = with.flatten().collect();
        named.extend(with);
    }
    // Whoever tracks a server shares its maintenance.
    loop {
        let shares = |tracked: &crate::haproxy::ServerRef| named.contains(&tracked.backend);
        let tracking = seen.servers.iter().filter(|(_, server)| server.tracked.as_ref().is_some_and(shares));
        let more: Vec<BackendName> =
            tracking.map(|(server, _)| &server.backend).filter(|backend| !named.contains(backend)).cloned().collect();
        if more.is_empty() {
            break;
        }
        named.extend(more);
    }
    // Of most of them one hears faster all at once.
    (named.len() * 2 <= seen.backends.len().max(2)).then_some(named)
}

/// So many selectors are looked for among all servers, and not one by one before.
const MANY: usize = 16;

/// As often as held servers are looked at while nothing is emptied.
const USUALLY: Duration = Duration::from_millis(200);
