//! Maps that choose between the backends of a farm: the routes of its flips.

use std::collections::{BTreeMap, BTreeSet};

use super::farms::Draft;
use super::halves::Groups;
use super::names::{are_twins, of_sides};
use super::site::Site;
use crate::farm::{GroupName, MemberName, RouteKey};
use crate::haproxy::{BackendName, MapKey, MapName, ServerName};

/// An entry of a map that chooses a backend.
struct Choice {
    map: MapName,
    key: MapKey,
    backend: BackendName,
}

/// Two backends that have all members between them, each of them one half.
struct Sides<'a> {
    one: &'a BackendName,
    other: &'a BackendName,
}

/// Backends that a map chooses between although they share no server, such as blue and green. Also says why two such
/// backends are not the sides of one farm.
pub(super) fn twins(site: &Site) -> (Vec<BTreeSet<BackendName>>, Vec<String>) {
    let (mut together, mut notes): (Vec<BTreeSet<BackendName>>, _) = (Vec::new(), Vec::new());
    let names = |backend: &BackendName| -> BTreeSet<&ServerName> {
        site.seen.servers.in_backend(backend).map(|(line, _)| &line.server).collect()
    };
    for choice in choices(site) {
        let twins = site.seen.servers.backends().filter(|other| are_twins(&choice.backend, other));
        for twin in twins {
            let pair = BTreeSet::from([choice.backend.clone(), twin.clone()]);
            if together.contains(&pair) {
                continue;
            }
            match names(&choice.backend).intersection(&names(twin)).next() {
                None => together.push(pair),
                Some(name) => notes.push(format!(
                    "{} and {twin} look like the two sides of one farm behind map {}, and both have a server called \
                     {name}: give the servers of each side names of their own, and they can be a route",
                    choice.backend, choice.map
                )),
            }
        }
    }
    notes.dedup();
    (together, notes)
}

/// Gives a farm the routes that the maps have for it.
pub(super) fn assign(site: &Site, draft: &mut Draft) {
    let choices: Vec<Choice> =
        choices(site).into_iter().filter(|choice| draft.backends.contains(&choice.backend)).collect();
    let Some(map) = choices.first().map(|choice| choice.map.clone()) else { return };
    let mut groups: Vec<(GroupName, BTreeSet<MemberName>)> = Vec::new();
    let (mut routes, mut reasons) = (Vec::new(), BTreeSet::new());
    for choice in choices {
        let reason = if choice.map != map {
            Err(format!("map {} chooses a backend, too, and a route has one map", choice.map))
        } else {
            route(draft, &choice, &mut groups).map(|route| routes.push(route))
        };
        reasons.extend(reason.err());
    }
    if !routes.is_empty() && !draft.slots.is_empty() {
        reasons.insert(format!("map {map} chooses between its backends, but it has spare slots, which no group has"));
        routes.clear();
    }
    if routes.len() > MOST_KEYS {
        reasons.insert(format!(
            "{} keys of map {map} lead to its backends: write the keys that a flip has to switch into `route`",
            routes.len()
        ));
        routes.clear();
    }
    draft.not_routed = reasons.into_iter().collect();
    if routes.is_empty() {
        return;
    }
    let in_order = |members: &BTreeSet<MemberName>| {
        draft.members.iter().map(|(member, _)| member).filter(|member| members.contains(*member)).cloned().collect()
    };
    draft.groups = Groups::Named(groups.iter().map(|(group, members)| (group.clone(), in_order(members))).collect());
    draft.routes = routes;
}

/// The route by one entry. `groups` has the groups of the routes before it.
fn route(
    draft: &Draft,
    choice: &Choice,
    groups: &mut Vec<(GroupName, BTreeSet<MemberName>)>,
) -> Result<RouteKey, String> {
    let Choice { map, key, backend } = choice;
    let Some(Sides { one, other }) = sides(draft, backend) else {
        return Err(format!(
            "key {key} of map {map} leads to {backend}, and no two backends have one half of the servers each"
        ));
    };
    let of =
        |backend: &BackendName| -> BTreeSet<MemberName> { draft.members_in(backend).into_iter().cloned().collect() };
    if groups.is_empty() {
        let names = of_sides(one, other).ok_or("its backends have no usable names")?;
        groups.extend([(names.0, of(one)), (names.1, of(other))]);
    }
    let mut backends = BTreeMap::new();
    for side in [one, other] {
        let members = of(side);
        let group = groups.iter().find(|(_, group)| *group == members);
        let (group, _) = group.ok_or_else(|| format!("{side} has other servers than the groups of key {key} need"))?;
        backends.insert(group.clone(), side.clone());
    }
    let everyone = |backend: &&BackendName| draft.members_in(backend).len() == draft.members.len();
    let all = draft.backends.iter().filter(everyone).max_by_key(|all| alike(all, one)).cloned();
    Ok(RouteKey { map: map.clone(), key: key.clone(), all, groups: backends })
}

/// The two backends with one half of the members each that are called most like this backend.
fn sides<'a>(draft: &'a Draft, like: &BackendName) -> Option<Sides<'a>> {
    let everyone = draft.members.len();
    let mut pairs = Vec::new();
    for one in &draft.backends {
        let members = draft.members_in(one);
        for other in draft.backends.iter().filter(|other| *other > one) {
            let others = draft.members_in(other);
            let halve = !members.is_empty()
                && !others.is_empty()
                && members.is_disjoint(&others)
                && members.len() + others.len() == everyone;
            if halve {
                pairs.push(Sides { one, other });
            }
        }
    }
    let leads_there =
        |sides: &Sides<'_>| sides.one == like || sides.other == like || draft.members_in(like).len() == everyone;
    pairs.retain(leads_there);
    pairs.into_iter().max_by_key(|sides| alike(sides.one, like) + alike(sides.other, like))
}

/// How many characters two names have in common at their beginnings.
fn alike(one: &BackendName, other: &BackendName) -> usize {
    one.as_str().bytes().zip(other.as_str().bytes()).take_while(|(left, right)| left == right).count()
}

/// The entries of maps that choose a backend with servers.
fn choices(site: &Site) -> Vec<Choice> {
    let Some(cfg) = &site.cfg else { return Vec::new() };
    let mut found: Vec<Choice> = Vec::new();
    for lookup in &cfg.lookups {
        let Some((map, entries)) = site.maps.iter().find(|(map, _)| map.as_str() == lookup.map) else { continue };
        for entry in entries.iter().filter(|entry| lookup.key.as_ref().is_none_or(|key| *key == entry.key)) {
            let (Ok(key), Ok(backend)) = (entry.key.parse(), entry.value.parse::<BackendName>()) else { continue };
            let is_new = !found.iter().any(|choice| choice.map == *map && choice.key == key);
            if is_new && site.seen.servers.in_backend(&backend).next().is_some() {
                found.push(Choice { map: map.clone(), key, backend });
            }
        }
    }
    found
}

/// More keys in a route are no help for a reader.
const MOST_KEYS: usize = 8;
