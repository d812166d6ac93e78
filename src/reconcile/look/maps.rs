//! Looks up entries of maps.

use super::Keys;
use crate::farm::{SeenMap, SeenMaps};
use crate::haproxy::commands::{GetMap, Info};
use crate::haproxy::{Answers, Client, Command, CommandError, Error, Line, RefusalKind, Slot};

/// Looks up entries of maps; with the process that answered. `None`: there are no entries to look up.
pub(super) async fn look_up(client: &Client, keys: &Keys) -> Result<Option<(Info, SeenMaps)>, Error> {
    let (mut maps, mut process) = (SeenMaps::new(), None);
    let asks: Vec<GetMap> = keys.iter().map(|(map, key)| GetMap { map: map.clone(), key: key.clone() }).collect();
    let (mut line, mut slots) = (Line::new(), Vec::new());
    for ask in &asks {
        if !line.has_room_for(&ask.text()) {
            let answers = client.send(&std::mem::take(&mut line)).await?;
            process = Some(answers.info.clone());
            note(&mut maps, &answers, std::mem::take(&mut slots)).map_err(|error| client.error(error))?;
        }
        slots.push((line.push(ask), ask));
    }
    if !slots.is_empty() {
        let answers = client.send(&line).await?;
        process = Some(answers.info.clone());
        note(&mut maps, &answers, slots).map_err(|error| client.error(error))?;
    }
    Ok(process.map(|info| (info, maps)))
}

fn note(maps: &mut SeenMaps, answers: &Answers, slots: Vec<(Slot<GetMap>, &GetMap)>) -> Result<(), CommandError> {
    for (slot, ask) in slots {
        let map = maps.entry(ask.map.clone()).or_default();
        match answers.read(slot, ask) {
            Ok(value) => {
                map.entries.insert(ask.key.clone(), value);
            }
            // From 3.4 on, reading a map needs level admin. A too low level is reported elsewhere.
            Err(CommandError::Refused(refusal))
                if matches!(refusal.kind, RefusalKind::NoSuchMapEntry | RefusalKind::PermissionDenied) =>
            {
                *map = SeenMap { missing: true, ..SeenMap::default() };
            }
            Err(error) => return Err(error),
        }
    }
    Ok(())
}
