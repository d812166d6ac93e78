//! Sends one batch to HAProxy: HAProxy carries out all of it, or teeter undoes it.

use std::collections::BTreeSet;
use std::time::Duration;

use super::map_version::commit_version;
use crate::farm::{About, BatchStep};
use crate::haproxy::commands::{Info, SetCommand};
use crate::haproxy::{BackendName, Client, Command, CommandError, Error, Line, Quirk, RefusalKind};
use crate::platform::Clock;

/// The result of a batch.
#[derive(Debug)]
pub(super) enum Applied {
    /// HAProxy carried out every command, apart from those for servers of these backends, which are shut down. With the
    /// time from the first byte sent to the last reply.
    All(Duration, BTreeSet<BackendName>),
    /// HAProxy refused a command for this server or map, in these words. If it was for a server, the whole batch was
    /// undone; if it was for a map, the changes of this map were.
    Refused(About, String),
    /// Another process answered than the one for which the batch was worked out, or one that is leaving. The result of
    /// the batch is unknown.
    OtherProcess,
}

/// Sends a batch to this process. Its lines are short enough for HAProxy's buffer; servers that take more traffic are
/// in the earlier lines.
///
/// # Errors
/// The connection failed: HAProxy may have carried out any part of the batch. Look again.
pub(super) async fn apply(
    client: &Client,
    process: &Info,
    steps: &[BatchStep],
    clock: &Clock,
) -> Result<Applied, Error> {
    let start = clock.mark();
    let mut done: Vec<&BatchStep> = Vec::new();
    let mut off = BTreeSet::new();
    // Entries of a map that must change together are a part of their own. So are the servers after a switch of a map:
    // they are sent as soon as the switch was confirmed.
    let same_part = |one: &BatchStep, next: &BatchStep| one.server().is_some() || next.server().is_none();
    for part in steps.chunk_by(|one, next| !one.together && !next.together && same_part(one, next)) {
        let applied = match part {
            // Without transactions of HAProxy no route has several keys: these entries belong to several routes.
            [BatchStep { about: About::Map(map), changes, together: true, .. }]
                if !process.has(Quirk::NoMapTransactions) =>
            {
                commit_version(client, process, map, changes).await?
            }
            _ => send_all(client, process, part, &mut done, &mut off).await?,
        };
        match applied {
            Part::Taken => done.extend(part),
            Part::OtherProcess => return Ok(Applied::OtherProcess),
            Part::Refused(about, error) => {
                // A map that cannot be switched concerns its own route only.
                done.retain(|step| matches!(about, About::Server(_)) || step.about == about);
                undo(client, process, &done).await?;
                return Ok(Applied::Refused(about, error.to_string()));
            }
        }
    }
    Ok(Applied::All(start.elapsed(), off))
}

/// The result of a part of a batch.
pub(super) enum Part {
    Taken,
    Refused(About, CommandError),
    OtherProcess,
}

async fn send_all<'a>(
    client: &Client,
    process: &Info,
    steps: &'a [BatchStep],
    done: &mut Vec<&'a BatchStep>,
    off: &mut BTreeSet<BackendName>,
) -> Result<Part, Error> {
    for part in lines(steps) {
        let Some(mut results) = send(client, process, &part).await? else { return Ok(Part::OtherProcess) };
        // A backend that is shut down takes no commands for as long as the process lives: teeter goes on without it.
        results.retain(|(step, result)| match (result, step.server()) {
            (Err(CommandError::Refused(refusal)), Some(server)) if refusal.kind == RefusalKind::ProxyDisabled => {
                off.insert(server.backend.clone());
                false
            }
            _ => true,
        });
        let refused =
            results.iter().find_map(|(step, result)| Some((step.about.clone(), result.as_ref().err()?.clone())));
        if let Some((about, error)) = refused {
            done.extend(results.iter().filter(|(_, result)| result.is_ok()).map(|(step, _)| *step));
            return Ok(Part::Refused(about, error));
        }
        done.extend(results.iter().map(|(step, _)| *step));
    }
    Ok(Part::Taken)
}

type Results<'a> = Vec<(&'a BatchStep, Result<(), CommandError>)>;

/// Sends one line. `None`: another process answered, or one that is leaving.
async fn send<'a>(
    client: &Client,
    process: &Info,
    part: &[(&'a BatchStep, &'a SetCommand)],
) -> Result<Option<Results<'a>>, Error> {
    let mut line = Line::new();
    let slots: Vec<_> = part.iter().map(|(_, change)| line.push(*change)).collect();
    let answers = client.send(&line).await?;
    if !answers.info.is_of(process) || answers.info.stopping {
        return Ok(None);
    }
    let results = slots.into_iter().zip(part).map(|(slot, (step, change))| (*step, answers.read(slot, *change)));
    Ok(Some(results.collect()))
}

/// Undoes these steps, the last first, as far as HAProxy allows.
async fn undo(client: &Client, process: &Info, done: &[&BatchStep]) -> Result<(), Error> {
    let mut undone: Vec<BatchStep> = Vec::new();
    for step in done.iter().rev() {
        if undone.iter().all(|undo| undo.about != step.about) {
            undone.push(BatchStep { changes: step.undo.clone(), undo: Vec::new(), ..(*step).clone() });
        }
    }
    for part in lines(&undone) {
        // The next look finds a step that cannot be undone, and shows that HAProxy does not agree.
        send(client, process, &part).await?;
    }
    Ok(())
}

fn lines(steps: &[BatchStep]) -> Vec<Vec<(&BatchStep, &SetCommand)>> {
    let (mut lines, mut line, mut part) = (Vec::new(), Line::new(), Vec::new());
    for (step, change) in steps.iter().flat_map(|step| step.changes.iter().map(move |change| (step, change))) {
        if !line.has_room_for(&change.text()) {
            lines.push(std::mem::take(&mut part));
            line = Line::new();
        }
        let _ = line.push(change);
        part.push((step, change));
    }
    if !part.is_empty() {
        lines.push(part);
    }
    lines
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::haproxy::AdminState;
    use crate::haproxy::commands::{SetServerState, ShowInfo};

    fn drain(name: &str) -> BatchStep {
        let server: crate::haproxy::ServerRef = name.parse().unwrap();
        let state = |state| vec![SetCommand::State(SetServerState { server: server.clone(), state })];
        let (changes, undo) = (state(AdminState::Drain), state(AdminState::Ready));
        BatchStep { about: About::Server(server.clone()), changes, undo, together: false }
    }

    #[tokio::test]
    async fn a_batch_with_a_refused_command_is_undone() {
        let farm = teeter_lab::TestFarm::start("v1").await.unwrap();
        let address = crate::haproxy::Address::Unix(farm.socket());
        let client = Client::new(address, Duration::from_secs(5));
        let process = client.ask(&ShowInfo).await.unwrap();
        let steps = [drain("app/web01"), drain("app/missing"), drain("app/web02")];
        let Applied::Refused(_, words) = apply(&client, &process, &steps, &Clock::new()).await.unwrap() else {
            panic!("taken")
        };
        assert!(words.contains("set server app/missing state drain") && words.contains("No such server."), "{words}");
        for name in teeter_lab::farm::NAMES {
            assert_eq!(farm.haproxy().server_admin_bits(&format!("app/{name}")).await.unwrap(), 0);
        }
        let taken = apply(&client, &process, &[drain("app/web01")], &Clock::new()).await.unwrap();
        assert!(matches!(taken, Applied::All(_, off) if off.is_empty()));
        assert_eq!(farm.haproxy().server_admin_bits("app/web01").await.unwrap(), 8);
        let other = Info { pid: process.pid + 1, ..process };
        let other = apply(&client, &other, &[drain("app/web02")], &Clock::new()).await.unwrap();
        assert!(matches!(other, Applied::OtherProcess));
    }

    #[test]
    fn a_long_batch_is_cut_between_commands_and_keeps_its_order() {
        let step = |number: usize| {
            let server: crate::haproxy::ServerRef = format!("app/web{number:04}").parse().unwrap();
            let changes = vec![SetCommand::State(SetServerState { server: server.clone(), state: AdminState::Drain })];
            BatchStep { about: About::Server(server), changes, undo: Vec::new(), together: false }
        };
        let steps: Vec<BatchStep> = (0..1000).map(step).collect();
        let lines = lines(&steps);
        assert!(lines.len() > 1);
        let order: Vec<_> = lines.iter().flatten().map(|(step, _)| step.about.clone()).collect();
        assert_eq!(order, steps.iter().map(|step| step.about.clone()).collect::<Vec<_>>());
        for part in &lines {
            let mut line = Line::new();
            part.iter().for_each(|(_, change)| drop(line.push(*change)));
            assert!(line.to_wire().len() <= Line::LONGEST);
        }
    }
}
