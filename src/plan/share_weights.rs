//! Whether weights can give a canary its share: checked before a run begins.

use std::collections::{BTreeMap, BTreeSet};

use super::run_plan::Plan;
use super::step::Step;
use super::veto::Veto;
use crate::farm::{Balance, Balances, Entry, GroupName, InstanceName, Seen};
use crate::haproxy::BackendName;

/// Vetoes if weights cannot give the shares of a plan. None where a route gives them, or the plan has no shares.
#[must_use]
pub fn unweighable(plan: &Plan, balances: &Balances, seen: &BTreeMap<InstanceName, &Seen>) -> Vec<Veto> {
    let shares = plan.steps.iter().find_map(|step| match step {
        Step::Share { group, with, .. } => Some((group, with)),
        _ => None,
    });
    let Some((group, with)) = shares.filter(|_| plan.flip.route.is_empty()) else { return Vec::new() };
    let lines = |group: &GroupName| plan.groups.get(group).into_iter().flatten().flat_map(|member| &member.entries);
    let backend = |entry: &Entry| (entry.instance.clone(), entry.server.backend.clone());
    let (tried, rest): (BTreeSet<_>, BTreeSet<_>) =
        (lines(group).map(backend).collect(), lines(with).map(backend).collect());
    let common: Vec<&(InstanceName, BackendName)> = tried.intersection(&rest).collect();
    if common.is_empty() {
        return vec![Veto::Share {
            problem: format!(
                "{group} and {with} have no backend in common, so weights cannot share its traffic between them: give \
                 the farm a route (`route` under [farm.{}.flip])",
                plan.farm
            ),
        }];
    }
    let weighs = |place: &(InstanceName, BackendName)| {
        let mut here = lines(group).filter(|entry| backend(entry) == *place);
        here.any(|entry| {
            let server = seen.get(&entry.instance).and_then(|seen| seen.servers.get(&entry.server));
            server.is_some_and(|server| server.weight > 0 && !server.backup)
        })
    };
    let problem = |place: &(InstanceName, BackendName)| {
        let (instance, name) = place;
        let why = match balances.get(place) {
            None | Some(Balance::ByWeight) if weighs(place) => return None,
            None | Some(Balance::ByWeight) => {
                return Some(format!(
                    "every server of {group} in backend {instance}:{name} has weight 0 or is a backup, so it can be \
                     given no share: give one a weight in haproxy.cfg"
                ));
            }
            Some(Balance::Fixed(algorithm)) => {
                format!("`balance {algorithm}` takes no other weights while HAProxy runs")
            }
            Some(Balance::Ignored(algorithm)) => format!("`balance {algorithm}` does not go by weights"),
            Some(Balance::Unknown(algorithm)) => format!(
                "HAProxy before 2.6 does not say whether `balance {algorithm}` has `hash-type consistent`, without \
                 which it takes no other weights"
            ),
        };
        let farm = &plan.farm;
        Some(format!(
            "a canary without a route shares the traffic by weights, and in backend {instance}:{name} {why}: write \
             `hash-type consistent` beside it or `balance roundrobin` in its place, or give the farm a route (`route` \
             under [farm.{farm}.flip])"
        ))
    };
    common.into_iter().filter_map(problem).map(|problem| Veto::Share { problem }).collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::farm::{Farm, SeenServer};
    use crate::plan::tests::input;
    use crate::plan::{Skipped, canary};

    const BACKUP: u16 = 256;

    fn refused(servers: &[(&str, u16)], balance: Option<Balance>) -> Vec<String> {
        let settings = "members = [\"*/*\"]\ngroups = { a = [\"a*\"], b = [\"b*\"] }";
        let farm = Farm { name: "web".parse().unwrap(), settings: toml::from_str(settings).unwrap() };
        let server = |(name, weight): &(&str, u16)| {
            let backup = *weight == BACKUP;
            (name.parse().unwrap(), SeenServer { backup, weight: *weight, ..SeenServer::sample() })
        };
        let seen = Seen { servers: servers.iter().map(server).collect(), ..Seen::default() };
        let all = BTreeMap::from([("edge".parse().unwrap(), &seen)]);
        let layout = farm.layout(&all).unwrap();
        let skipped = Skipped::default();
        let plan = canary::plan(&input(&farm, &layout, &all, &skipped)).unwrap();
        let balances = balance.map(|balance| (("edge".parse().unwrap(), "app".parse().unwrap()), balance));
        unweighable(&plan, &balances.into_iter().collect(), &all).iter().map(ToString::to_string).collect()
    }

    #[test]
    fn a_share_that_weights_cannot_give_is_refused() {
        let usual = [("app/a1", 1), ("app/b1", 1), ("app/b2", 1)];
        assert!(refused(&usual, Some(Balance::ByWeight)).is_empty());
        for (balance, says) in [
            (Balance::Fixed("source".into()), "`balance source` takes no other weights"),
            (Balance::Ignored("first".into()), "`balance first` does not go by weights"),
            (Balance::Unknown("uri".into()), "does not say whether `balance uri`"),
        ] {
            let said = refused(&usual, Some(balance));
            assert!(said.len() == 1 && said[0].contains(says) && said[0].contains("route"), "{said:?}");
        }
        // A backup gets no traffic beside other servers, whatever its weight.
        let said = refused(&[("app/a1", BACKUP), ("app/b1", 1), ("app/b2", 1)], None);
        assert!(said.len() == 1 && said[0].contains("edge:app has weight 0 or is a backup"), "{said:?}");
    }
}
