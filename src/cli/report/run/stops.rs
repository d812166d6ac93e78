//! The periods in which a run stood still, from its events: after a failure until a command, and while it was paused.

use jiff::Timestamp;

use crate::api::EventView;

/// A period in which a run did nothing.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Stop {
    pub(super) from: Timestamp,
    /// `None`: it has not ended.
    pub(super) to: Option<Timestamp>,
    /// The words of the event with which it began.
    pub(super) why: String,
}

/// The stops of a run, in their order.
pub(super) fn stops(events: &[&EventView]) -> Vec<Stop> {
    let mut stops: Vec<Stop> = Vec::new();
    for event in events {
        let begins = event.kind == "run.note" && BEGINNINGS.iter().any(|words| event.text.starts_with(words));
        // A command, or the next step of a run that goes on by itself.
        let ends = event.kind == "run.step" || (event.kind == "run.asked" && !event.text.starts_with("pause"));
        match stops.last_mut().filter(|stop| stop.to.is_none()) {
            Some(stop) if ends => stop.to = Some(event.at),
            None if begins => stops.push(Stop { from: event.at, to: None, why: event.text.clone() }),
            _ => {}
        }
    }
    stops
}

/// How the notes begin with which a run stops.
const BEGINNINGS: [&str; 2] = ["failed: ", "paused: "];

#[cfg(test)]
mod tests {
    use super::*;
    use crate::api::Events;

    /// The events of a run that was paused and resumed, failed, and was aborted; as teeterd has recorded them.
    #[test]
    fn pauses_and_failures_last_until_the_next_command() {
        let text = std::fs::read_to_string("tests/api-documents/events.see-saw.json").unwrap();
        let events: Events = serde_json::from_str(&text).unwrap();
        let of_run: Vec<&EventView> = events.events.iter().filter(|event| event.run == Some(1)).collect();
        let found = stops(&of_run);
        let whys: Vec<_> = found.iter().map(|stop| stop.why.as_str()).collect();
        assert_eq!(
            whys,
            ["paused: it begins no further step", "failed: the work on group a failed: no space left on device"]
        );
        assert!(found.iter().all(|stop| stop.to.is_some_and(|to| to > stop.from)), "{found:?}");
        let aborted = of_run.iter().position(|event| event.text == "abort").unwrap();
        assert_eq!(stops(&of_run[..aborted])[1].to, None);
    }
}
