//! The lines of a status that are not about one server: routes, problems, processes that reloads have left behind.

use std::collections::BTreeSet;

use crate::api::{InstanceView, LiveSide, RouteView, StatusView};
use crate::cli::clock;
use crate::cli::names::line_name;
use crate::cli::paint::Ink;

/// These lines, each with its ink.
pub(super) fn notes(view: &StatusView) -> Vec<(Ink, String)> {
    let several = view.instances.len() > 1;
    let old = view.servers.iter().flat_map(|server| server.old.iter().map(move |old| (server, old)));
    let old = old.map(|(server, old)| {
        let (name, age) = (line_name(server, several), clock::seconds(old.age_secs));
        let (pid, in_flight) = (old.pid, old.in_flight);
        format!("{name}: {in_flight} in flight in process {pid}, which a reload left behind (running for {age})")
    });
    let old = old.map(|line| (Ink::Held, line));
    let notes = view.notes.iter().map(|note| (Ink::Held, note.clone()));
    let routes = view.routes.iter().map(|route| (Ink::Plain, traffic(route)));
    let troubles = view.instances.iter().filter_map(trouble).map(|trouble| (Ink::Bad, trouble));
    old.chain(notes).chain(routes).chain(troubles).collect()
}

/// The side that gets a farm's traffic, as text.
fn traffic(route: &RouteView) -> String {
    let backends: BTreeSet<&str> = route.entries.iter().filter_map(|entry| entry.backend.as_deref()).collect();
    let backends = backends.into_iter().collect::<Vec<_>>().join(", ");
    match (&route.live, backends.as_str()) {
        (LiveSide::NotKnown, "") => {
            format!("{}: the side that gets its traffic is not known: `teeter doctor` shows why", route.farm)
        }
        (LiveSide::NotKnown, backends) => {
            format!("{}: its traffic goes to {backends}: `teeter doctor` shows more", route.farm)
        }
        (LiveSide::Side(live), backends) => format!("{}: its traffic goes to {live} ({backends})", route.farm),
    }
}

fn trouble(instance: &InstanceView) -> Option<String> {
    let why = instance.trouble.as_deref();
    let what = match (instance.reachable, instance.agrees) {
        (false, _) if instance.may_be_away => {
            "is away, as may_be_away allows; it gets the stored state as soon as it answers"
        }
        (false, _) if instance.pid.is_none() => "has not answered since teeterd was started; its servers are not known",
        (false, _) => "does not answer; its servers are shown as last seen",
        (true, false) => "does not agree with the store yet",
        (true, true) => return why.map(|why| format!("{}: {why}", instance.name)),
    };
    let why = why.map(|why| format!(": {why}")).unwrap_or_default();
    Some(format!("{} ({}) {what}{why}", instance.name, instance.socket))
}
