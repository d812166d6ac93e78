//! What must not be begun, and why: preflight, commands and tests all ask here.

use std::collections::{BTreeMap, BTreeSet};

use super::roles::has_roles;
use super::veto::Veto;
use crate::farm::{Entry, Farm, FlipSettings, Hold, InstanceName, Layout, MemberName, Owner, Seen, Side};
use crate::haproxy::{BackendName, ServerRef};

/// Backends of a farm's route that get no traffic when it goes to `live`: they may be left without a server.
#[must_use]
pub fn routed_away(farm: &Farm, live: &Side) -> BTreeSet<BackendName> {
    led_away(&farm.settings.flip, live)
}

/// Backends of a route that get no traffic when it goes to `live`.
#[must_use]
pub fn led_away(flip: &FlipSettings, live: &Side) -> BTreeSet<BackendName> {
    let backends = flip.route.iter().flat_map(crate::farm::RouteKey::backends);
    backends.filter(|(side, _)| side != live).map(|(_, backend)| backend.clone()).collect()
}

/// Backends that would be left without a usable server when `taken` go out. A backend that has none now raises no veto:
/// it is not made worse. Nor does a backend in `away`, which gets no traffic.
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

/// A veto if a farm does not keep enough members in service when `taken` go out. A farm that has too few now and is not
/// made worse raises none. Members of sides that a route leads away from are not in service.
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

/// A veto if a farm does not have its minimum of members in service while `taken` are out, even if that is not made
/// worse.
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
    let needed = setting.members_of(layout.counted()).max(1);
    let touched = layout.members.values().flatten().any(|entry| taken.contains(entry));
    (touched && left < needed).then(|| {
        let may_go = in_service(layout, &away, seen).saturating_sub(needed);
        Veto::AllButMin { farm: farm.name.clone(), left, needed, setting: setting.to_string(), may_go }
    })
}

/// The lines of the groups that a route leads away from when it goes to `live`.
fn away_from(layout: &Layout, live: &Side) -> BTreeSet<Entry> {
    match live {
        Side::All => BTreeSet::new(),
        Side::Group(live) => {
            layout.groups.keys().filter(|group| *group != live).filter_map(|g| layout.group(g)).flatten().collect()
        }
    }
}

/// A veto if the members that stay are too few to carry the traffic while `taken` are worked on: there must be one, and
/// as many as the farm must have, even if too few were up before.
#[must_use]
pub fn others_carry(
    farm: &Farm,
    layout: &Layout,
    taken: &BTreeSet<Entry>,
    seen: &BTreeMap<InstanceName, &Seen>,
) -> Option<Veto> {
    let left = in_service(layout, taken, seen);
    let setting = farm.settings.min_available;
    let needed = setting.members_of(layout.counted()).max(1);
    (left < needed).then(|| Veto::MinAvailable { farm: farm.name.clone(), left, needed, setting: setting.to_string() })
}

/// How many members take traffic when `taken` are out: with all of their lines or, where lines have roles, with any.
/// A backup server takes traffic only when no other server of its backend is left, and then only one of them does
/// (without `option allbackups`, which HAProxy does not show).
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
    // A line that is not in use never takes traffic, so it does not count.
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

/// A veto for each hold of another owner on any of `entries`.
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
