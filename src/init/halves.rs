//! Two groups of about equal weight.

use super::site::Site;
use crate::farm::{GroupName, MemberName};
use crate::haproxy::ServerRef;

/// The groups of a farm.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Groups {
    /// None: members go out in batches.
    None,
    /// `halves = "auto"`.
    Auto,
    /// These, with their members in natural order.
    Named(Vec<(GroupName, Vec<MemberName>)>),
}

/// Halves of the members, by name if their weights are equal then, and by weight otherwise. `has_slots`: there are spare
/// lines. Only teeter knows at each deploy which of them are in use, so it makes the halves itself.
pub(super) fn of(site: &Site, members: &[(MemberName, Vec<ServerRef>)], has_slots: bool) -> Groups {
    let weight = |lines: &[ServerRef]| lines.first().and_then(|line| site.line(line)).map_or(0, |line| line.weight);
    let weighted: Vec<(MemberName, u64)> =
        members.iter().map(|(member, lines)| (member.clone(), u64::from(weight(lines)))).collect();
    if has_slots || members.len() > LONGEST {
        return Groups::Auto;
    }
    let (first, second) = split(&weighted);
    match ("a".parse(), "b".parse()) {
        (Ok(a), Ok(b)) => Groups::Named(vec![(a, first), (b, second)]),
        _ => Groups::Auto,
    }
}

/// Splits members, which are in natural order, into two groups that differ as little in weight as is easily found.
fn split(members: &[(MemberName, u64)]) -> (Vec<MemberName>, Vec<MemberName>) {
    let by_name = members.split_at(members.len() / 2);
    let sum = |part: &[(MemberName, u64)]| part.iter().map(|(_, weight)| weight).sum::<u64>();
    let is_even = members.windows(2).all(|pair| pair[0].1 == pair[1].1);
    let names = |part: &[(MemberName, u64)]| part.iter().map(|(member, _)| member.clone()).collect::<Vec<_>>();
    if is_even || sum(by_name.0) == sum(by_name.1) {
        return (names(by_name.0), names(by_name.1));
    }
    // The heaviest first, each into the lighter group.
    let mut heaviest: Vec<usize> = (0..members.len()).collect();
    heaviest.sort_by_key(|index| std::cmp::Reverse(members[*index].1));
    let (mut groups, mut weights) = ([Vec::new(), Vec::new()], [0, 0]);
    for index in heaviest {
        let lighter = usize::from((weights[1], groups[1].len()) < (weights[0], groups[0].len()));
        weights[lighter] += members[index].1;
        groups[lighter].push(index);
    }
    groups.iter_mut().for_each(|group| group.sort_unstable());
    let [first, second] = groups.map(|group| group.into_iter().map(|index| members[index].0.clone()).collect());
    (first, second)
}

/// A longer list is no help for a reader.
const LONGEST: usize = 64;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn halves_are_by_name_if_that_makes_them_equal_in_weight() {
        for (members, first, second) in [
            (&[("w1", 1), ("w2", 1), ("w3", 1), ("w4", 1)][..], &["w1", "w2"][..], &["w3", "w4"][..]),
            (&[("w1", 1), ("w2", 1), ("w3", 1)], &["w1"], &["w2", "w3"]),
            (&[("w1", 2), ("w2", 1), ("w3", 1), ("w4", 2)], &["w1", "w2"], &["w3", "w4"]),
            (&[("w1", 4), ("w2", 2), ("w3", 1), ("w4", 1)], &["w1"], &["w2", "w3", "w4"]),
            (&[("w1", 9), ("w2", 9), ("w3", 1), ("w4", 1)], &["w1", "w3"], &["w2", "w4"]),
            (&[("w1", 0), ("w2", 5)], &["w2"], &["w1"]),
        ] {
            let members: Vec<(MemberName, u64)> =
                members.iter().map(|(name, weight)| (name.parse().unwrap(), *weight)).collect();
            let (one, other) = split(&members);
            let text = |names: Vec<MemberName>| names.iter().map(ToString::to_string).collect::<Vec<_>>();
            assert_eq!((text(one), text(other)), (text_of(first), text_of(second)), "{members:?}");
        }
    }

    fn text_of(names: &[&str]) -> Vec<String> {
        names.iter().map(ToString::to_string).collect()
    }
}
