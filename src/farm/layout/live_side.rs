//! Whether a farm's route fits HAProxy, and which side gets the traffic.

use std::collections::{BTreeMap, BTreeSet};

use crate::farm::error::FarmError;
use crate::farm::layout::arrange::Layout;
use crate::farm::names::{Entry, InstanceName};
use crate::farm::seen::snapshot::Seen;
use crate::farm::settings::farm::Farm;
use crate::farm::settings::route_key::RouteKey;
use crate::farm::settings::side::Side;
use crate::haproxy::{BackendName, Series, ServerName, ServerRef};

/// Finds the side that gets a farm's traffic by its maps; `None` where the farm has no route.
///
/// # Errors
/// Everything in the farm's route that does not fit HAProxy: maps, keys, values, backends and the servers in them.
pub fn live_side(
    farm: &Farm,
    layout: &Layout,
    seen: &BTreeMap<InstanceName, &Seen>,
) -> Result<Option<Side>, Vec<FarmError>> {
    let (mut problems, mut sides) = (Vec::new(), BTreeMap::new());
    let instances: BTreeSet<&InstanceName> = layout.members.values().flatten().map(|entry| &entry.instance).collect();
    for key in &farm.settings.flip.route {
        for (name, seen) in instances.iter().filter_map(|name| Some((*name, *seen.get(*name)?))) {
            problems.extend(backends(key, layout, name, seen));
            problems.extend(too_old(&farm.settings.flip.route, name, seen));
            match side_of(key, name, seen) {
                Ok(side) => {
                    sides.entry(side).or_insert_with(|| format!("{} in HAProxy {name}", key.key));
                }
                Err(problem) => problems.push(problem),
            }
        }
    }
    let mut found = sides.into_iter();
    let live = found.next();
    if let (Some((side, at)), Some((other, elsewhere))) = (&live, found.next()) {
        problems.push(format!(
            "the traffic goes to {side} by {at}, and to {other} by {elsewhere}: correct one of these entries with \
             `set map` first"
        ));
    }
    if problems.is_empty() {
        return Ok(live.map(|(side, _)| side));
    }
    Err(problems.into_iter().map(|problem| farm.error("flip.route", problem)).collect())
}

/// Why an old HAProxy cannot have this route: several entries are changed at once in a transaction, which HAProxy has
/// since 2.4.
fn too_old(keys: &[RouteKey], instance: &InstanceName, seen: &Seen) -> Option<String> {
    let series: Series = seen.version.parse().ok()?;
    let old = keys.len() > 1 && series < Series { major: 2, minor: 4 };
    old.then(|| {
        format!(
            "HAProxy {instance} is {}, and only HAProxy 2.4 and later change several keys at once: configure one key",
            seen.version
        )
    })
}

/// The side that one key names in one HAProxy.
fn side_of(key: &RouteKey, instance: &InstanceName, seen: &Seen) -> Result<Side, String> {
    let RouteKey { map, key: name, .. } = key;
    let found = seen.maps.get(map);
    if found.is_none_or(|found| found.missing) {
        return Err(format!(
            "HAProxy {instance} has no map {map}: write `use_backend %[str({name}),map({map})]` into haproxy.cfg, with \
             exactly this path"
        ));
    }
    let Some(value) = found.and_then(|found| found.entries.get(name)).and_then(Option::as_deref) else {
        let all = key.all.as_ref().or_else(|| key.groups.values().next()).map_or("BACKEND", BackendName::as_str);
        return Err(format!(
            "map {map} of HAProxy {instance} has no key {name}: write the line `{name} {all}` into the map"
        ));
    };
    key.side(value).ok_or_else(|| {
        let named: Vec<&str> = key.backends().map(|(_, backend)| backend.as_str()).collect();
        format!("{name} in map {map} of HAProxy {instance} is {value:?}, which is none of {}", named.join(", "))
    })
}

/// Checks the servers of each backend: the backend of a group has exactly the members of that group, and the backend of
/// all has every member.
fn backends(key: &RouteKey, layout: &Layout, instance: &InstanceName, seen: &Seen) -> Vec<String> {
    let mut problems = Vec::new();
    for (side, backend) in key.backends() {
        let in_backend: BTreeSet<_> = seen.servers.in_backend(backend).map(|(server, _)| &server.server).collect();
        if in_backend.is_empty() {
            problems.push(format!("HAProxy {instance} has no backend {backend} with a server in it"));
            continue;
        }
        let belongs = |member| match &side {
            Side::All => true,
            Side::Group(group) => layout.groups.get(group).is_some_and(|group| group.contains(member)),
        };
        let members: BTreeSet<_> = layout.members.keys().filter(|member| belongs(member)).collect();
        let list = |names: Vec<&&ServerName>| names.iter().map(|name| name.as_str()).collect::<Vec<_>>().join(", ");
        let missing: Vec<_> = members.difference(&in_backend).collect();
        if !missing.is_empty() {
            problems.push(format!("backend {backend} for {side} lacks {}", list(missing)));
        }
        let others: Vec<_> = in_backend.difference(&members).collect();
        if !others.is_empty() {
            problems.push(format!("backend {backend} for {side} has {}, which is not in {side}", list(others)));
        }
        let entry = |member: &&&ServerName| {
            let server = ServerRef { backend: backend.clone(), server: (**member).clone() };
            Entry { instance: instance.clone(), server }
        };
        let known: BTreeSet<&Entry> = layout.members.values().flatten().collect();
        let unnamed: Vec<String> = members
            .intersection(&in_backend)
            .filter(|member| !known.contains(&entry(member)))
            .map(|member| format!("{backend}/{member}"))
            .collect();
        if !unnamed.is_empty() {
            problems.push(format!("members = […] of the farm must name {} too", unnamed.join(", ")));
        }
    }
    problems
}
