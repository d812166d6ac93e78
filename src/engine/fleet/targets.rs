//! The backends that a request may concern.

use std::collections::{BTreeMap, BTreeSet};

use crate::farm::{Farm, FarmName, Seen, Selector};
use crate::haproxy::BackendName;

/// How complete the look for a request has to be.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum LookDepth {
    /// The lines that are known by these names are enough: the request only reads, perhaps repeatedly.
    Known,
    /// It must also find new lines, and the other members of their farms, which guards count.
    Sure,
}

/// The backends that these selectors may concern; `None`: all. The backends of a process do not change, but servers may
/// be added to them at any time.
pub(crate) fn backends_of(
    selectors: &[Selector],
    farms: &BTreeMap<FarmName, Farm>,
    seen: &Seen,
    depth: LookDepth,
) -> Option<BTreeSet<BackendName>> {
    if selectors.len() > MANY {
        return None;
    }
    let mut named = BTreeSet::new();
    for selector in selectors {
        match (selector.backends(farms, seen.backends.keys()), depth) {
            (Some(backends), _) => named.extend(backends),
            (None, LookDepth::Sure) => return None,
            (None, LookDepth::Known) => {
                let found = seen.servers.iter().filter(|(name, server)| selector.picks(name, server));
                named.extend(found.map(|(server, _)| server.backend.clone()));
            }
        }
    }
    if named.is_empty() {
        return None;
    }
    if depth == LookDepth::Sure {
        let farm_backends = |farm: &Farm| -> BTreeSet<BackendName> {
            let patterns = farm.settings.members.iter();
            patterns.filter_map(|pattern| pattern.backends(farms, seen.backends.keys())).flatten().collect()
        };
        let concerned = farms.values().map(farm_backends).filter(|backends| !backends.is_disjoint(&named));
        let concerned: BTreeSet<BackendName> = concerned.flatten().collect();
        named.extend(concerned);
    }
    // A line that tracks a server shares its maintenance.
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
    // A look at more than half of the backends takes longer than a look at all.
    (named.len() * 2 <= seen.backends.len().max(2)).then_some(named)
}

/// With more selectors than these, all backends are looked at.
const MANY: usize = 16;
