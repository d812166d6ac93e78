//! Every veto, in one place: what must not be begun, and why. Preflight, commands and tests all ask here.

use std::collections::{BTreeMap, BTreeSet};

use super::roles::has_roles;
use super::veto::Veto;
use crate::farm::{Entry, Farm, FlipSettings, Hold, InstanceName, Layout, MemberName, Owner, Seen, Side};
use crate::haproxy::{BackendName, ServerRef};

/// Backends of a farm's route that get no traffic while it goes to `live`, or soon will not: they may be left empty.
#[must_use]
pub fn routed_away(farm: &Farm, live: &Side) -> BTreeSet<BackendName> {
    led_away(&farm.settings.flip, live)
}

/// The same of a route by itself.
#[must_use]
pub fn led_away(flip: &FlipSettings, live: &Side) -> BTreeSet<BackendName> {
    let backends = flip.route.iter().flat_map(crate::farm::RouteKey::backends);
    backends.filter(|(side, _)| side != live).map(|(_, backend)| backend.clone()).collect()
}

/// Backends that would be left without a usable server when `taken` go out. A backend that has none now is not
/// made worse and raises no veto, nor does one of `away`, where no traffic goes.
#[must_use]
pub fn last_servers(
    taken: &BTreeSet<Entry>,
    away: &BTreeSet<BackendName>,
    seen: &BTreeMap<InstanceName, &Seen>,
) -> Vec<Veto> {
    let mut backends: BTreeMap<(&InstanceName, &BackendName), (usize, Vec<String>)> = BTreeMap::new();
    for (instance, seen) in seen {
        let at_stake = seen.servers.iter().filter(|(name, server)| server.is_usable() && !away.contains(&name.backend));
        for (name, _) in at_stake {
            let entry = Entry { instance: (*instance).clone(), server: name.clone() };
            let (left, gone) = backends.entry((instance, &name.backend)).or_default();
            if taken.contains(&entry) {
                gone.push(name.server.to_string());
            } else {
                *left += 1;
            }
        }
    }
    let emptied = backends.into_iter().filter(|(_, (left, gone))| *left == 0 && !gone.is_empty());
    emptied
        .map(|((instance, backend), (_, taken))| Veto::LastServers { backend: format!("{instance}:{backend}"), taken })
        .collect()
}

/// Whether a farm keeps enough members in service when `taken` go out. A farm that has not enough now and is not made
/// worse raises no veto. Members of sides that a route leads away from are not in service.
#[must_use]
pub fn min_available(
    farm: &Farm,
    layout: &Layout,
    live: &Side,
    taken: &BTreeSet<Entry>,
    seen: &BTreeMap<InstanceName, &Seen>,
) -> Option<Veto> {
    let away = away_from(layout, live);
    let taken: BTreeSet<Entry> = taken.union(&away).cloned().collect();
    let worse = in_service(layout, &taken, seen) < in_service(layout, &away, seen);
    others_carry(farm, layout, &taken, seen).filter(|_| worse)
}

/// Whether a farm of which some members are `taken` keeps as many in service as it must have, whatever is out or down
/// already and whether or not that is made worse.
#[must_use]
pub fn all_but_min(
    farm: &Farm,
    layout: &Layout,
    live: &Side,
    taken: &BTreeSet<Entry>,
    seen: &BTreeMap<InstanceName, &Seen>,
) -> Option<Veto> {
    let away = away_from(layout, live);
    let left = in_service(layout, &taken.union(&away).cloned().collect(), seen);
    let setting = farm.settings.min_available;
    let needed = setting.of(layout.counted()).max(1);
    let touched = layout.members.values().flatten().any(|entry| taken.contains(entry));
    (touched && left < needed).then(|| {
        let may_go = in_service(layout, &away, seen).saturating_sub(needed);
        Veto::AllButMin { farm: farm.name.clone(), left, needed, setting: setting.to_string(), may_go }
    })
}

/// The lines of the groups that a route leads away from while it goes to `live`.
fn away_from(layout: &Layout, live: &Side) -> BTreeSet<Entry> {
    match live {
        Side::All => BTreeSet::new(),
        Side::Group(live) => {
            layout.groups.keys().filter(|group| *group != live).filter_map(|g| layout.group(g)).flatten().collect()
        }
    }
}

/// Whether the members that stay are enough by themselves to carry the traffic while `taken` are worked on: at least
/// one, and as many as the farm must have, whatever was down before.
#[must_use]
pub fn others_carry(
    farm: &Farm,
    layout: &Layout,
    taken: &BTreeSet<Entry>,
    seen: &BTreeMap<InstanceName, &Seen>,
) -> Option<Veto> {
    let left = in_service(layout, taken, seen);
    let setting = farm.settings.min_available;
    let needed = setting.of(layout.counted()).max(1);
    (left < needed).then(|| Veto::MinAvailable { farm: farm.name.clone(), left, needed, setting: setting.to_string() })
}

/// How many members take traffic when `taken` are out: with all their lines or, where these have roles, with any. A backup server does only when no other
/// server of its backend is left, and then (without `option allbackups`, which HAProxy does not tell) only one of them.
#[must_use]
pub fn in_service(layout: &Layout, taken: &BTreeSet<Entry>, seen: &BTreeMap<InstanceName, &Seen>) -> usize {
    let serves = |entry: &Entry| {
        let Some(seen) = seen.get(&entry.instance) else { return false };
        let stays = |name: &ServerRef| {
            let entry = Entry { instance: entry.instance.clone(), server: name.clone() };
            seen.servers.get(name).filter(|server| server.is_usable() && !taken.contains(&entry))
        };
        let spares = || {
            let others = seen.servers.keys().filter(|name| name.backend == entry.server.backend);
            others.filter_map(|name| Some((name, stays(name)?)))
        };
        stays(&entry.server).is_some_and(|server| {
            !server.backup
                || (spares().all(|(_, other)| other.backup)
                    && spares().next().is_some_and(|(first, _)| *first == entry.server))
        })
    };
    // A line that is not in use takes no traffic whatever becomes of its member.
    let counts = |entry: &&Entry| seen.get(&entry.instance).is_none_or(|seen| seen.unused(&entry.server).is_none());
    let roles = has_roles(layout, seen);
    let carries = |entries: &&Vec<Entry>| {
        let mut lines = entries.iter().filter(counts).peekable();
        match roles {
            true => lines.any(serves),
            false => lines.peek().is_some() && lines.all(serves),
        }
    };
    layout.members.values().filter(carries).count()
}

/// Holds of somebody else on any of `entries`.
#[must_use]
pub fn held<'a>(
    entries: &BTreeSet<Entry>,
    holds: impl IntoIterator<Item = &'a Hold>,
    except: Option<&Owner>,
) -> Vec<Veto> {
    let others = holds.into_iter().filter(|hold| Some(&hold.owner) != except && !hold.entries.is_disjoint(entries));
    others
        .map(|hold| {
            let members: BTreeSet<MemberName> =
                hold.entries.intersection(entries).map(|entry| hold.names.member(entry).clone()).collect();
            Veto::Held {
                owner: hold.owner.to_string(),
                members: members.into_iter().collect(),
                reason: hold.reason.clone(),
            }
        })
        .collect()
}
