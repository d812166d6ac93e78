//! See-saw: take the first half out, work on it, turn the traffic to it, work on the second half, bring all back.

use std::collections::{BTreeMap, BTreeSet};

use super::guard::{self, Veto};
use super::steps::{Plan, PlannedMember, Step, Strategy};
use crate::farm::{Entry, Farm, GroupName, Hold, InstanceName, Layout, MemberName, Seen};

/// Makes the plan of a see-saw, or says why there must not be one.
///
/// Members that somebody else has put in maintenance or drain are left alone: not worked on, and as they were at
/// the end.
///
/// # Errors
/// Every veto that applies.
pub fn plan<'a>(
    farm: &Farm,
    layout: &Layout,
    version: Option<String>,
    seen: &BTreeMap<InstanceName, &Seen>,
    holds: impl IntoIterator<Item = &'a Hold>,
) -> Result<Plan, Vec<Veto>> {
    let mut vetoes = guard::held(&layout.entries(), holds, None);
    if !vetoes.is_empty() {
        // What is held takes no traffic, so every other veto would only say the same again.
        return Err(vetoes);
    }
    let names: Vec<&GroupName> = layout.groups.keys().collect();
    let [first, second] = names[..] else {
        vetoes.push(Veto::Groups { found: names.into_iter().cloned().collect() });
        return Err(vetoes);
    };
    let mut skipped = BTreeMap::new();
    let mut groups = BTreeMap::new();
    for (name, members) in &layout.groups {
        let (left_alone, planned): (Vec<_>, Vec<_>) =
            members.iter().map(|member| planned(member, layout, seen)).partition(Result::is_err);
        skipped.extend(left_alone.into_iter().filter_map(Result::err));
        let planned: Vec<PlannedMember> = planned.into_iter().filter_map(Result::ok).collect();
        if planned.is_empty() {
            let why = "somebody else has put them in maintenance or drain, or HAProxy has no address for them";
            vetoes.push(Veto::NothingLeft { group: name.clone(), why: why.to_owned() });
        }
        let taken: BTreeSet<Entry> = planned.iter().flat_map(|member| &member.entries).cloned().collect();
        vetoes.extend(guard::last_servers(&taken, seen));
        vetoes.extend(guard::others_carry(&farm.name, farm.settings.min_available, layout, &taken, seen));
        groups.insert(name.clone(), planned);
    }
    if !vetoes.is_empty() {
        return Err(vetoes);
    }
    let (a, b) = (first.clone(), second.clone());
    Ok(Plan {
        strategy: Strategy::SeeSaw,
        farm: farm.name.clone(),
        version,
        groups,
        skipped,
        steps: vec![
            Step::Out { group: a.clone() },
            Step::Drain { group: a.clone() },
            Step::Work { group: a.clone() },
            Step::Verify { group: a.clone() },
            Step::Flip { release: a, hold: b.clone() },
            Step::Drain { group: b.clone() },
            Step::Work { group: b.clone() },
            Step::Verify { group: b.clone() },
            Step::In { group: b },
        ],
        drain: farm.settings.drain,
        verify: farm.settings.verify.clone(),
    })
}

/// A member as it is planned, or why it is left alone.
fn planned(
    member: &MemberName,
    layout: &Layout,
    seen: &BTreeMap<InstanceName, &Seen>,
) -> Result<PlannedMember, (MemberName, String)> {
    let entries = layout.members.get(member).cloned().unwrap_or_default();
    let mut address = None;
    for entry in &entries {
        let Some(server) = seen.get(&entry.instance).and_then(|seen| seen.servers.get(&entry.server)) else { continue };
        if server.admin.forced_maint() || server.admin.forced_drain() {
            return Err((member.clone(), format!("{entry} is in {} by somebody else", server.admin.forced())));
        }
        if !server.address.is_empty() {
            address.get_or_insert_with(|| server.endpoint());
        }
    }
    match address {
        Some(address) => Ok(PlannedMember { name: member.clone(), address, entries }),
        None => Err((member.clone(), "HAProxy has no address for it".to_owned())),
    }
}
