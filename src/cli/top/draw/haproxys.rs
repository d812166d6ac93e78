//! The pane of HAProxys: whether each answers and agrees, and how old its last look is.

use jiff::Timestamp;
use ratatui::layout::Rect;

use super::pen::Pen;
use crate::api::InstanceView;
use crate::cli::clock;
use crate::cli::live::pad;
use crate::cli::paint::Ink;
use crate::cli::top::layout::Focus;
use crate::cli::top::state::State;

pub(super) fn draw(pen: &mut Pen<'_>, area: Rect, state: &State, now: Timestamp) {
    if area.height == 0 {
        return;
    }
    let focused = state.focus == Focus::Haproxys;
    let mut instances: Vec<&InstanceView> = state.instances.iter().collect();
    if !focused {
        // Those with a problem have to be seen.
        instances.sort_by_key(|instance| instance.reachable && instance.agrees && instance.trouble.is_none());
    }
    let well = state.instances.iter().filter(|instance| instance.reachable).count();
    pen.heading(area, &format!("HAPROXY  {well} of {} answer", instances.len()), focused);
    let longest = instances.iter().map(|instance| instance.name.chars().count()).max().unwrap_or(0).min(24);
    let from = if focused { state.haproxy } else { 0 };
    for (row, (at, instance)) in (1..area.height).zip(instances.iter().enumerate().skip(from)) {
        let (text, ink) = line(instance, longest, now);
        pen.line(area, row, &text, ink);
        if focused && at == state.haproxy {
            pen.mark(area, row);
        }
    }
}

fn line(instance: &InstanceView, longest: usize, now: Timestamp) -> (String, Ink) {
    let (what, ink) = match (instance.reachable, instance.agrees) {
        (false, _) if instance.may_be_away => ("is away, as allowed", Ink::Held),
        (false, _) => ("does not answer", Ink::Bad),
        (true, false) => ("does not agree yet", Ink::Held),
        (true, true) if instance.trouble.is_some() => ("answers", Ink::Held),
        (true, true) => ("answers, agrees", Ink::Plain),
    };
    let look = match instance.looked {
        Some(at) => format!("last look {} ago", clock::age(at, now)),
        None => "no look yet".to_owned(),
    };
    let mut parts = vec![pad(&instance.name, longest), format!("{what:<18}"), format!("{look:<20}")];
    parts.extend(instance.version.as_ref().map(|version| format!("version {version}")));
    parts.extend(instance.pid.map(|pid| format!("process {pid}")));
    parts.extend(instance.trouble.clone());
    (parts.join("  "), ink)
}
