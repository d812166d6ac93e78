//! Which new server lines and returning HAProxys join a hold.

use std::collections::{BTreeMap, BTreeSet};

use jiff::Timestamp;

use crate::farm::model::hold::{Emptying, Hold, Stage};
use crate::farm::names::{Entry, FarmName, InstanceName, MemberName};
use crate::farm::seen::snapshot::Seen;
use crate::farm::select::selector::{Meaning, Selector};
use crate::farm::settings::drain::OnDeadline;
use crate::farm::settings::farm::Farm;
use crate::haproxy::ServerRef;

impl Hold {
    /// The hold without its lines in these HAProxys. `None` if nothing would change, or if a member would have no line
    /// left.
    pub fn without_instances(&self, away: &BTreeSet<InstanceName>) -> Option<Self> {
        let remains = |entry: &&Entry| !away.contains(&entry.instance);
        let hold = Self { entries: self.entries.iter().filter(remains).cloned().collect(), ..self.clone() };
        (!away.is_empty() && hold.members() == self.members()).then_some(hold)
    }

    /// Whether lines in further backends may join the hold.
    pub fn may_spread(&self) -> bool {
        let is_one_line = |text: &String| text.parse::<Selector>().is_ok_and(|selector| selector.is_one_line());
        self.reach.follows && !self.selectors.iter().all(is_one_line)
    }

    /// The hold with new lines, and with HAProxys that answer again. If its servers were out, the hold goes back to
    /// draining, for the new lines. All lines have the state that the servers had.
    #[must_use]
    pub fn joined(&self, lines: &BTreeSet<Entry>, back: &BTreeSet<InstanceName>, now: Timestamp) -> Self {
        let mut hold = self.clone();
        hold.entries.extend(lines.iter().cloned());
        hold.reach.without.retain(|name| !back.contains(name));
        if !hold.entries.iter().any(|entry| lines.contains(entry) || back.contains(&entry.instance)) {
            return hold;
        }
        match &mut hold.stage {
            Stage::Draining(Emptying { since, killed, .. }) => (*since, *killed) = (now, None),
            Stage::Out { mode, .. } | Stage::Stuck { mode, .. } => {
                hold.stage = Stage::Draining(Emptying { mode: *mode, since: now, killed: None, hardened: true });
                // An operator may be working on the servers already, so the deadline must not restore them.
                if hold.ladder.on_deadline == OnDeadline::Restore {
                    hold.ladder.on_deadline = OnDeadline::Fail;
                }
            }
            Stage::Verifying(_) | Stage::Shared { .. } | Stage::Verified { .. } => {}
        }
        hold
    }
}

/// The new lines that a hold's selectors name and that the hold does not have. A deploy's hold keeps its members, even
/// if its group has other members by now.
#[must_use]
pub fn newcomers(
    hold: &Hold,
    farms: &BTreeMap<FarmName, Farm>,
    seen: &BTreeMap<InstanceName, &Seen>,
) -> BTreeSet<Entry> {
    if !hold.reach.follows || matches!(hold.stage, Stage::Shared { .. }) {
        return BTreeSet::new();
    }
    let member = |entry: &Entry| -> MemberName {
        let farm = farms.values().find_map(|farm| farm.settings.members.member_of(&entry.server));
        farm.unwrap_or_else(|| entry.server.server.clone())
    };
    let held: BTreeSet<MemberName> = hold.entries.iter().map(member).collect();
    let released: BTreeSet<MemberName> = hold.reach.skipped.iter().map(member).collect();
    let new = |entry: &Entry| {
        let member = member(entry);
        !hold.entries.contains(entry)
            && !hold.reach.skipped.contains(entry)
            // A member that was released by name stays in service, with its new lines.
            && (held.contains(&member) || !released.contains(&member))
    };
    let selectors = hold.selectors.iter().filter_map(|text| text.parse::<Selector>().ok());
    let named = selectors.flat_map(|selector| selector.named_later(hold, farms, seen));
    named.filter(new).collect()
}

impl Selector {
    /// Finds the lines that the selector names for an existing hold. A group of a farm is fixed: it means the servers
    /// that are held, and the servers that the group's patterns name, even if the halves have changed.
    pub(in crate::farm) fn named_later(
        &self,
        hold: &Hold,
        farms: &BTreeMap<FarmName, Farm>,
        seen: &BTreeMap<InstanceName, &Seen>,
    ) -> BTreeSet<Entry> {
        let Meaning::Farm(farm, group) = &self.meaning else { return self.resolve(farms, seen).unwrap_or_default() };
        let Some(farm) = farms.get(farm) else { return BTreeSet::new() };
        let member = |server: &ServerRef| farm.settings.members.member_of(server);
        let held: BTreeSet<MemberName> = hold.entries.iter().filter_map(|entry| member(&entry.server)).collect();
        let by_group = |member: &MemberName| {
            let patterns = group.as_ref().and_then(|group| farm.settings.groups.get(group));
            group.is_none() || patterns.is_some_and(|all| all.iter().any(|pattern| pattern.names(member)))
        };
        let named = |server: &ServerRef| {
            member(server)
                .is_some_and(|member| held.contains(&member) || (hold.owner.run().is_none() && by_group(&member)))
        };
        let lines = seen.iter().flat_map(|(name, seen)| seen.servers.keys().map(move |server| (name, server)));
        let lines = lines.filter(|(_, server)| named(server));
        lines.map(|(name, server)| Entry { instance: name.clone(), server: server.clone() }).collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::farm::{HoldId, Ladder, Owner, Reach, RunId, SeenServer, Span, Stays};
    use crate::haproxy::AdminState;

    fn at(seconds: i64) -> Timestamp {
        Timestamp::from_second(1_800_000_000 + seconds).unwrap()
    }

    fn entry(text: &str) -> Entry {
        text.to_owned().try_into().unwrap()
    }

    fn entries(texts: &[&str]) -> BTreeSet<Entry> {
        texts.iter().map(|text| entry(text)).collect()
    }

    fn hold(selectors: &[&str], lines: &[&str], owner: Owner) -> Hold {
        Hold {
            id: HoldId(1),
            owner,
            reason: String::new(),
            selectors: selectors.iter().map(ToString::to_string).collect(),
            entries: entries(lines),
            since: at(0),
            expires: None,
            ladder: Ladder {
                first: AdminState::Drain,
                last: AdminState::Drain,
                grace: Span::default(),
                deadline: Span::from_secs(30),
                on_deadline: OnDeadline::Restore,
                stays: Stays::Sticky,
                idle: false,
            },
            stage: Stage::Out { mode: AdminState::Maint, at: at(0), left: 0 },
            first_out: false,
            revision: 1,
            note: None,
            reach: Reach::following(BTreeSet::new()),
            names: Default::default(),
        }
    }

    #[test]
    fn a_hold_of_one_line_does_not_spread() {
        let may_spread = |selector: &str| hold(&[selector], &["e:app/w1"], operator()).may_spread();
        assert!(!may_spread("app/w1"));
        assert!(["w1", "*/w1", "app/w[1]", "farm:web", "host:127.0.0.1"].into_iter().all(may_spread));
    }

    fn operator() -> Owner {
        Owner::Operator("ann".into())
    }

    fn joining(hold: &Hold, farm: &str, lines: &[&str]) -> Vec<String> {
        let mut seen: BTreeMap<InstanceName, Seen> = BTreeMap::new();
        for line in lines {
            let Entry { instance, server } = entry(line);
            seen.entry(instance).or_default().servers.insert(server, SeenServer::sample());
        }
        let seen = seen.iter().map(|(name, seen)| (name.clone(), seen)).collect();
        let name: FarmName = "web".parse().unwrap();
        let farm = Farm { name: name.clone(), settings: toml::from_str(farm).unwrap() };
        newcomers(hold, &BTreeMap::from([(name, farm)]), &seen).iter().map(ToString::to_string).collect()
    }

    const FARM: &str = "members = [\"*/web*\"]\nhalves = \"auto\"";

    #[test]
    fn new_lines_that_the_selectors_of_a_hold_name_join_it() {
        let lines = ["a:app/web1", "a:api/web1", "a:app/web2", "a:x/db1", "b:app/web1", "b:x/web1"];
        for (selector, joined) in [
            ("web1", &["a:api/web1", "b:app/web1", "b:x/web1"][..]),
            ("app/web1", &["b:app/web1"]),
            ("app/*", &["a:app/web2", "b:app/web1"]),
            ("host:127.0.0.1", &["a:api/web1", "a:app/web2", "a:x/db1", "b:app/web1", "b:x/web1"]),
            ("farm:web", &["a:api/web1", "a:app/web2", "b:app/web1", "b:x/web1"]),
            ("farm:web/a", &["a:api/web1", "b:app/web1", "b:x/web1"]),
            ("nothing/web1", &[]),
        ] {
            assert_eq!(joining(&hold(&[selector], &["a:app/web1"], operator()), FARM, &lines), joined, "{selector}");
        }
        let mut old = hold(&["web1"], &["a:app/web1"], operator());
        old.reach = Reach::default();
        assert!(joining(&old, FARM, &lines).is_empty());
    }

    #[test]
    fn a_deploy_keeps_its_members() {
        let lines = ["a:app/web1", "a:api/web1", "a:app/web2", "a:db/db1", "b:app/web1"];
        let run = hold(&["farm:web/a"], &["a:app/web1"], Owner::Run(RunId(3)));
        assert_eq!(joining(&run, FARM, &lines), ["a:api/web1", "b:app/web1"]);
        let mut run = hold(&["farm:web/a"], &["a:app/web1"], Owner::Run(RunId(3)));
        run.reach.skipped = entries(&["a:api/web1"]);
        assert_eq!(joining(&run, FARM, &lines), ["b:app/web1"]);
    }

    #[test]
    fn released_lines_do_not_join_again() {
        let lines = ["a:app/web1", "a:api/web1", "a:app/web2", "b:app/web2", "b:app/web3"];
        let mut part = hold(&["web*"], &["a:app/web1"], operator());
        part.reach = part.reach.skipping(&entries(&["a:api/web1", "a:app/web2"]));
        // A part of web1 is still held; web2 was released.
        assert_eq!(joining(&part, FARM, &lines), ["b:app/web3"]);
        part.entries.insert(entry("b:x/web2"));
        assert_eq!(joining(&part, FARM, &lines), ["b:app/web2", "b:app/web3"]);
    }

    #[test]
    fn joining_lines_are_drained_in_the_strict_state() {
        let mut was = hold(&["web1"], &["a:app/web1"], operator());
        was.reach.without.insert("b".parse().unwrap());
        let back = BTreeSet::from(["b".parse().unwrap()]);
        let joined = was.joined(&entries(&["b:app/web1"]), &back, at(9));
        let draining =
            Stage::Draining(Emptying { mode: AdminState::Maint, since: at(9), killed: None, hardened: true });
        assert_eq!((joined.stage.clone(), joined.ladder.on_deadline), (draining, OnDeadline::Fail));
        assert!(joined.reach.without.is_empty() && joined.entries.len() == 2);
        // A HAProxy without such a line changes nothing.
        let joined = was.joined(&BTreeSet::new(), &back, at(9));
        assert_eq!((joined.stage, joined.reach.without), (was.stage, BTreeSet::new()));
    }

    #[test]
    fn a_hold_without_away_haproxys_needs_a_line_of_each_member() {
        let hold = hold(&["web1"], &["a:app/web1", "b:app/web1"], operator());
        let away = |name: &str| BTreeSet::from([name.parse().unwrap()]);
        assert_eq!(hold.without_instances(&away("b")).unwrap().entries, entries(&["a:app/web1"]));
        assert_eq!(hold.without_instances(&BTreeSet::new()), None);
        assert_eq!(hold.without_instances(&(&away("a") | &away("b"))), None);
    }
}
