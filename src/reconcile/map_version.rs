//! Changes several entries of a map at once: teeter fills a new version of the whole map, and commits it.

use super::send::Part;
use crate::farm::{About, entries_after};
use crate::haproxy::commands::{AddMap, CommitMap, Info, PrepareMap, SetCommand, ShowMap};
use crate::haproxy::{Answers, Client, Command, CommandError, Error, Line, MapKey, MapName, MapValue};

/// Makes changes to one map that lookups see all at once. The entries of other programs are copied from the present
/// version; a change that another program makes between the copy and the commit is lost.
///
/// # Errors
/// The connection failed: nothing has changed, unless only the reply to the commit was lost. Look again.
pub(super) async fn commit_version(
    client: &Client,
    process: &Info,
    map: &MapName,
    changes: &[SetCommand],
) -> Result<Part, Error> {
    let mut line = Line::new();
    let refused = |error| Part::Refused(About::Map(map.clone()), error);
    let (show, prepare) = (ShowMap { map: map.clone() }, PrepareMap { map: map.clone() });
    let slots = (line.push(&show), line.push(&prepare));
    let answers = client.send(&line).await?;
    if is_other(&answers, process) {
        return Ok(Part::OtherProcess);
    }
    let (before, version) = match (answers.read(slots.0, &show), answers.read(slots.1, &prepare)) {
        (Ok(before), Ok(version)) => (before, version),
        (Err(error), _) | (_, Err(error)) => return Ok(refused(error)),
    };
    let mut entries: Vec<(MapKey, MapValue)> = Vec::new();
    for entry in before {
        match (entry.key.parse(), entry.value.parse()) {
            (Ok(key), Ok(value)) => entries.push((key, value)),
            // A command cannot contain this entry, so it cannot be copied.
            _ => {
                let words = format!(
                    "the entry {:?}, which another program wrote, has a key or value that no command can contain: give \
                     the keys of the route a map of their own",
                    entry.key
                );
                return Ok(refused(CommandError::refused(&show.text(), words.as_bytes())));
            }
        }
    }
    let entries = entries_after(entries, changes);
    let adds: Vec<AddMap> = entries
        .into_iter()
        .map(|(key, value)| AddMap { map: map.clone(), version: Some(version), key, value })
        .collect();
    let commit = CommitMap { map: map.clone(), version };
    let (mut line, mut slots) = (Line::new(), Vec::new());
    for add in &adds {
        if !line.has_room_for(&add.text()) {
            let answers = client.send(&std::mem::take(&mut line)).await?;
            if is_other(&answers, process) {
                return Ok(Part::OtherProcess);
            }
            for (slot, add) in std::mem::take(&mut slots) {
                if let Err(error) = answers.read(slot, add) {
                    return Ok(refused(error));
                }
            }
        }
        slots.push((line.push(add), add));
    }
    // Only a complete version is committed: the commit is a line of its own, after every addition has been read back.
    let answers = client.send(&line).await?;
    if is_other(&answers, process) {
        return Ok(Part::OtherProcess);
    }
    for (slot, add) in slots {
        if let Err(error) = answers.read(slot, add) {
            return Ok(refused(error));
        }
    }
    let mut line = Line::new();
    let slot = line.push(&commit);
    let answers = client.send(&line).await?;
    if is_other(&answers, process) {
        return Ok(Part::OtherProcess);
    }
    Ok(answers.read(slot, &commit).map_or_else(refused, |()| Part::Taken))
}

fn is_other(answers: &Answers, process: &Info) -> bool {
    !answers.info.is_of(process) || answers.info.stopping
}
