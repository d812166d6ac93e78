//! Names for farms, members and groups, from the names in haproxy.cfg.

use std::collections::{BTreeMap, BTreeSet};

use super::processes::Process;
use crate::farm::{FarmName, GroupName, MemberName, natural};
use crate::haproxy::BackendName;

/// A name for a farm of these backends: what their names have in common, or the first of them.
pub(super) fn of_farm(backends: &BTreeSet<BackendName>, taken: &mut BTreeSet<FarmName>) -> FarmName {
    let mut names: Vec<&str> = backends.iter().map(BackendName::as_str).collect();
    names.sort_by(|one, other| natural(one, other));
    let first = names.first().copied().unwrap_or("farm");
    let common = common_words(&names);
    let base = if names.len() > 1 && !MEANINGLESS.contains(&common) && !common.is_empty() { common } else { first };
    let base = label(base);
    let numbered = (2_u32..).map(|number| format!("{base}-{number}"));
    let names = std::iter::once(base.clone()).chain(numbered).filter_map(|name| name.parse::<FarmName>().ok());
    // There are more numbers than backends.
    let mut free = names.filter(|name| !taken.contains(name));
    let Some(name) = free.next() else { unreachable!("a label is a name") };
    taken.insert(name.clone());
    name
}

/// A name for a member with these lines: the name that most of its lines have, with its backend before it if another
/// process has a line of that name.
pub(super) fn of_member(process: &Process, all: &[&Process], taken: &mut BTreeSet<MemberName>) -> MemberName {
    let mut counts: BTreeMap<&MemberName, usize> = BTreeMap::new();
    for line in process {
        *counts.entry(&line.server).or_default() += 1;
    }
    // Of names that are equally frequent the shortest: `web1` rather than `web1-ws`.
    let rank = |one: &(&MemberName, usize), other: &(&MemberName, usize)| {
        let length = |name: &MemberName| name.as_str().len();
        one.1.cmp(&other.1).then_with(|| length(other.0).cmp(&length(one.0))).then_with(|| other.0.cmp(one.0))
    };
    let Some((name, _)) = counts.into_iter().max_by(rank) else { unreachable!("a process has a line") };
    let elsewhere =
        |other: &&&Process| !std::ptr::eq(**other, process) && other.iter().any(|line| line.server == *name);
    let is_shared = all.iter().any(|other| elsewhere(&other));
    let base = match process.first() {
        Some(line) if is_shared => format!("{}-{name}", line.backend),
        _ => name.to_string(),
    };
    let numbered = (2_u32..).map(|number| format!("{base}-{number}"));
    let names = std::iter::once(base.clone()).chain(numbered).filter_map(|name| name.parse::<MemberName>().ok());
    let mut free = names.filter(|name| !taken.contains(name));
    let name = free.next().unwrap_or_else(|| name.clone());
    taken.insert(name.clone());
    name
}

/// The name of the side of a route with this backend, by what distinguishes it from the backend of the other side.
pub(super) fn of_sides(one: &BackendName, other: &BackendName) -> Option<(GroupName, GroupName)> {
    let (left, right) = (words(one.as_str()), words(other.as_str()));
    let mut differing = left.iter().zip(&right).filter(|(left, right)| left != right);
    let (left_word, right_word) = differing.next()?;
    let fits = left.len() == right.len() && differing.next().is_none();
    let usable = |word: &str| !RESERVED.contains(&word);
    let names = (label(left_word), label(right_word));
    if fits && usable(&names.0) && usable(&names.1) && names.0 != names.1 {
        return Some((names.0.parse().ok()?, names.1.parse().ok()?));
    }
    Some(("a".parse().ok()?, "b".parse().ok()?))
}

/// Whether two backends are called like the two sides of one farm: their names differ in one word only, and the two
/// words are a usual pair.
pub(super) fn are_twins(one: &BackendName, other: &BackendName) -> bool {
    let (left, right) = (words(one.as_str()), words(other.as_str()));
    let mut differing = left.iter().zip(&right).filter(|(left, right)| left != right);
    let pair = differing.next().map(|(left, right)| (*left, *right));
    let is_pair = |(left, right)| PAIRS.contains(&(left, right)) || PAIRS.contains(&(right, left));
    left.len() == right.len() && differing.next().is_none() && pair.is_some_and(is_pair)
}

/// The text as the name of a farm or group: other characters become `-`.
fn label(text: &str) -> String {
    let allowed = |c: char| if c.is_ascii_alphanumeric() || c == '_' { c } else { '-' };
    let label: String = text.chars().take(LONGEST).map(allowed).collect();
    let label = label.trim_matches(['-', '_']);
    if label.is_empty() { "farm".to_owned() } else { label.to_owned() }
}

fn words(name: &str) -> Vec<&str> {
    name.split(SEPARATORS).collect()
}

/// The words at the beginning that all names have.
fn common_words<'a>(names: &[&'a str]) -> &'a str {
    let Some((first, others)) = names.split_first() else { return "" };
    let ends = first.match_indices(SEPARATORS).map(|(at, _)| at).chain([first.len()]).collect::<Vec<_>>();
    let begins = |name: &str, with: &str| {
        name.strip_prefix(with).is_some_and(|rest| rest.is_empty() || rest.starts_with(SEPARATORS))
    };
    let common = ends.into_iter().rev().find(|end| others.iter().all(|name| begins(name, &first[..*end])));
    common.map_or("", |end| &first[..end])
}

const SEPARATORS: [char; 4] = ['-', '_', '.', ':'];

/// Words that many backends begin with.
const MEANINGLESS: [&str; 8] = ["be", "bk", "bck", "backend", "backends", "http", "https", "tcp"];

/// Words that a group of a farm with a route may not have as its name.
const RESERVED: [&str; 5] = ["all", "map", "key", "share", "trial"];

/// Words for the two sides of a farm.
const PAIRS: [(&str, &str); 7] =
    [("a", "b"), ("blue", "green"), ("1", "2"), ("left", "right"), ("old", "new"), ("v1", "v2"), ("one", "two")];

/// Room for a number behind it, in the 64 characters of a name.
const LONGEST: usize = 56;

#[cfg(test)]
mod tests {
    use super::*;

    fn farm(backends: &[&str]) -> String {
        let backends = backends.iter().map(|backend| backend.parse().unwrap()).collect();
        of_farm(&backends, &mut BTreeSet::new()).to_string()
    }

    #[test]
    fn farm_is_called_by_what_its_backends_share() {
        for (backends, name) in [
            (&["web_a", "web_all", "web_b"][..], "web"),
            (&["app", "ws"], "app"),
            (&["be_app", "be_ws"], "be_app"),
            (&["shop.example.com"], "shop-example-com"),
            (&["app", "app-ws"], "app"),
            (&["_"], "farm"),
        ] {
            assert_eq!(farm(backends), name, "{backends:?}");
        }
        let mut taken = BTreeSet::new();
        let mut next = |backend: &str| of_farm(&[backend.parse().unwrap()].into(), &mut taken).to_string();
        assert_eq!((next("a.b"), next("a:b"), next("a-b")), ("a-b".into(), "a-b-2".into(), "a-b-3".into()));
    }

    #[test]
    fn sides_are_called_by_the_word_that_differs() {
        let sides = |one: &str, other: &str| {
            let (one, other) = of_sides(&one.parse().unwrap(), &other.parse().unwrap()).unwrap();
            format!("{one} {other}")
        };
        assert_eq!(sides("web_blue", "web_green"), "blue green");
        assert_eq!(sides("web_all", "web_b"), "a b");
        assert_eq!(sides("stable", "next-web"), "a b");
        let twins = |one: &str, other: &str| are_twins(&one.parse().unwrap(), &other.parse().unwrap());
        assert!(twins("app-green", "app-blue") && twins("v1.web", "v2.web"));
        assert!(!twins("app-red", "app-blue") && !twins("app", "app") && !twins("a-1-x", "b-2-x"));
    }
}
