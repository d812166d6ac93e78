//! The commands that give maps their wanted entries.

use std::collections::BTreeSet;

use crate::farm::diff::batch::{About, BatchStep};
use crate::farm::diff::wanted_maps::{WantedMap, WantedMaps};
use crate::farm::seen::maps::{SeenMap, SeenMaps};
use crate::haproxy::commands::{AddMap, DelMap, SetCommand, SetMap};
use crate::haproxy::{MapKey, MapName, MapValue};

impl WantedMap {
    /// Every entry, in the order of the commands: the entries for clients that may stay come before the live entries.
    pub fn entries(&self) -> impl Iterator<Item = (&MapKey, Option<&MapValue>)> {
        let beside = self.beside.iter().map(|(key, value)| (key, value.as_ref()));
        beside.chain(self.live.iter().map(|(key, value)| (key, Some(value))))
    }

    fn differs(&self, seen: &SeenMap, key: &MapKey, value: Option<&MapValue>) -> bool {
        seen.entries.get(key).and_then(Option::as_deref) != value.map(MapValue::as_str)
    }
}

/// Works out the commands: a step for each map that differs. Entries that let clients stay are added before the traffic
/// is switched, and removed after.
pub fn diff_maps(wanted: &WantedMaps, seen: &SeenMaps) -> Vec<BatchStep> {
    let empty = SeenMap::default();
    let step = |(map, wanted): (&MapName, &WantedMap)| {
        let seen = seen.get(map).unwrap_or(&empty);
        let (mut put, mut take) = (Vec::new(), Vec::new());
        let (mut undo_put, mut undo_take) = (Vec::new(), Vec::new());
        for (key, value) in wanted.entries().filter(|(key, value)| wanted.differs(seen, key, *value)) {
            let found = seen.entries.get(key).cloned().flatten();
            let before = found.as_ref().and_then(|value| value.parse::<MapValue>().ok());
            // HAProxy may have a value that no command can contain. Such a value is replaced, and cannot be restored.
            let to = change(map, key, found.is_some(), value);
            let undo =
                change(map, key, value.is_some(), before.as_ref()).filter(|_| before.is_some() == found.is_some());
            let (forward, back) = if value.is_some() { (&mut put, &mut undo_put) } else { (&mut take, &mut undo_take) };
            forward.extend(to);
            back.extend(undo);
        }
        put.append(&mut take);
        undo_put.append(&mut undo_take);
        undo_put.reverse();
        let switched = wanted.live.iter().filter(|(key, value)| wanted.differs(seen, key, Some(value))).count();
        BatchStep { about: About::Map(map.clone()), changes: put, undo: undo_put, together: switched > 1 }
    };
    wanted.iter().map(step).filter(|step| !step.changes.is_empty()).collect()
}

fn change(map: &MapName, key: &MapKey, exists: bool, to: Option<&MapValue>) -> Option<SetCommand> {
    let (map, key) = (map.clone(), key.clone());
    Some(match (exists, to) {
        (false, None) => return None,
        (false, Some(value)) => SetCommand::AddMap(AddMap { map, version: None, key, value: value.clone() }),
        (true, Some(value)) => SetCommand::SetMap(SetMap { map, key, value: value.clone() }),
        (true, None) => SetCommand::DelMap(DelMap { map, key }),
    })
}

/// The entries of a map after these commands, to replace all entries in one transaction.
pub fn entries_after(entries: Vec<(MapKey, MapValue)>, changes: &[SetCommand]) -> Vec<(MapKey, MapValue)> {
    let mut entries = entries;
    for change in changes {
        match change {
            SetCommand::SetMap(SetMap { key, value, .. }) => {
                entries.iter_mut().filter(|(old, _)| old == key).for_each(|(_, old)| old.clone_from(value));
            }
            SetCommand::AddMap(AddMap { key, value, .. }) => entries.push((key.clone(), value.clone())),
            SetCommand::DelMap(DelMap { key, .. }) => entries.retain(|(old, _)| old != key),
            _ => {}
        }
    }
    entries
}

/// The keys to look up, with their maps.
pub fn keys_to_look_up(wanted: &WantedMaps) -> BTreeSet<(MapName, MapKey)> {
    wanted.iter().flat_map(|(map, wanted)| wanted.entries().map(|(key, _)| (map.clone(), key.clone()))).collect()
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;

    use super::*;
    use crate::haproxy::Command;

    fn wanted(live: &[(&str, &str)], beside: &[(&str, Option<&str>)]) -> WantedMaps {
        let live = live.iter().map(|(key, value)| (key.parse().unwrap(), value.parse().unwrap())).collect();
        let beside = beside
            .iter()
            .map(|(key, value)| (key.parse().unwrap(), value.map(|value| value.parse().unwrap())))
            .collect();
        BTreeMap::from([("/m".parse().unwrap(), WantedMap { live, beside, ..WantedMap::default() })])
    }

    fn seen(entries: &[(&str, Option<&str>)]) -> SeenMaps {
        let entries = entries.iter().map(|(key, value)| (key.parse().unwrap(), value.map(str::to_owned))).collect();
        BTreeMap::from([("/m".parse().unwrap(), SeenMap { missing: false, entries })])
    }

    fn texts(changes: &[SetCommand]) -> Vec<String> {
        changes.iter().map(Command::text).collect()
    }

    #[test]
    fn clients_that_may_stay_are_added_before_the_switch_and_removed_after() {
        let wanted = wanted(&[("web", "web_a")], &[("web@a", None), ("web@b", Some("web_b"))]);
        let before = seen(&[("web", Some("web_b")), ("web@a", Some("web_a")), ("web@b", None)]);
        let steps = diff_maps(&wanted, &before);
        assert_eq!(texts(&steps[0].changes), ["add map /m web@b web_b", "set map /m web web_a", "del map /m web@a"]);
        assert_eq!(texts(&steps[0].undo), ["add map /m web@a web_a", "set map /m web web_b", "del map /m web@b"]);
        assert!(!steps[0].together);
        let after = seen(&[("web", Some("web_a")), ("web@a", None), ("web@b", Some("web_b"))]);
        assert!(diff_maps(&wanted, &after).is_empty());
    }

    #[test]
    fn several_keys_are_switched_together() {
        let wanted = wanted(&[("web", "web_a"), ("ws", "ws_a")], &[]);
        let steps = diff_maps(&wanted, &seen(&[("web", Some("web_b")), ("ws", Some("ws_b"))]));
        assert!(steps[0].together);
        let all = [("web", "web_b"), ("other", "x"), ("ws", "ws_b")];
        let all = all.map(|(key, value)| (key.parse().unwrap(), value.parse().unwrap())).to_vec();
        let after = entries_after(all, &steps[0].changes);
        let after: Vec<_> = after.iter().map(|(key, value)| format!("{key} {value}")).collect();
        assert_eq!(after, ["web web_a", "other x", "ws ws_a"]);
    }

    #[test]
    fn a_value_that_no_command_can_contain_is_replaced() {
        let steps = diff_maps(&wanted(&[("web", "web_a")], &[]), &seen(&[("web", Some("a b"))]));
        assert_eq!(texts(&steps[0].changes), ["set map /m web web_a"]);
        assert!(steps[0].undo.is_empty());
    }

    #[test]
    fn a_missing_entry_is_added() {
        let steps = diff_maps(&wanted(&[("web", "web_a")], &[]), &seen(&[("web", None)]));
        assert_eq!(texts(&steps[0].changes), ["add map /m web web_a"]);
    }
}
