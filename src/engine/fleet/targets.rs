//! Which backends a request may be about.

use std::collections::{BTreeMap, BTreeSet};

use crate::farm::{Farm, FarmName, Seen, Selector};
use crate::haproxy::BackendName;

/// How sure one has to be of what selectors name.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum LookDepth {
    /// The lines known by these names are enough: the request only reads, perhaps repeatedly.
    Known,
    /// Lines that have come since count, too, and so does what guards want to know of their farms.
    Sure,
}

/// The backends that selectors may name servers of, and those that stand with them; `None`: anywhere. Backends come and
/// go only with the process, servers at any time.
pub(crate) fn backends_of(
    selectors: &[Selector],
    farms: &BTreeMap<FarmName, Farm>,
    seen: &Seen,
    care: LookDepth,
) -> Option<BTreeSet<BackendName>> {
    if selectors.len() > MANY {
        return None;
    }
    let mut named = BTreeSet::new();
    for selector in selectors {
        match (selector.backends(farms, seen.backends.keys()), care) {
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
    if care == LookDepth::Sure {
        let of = |farm: &Farm| -> BTreeSet<BackendName> {
            let patterns = farm.settings.members.iter();
            patterns.filter_map(|pattern| pattern.backends(farms, seen.backends.keys())).flatten().collect()
        };
        let with = farms.values().map(of).filter(|backends| !backends.is_disjoint(&named));
        let with: BTreeSet<BackendName> = with.flatten().collect();
        named.extend(with);
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
    // Of most of them one hears faster all at once.
    (named.len() * 2 <= seen.backends.len().max(2)).then_some(named)
}

/// So many selectors are looked for among all servers, and not one by one before.
const MANY: usize = 16;
