//! Lines that are DOWN by design. Where a check asks which server leads, as with Patroni or Redis, each server has
//! lines in several backends and is up in one of them: its other lines are DOWN, and nothing is wrong with it.

use std::collections::{BTreeMap, BTreeSet};

use crate::farm::{Entry, InstanceName, Layout, MemberName, Seen, SeenServer};

/// The lines that are not up and need not be, with the reason. With `leader`, a server that comes back follows: all of
/// its lines may be DOWN, even if it has led before. Otherwise a line that was DOWN may stay DOWN if the server had a
/// line that was up, or has one now. And if a server had lines of both kinds in one HAProxy, as many must be up as were
/// before: the leader may have changed.
pub fn excused<'a>(
    lines: impl IntoIterator<Item = &'a Entry>,
    was_down: &BTreeSet<Entry>,
    leader: bool,
    member: impl Fn(&'a Entry) -> &'a MemberName,
    is_up: impl Fn(&Entry) -> bool,
) -> BTreeMap<&'a Entry, &'static str> {
    let mut members: BTreeMap<&MemberName, BTreeMap<&InstanceName, Vec<&Entry>>> = BTreeMap::new();
    for line in lines {
        members.entry(member(line)).or_default().entry(&line.instance).or_default().push(line);
    }
    let mut excused = BTreeMap::new();
    for instances in members.into_values() {
        let one_up = leader || instances.values().flatten().any(|line| !was_down.contains(*line) || is_up(line));
        for lines in instances.into_values().filter(|_| one_up) {
            let were_up = lines.iter().filter(|line| !was_down.contains(**line)).count();
            let are_up = lines.iter().filter(|line| is_up(line)).count();
            let moved = were_up > 0 && were_up < lines.len() && are_up >= were_up;
            for line in lines.into_iter().filter(|line| !is_up(line)) {
                if was_down.contains(line) {
                    excused.insert(line, "as it was before it was taken out");
                } else if moved {
                    excused.insert(line, "and another line of it is up in its place");
                } else if leader {
                    excused.insert(line, "as it follows another server now");
                }
            }
        }
    }
    excused
}

/// Whether the lines of a farm have roles: it is configured to have a leader, or some servers are up, and none of those
/// that are not taken out is up with all of its lines. Then a server is in service with any of its lines; in other
/// farms with all.
#[must_use]
pub fn has_roles(layout: &Layout, seen: &BTreeMap<InstanceName, &Seen>) -> bool {
    if layout.leader {
        return true;
    }
    let line = |entry: &Entry| {
        let seen = seen.get(&entry.instance).filter(|seen| seen.unused(&entry.server).is_none())?;
        seen.servers.get(&entry.server)
    };
    let is_in = |server: &SeenServer| !server.admin.in_maint() && !server.admin.in_drain() && server.weight > 0;
    let mut some = false;
    for entries in layout.members.values() {
        let lines: Vec<&SeenServer> = entries.iter().filter_map(line).collect();
        let up = lines.iter().filter(|server| server.op.is_up()).count();
        if lines.is_empty() || !lines.iter().all(|server| is_in(server)) {
            continue;
        }
        if up == lines.len() {
            return false;
        }
        some |= up > 0;
    }
    some
}

#[cfg(test)]
mod tests {
    use super::*;

    fn entries(names: &[&str]) -> BTreeSet<Entry> {
        names.iter().map(|name| (*name).to_owned().try_into().unwrap()).collect()
    }

    fn excused_lines(was_down: &[&str], up: &[&str]) -> Vec<String> {
        let lines = entries(&["e:primary/pg1", "e:replicas/pg1", "f:primary/pg1", "f:replicas/pg1"]);
        let up = entries(up);
        excused(&lines, &entries(was_down), false, |line| &line.server.server, |line| up.contains(line))
            .keys()
            .map(ToString::to_string)
            .collect()
    }

    #[test]
    fn lines_that_were_up_must_come_up() {
        let replica = ["e:primary/pg1", "f:primary/pg1"];
        assert_eq!(excused_lines(&replica, &[]), replica, "the others must come up");
        assert_eq!(excused_lines(&replica, &["e:replicas/pg1", "f:replicas/pg1"]), replica);
        assert!(excused_lines(&[], &["e:primary/pg1"]).is_empty(), "where all were up, all must be");
        let all = ["e:primary/pg1", "e:replicas/pg1", "f:primary/pg1", "f:replicas/pg1"];
        assert!(excused_lines(&all, &[]).is_empty(), "where none was up, the leader is not known");
        // Taken out between two checks, when it led no more and did not follow yet.
        assert_eq!(excused_lines(&all, &["e:replicas/pg1", "f:replicas/pg1"]), replica);
    }

    #[test]
    fn all_lines_of_a_follower_may_be_down() {
        let lines = entries(&["e:master/r1", "e:master/r2"]);
        let was_down = entries(&["e:master/r1"]);
        let excused = excused(&lines, &was_down, true, |line| &line.server.server, |_| false);
        let whys: Vec<&str> = excused.into_values().collect();
        assert_eq!(whys, ["as it was before it was taken out", "as it follows another server now"]);
    }

    #[test]
    fn the_leader_may_have_changed() {
        // It led, and follows now; the other HAProxy has not seen that yet.
        let leader = ["e:replicas/pg1", "f:replicas/pg1"];
        assert_eq!(excused_lines(&leader, &["e:replicas/pg1"]), ["e:primary/pg1", "f:replicas/pg1"]);
        assert_eq!(excused_lines(&leader, &leader), ["e:primary/pg1", "f:primary/pg1"]);
    }
}
