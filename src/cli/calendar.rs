//! Holds in the order of their ends, and day by day.
//!
//! Pure: the time and its zone are arguments, the answer is text.

use jiff::Timestamp;
use jiff::tz::TimeZone;

use super::clock::{self, within};
use super::names::servers;
use crate::api::HoldView;

/// Sorts by end; holds without an end come last, the oldest first.
pub(super) fn by_end(holds: &mut [HoldView]) {
    holds.sort_by_key(|hold| (hold.expires.is_none(), hold.expires, hold.since, hold.id));
}

/// The end of a hold: the local time, and the time until then.
pub(super) fn until(hold: &HoldView, now: Timestamp, zone: &TimeZone) -> String {
    let Some(at) = hold.expires else { return "-".to_owned() };
    let remaining = match at.duration_since(now) {
        left if left.is_positive() => format!("in {}", clock::length(left)),
        _ => "over".to_owned(),
    };
    format!("{} ({remaining})", within(at, zone, "%Y-%m-%d %H:%M:%S"))
}

/// `teeter holds --calendar`: the servers that go out and come back, day by day, then the servers without an end.
pub(super) fn calendar(holds: &[HoldView], now: Timestamp, zone: &TimeZone) -> String {
    let out = holds.iter().map(|hold| (hold.since, format!("{} out: {}", servers(hold), owner_and_reason(hold))));
    let back = holds.iter().filter_map(|hold| {
        Some((hold.expires?, format!("{} comes back if healthy (hold {})", servers(hold), hold.id)))
    });
    let mut entries: Vec<(Timestamp, String)> = out.chain(back).chain([(now, "now".to_owned())]).collect();
    entries.sort_by_key(|(at, _)| *at);
    let (mut lines, mut day) = (Vec::new(), String::new());
    for (at, what) in entries {
        let this_day = within(at, zone, "%Y-%m-%d, %A");
        if this_day != day {
            lines.push(this_day.clone());
            day = this_day;
        }
        lines.push(format!("  {}  {what}", within(at, zone, "%H:%M")));
    }
    let mut endless = holds.iter().filter(|hold| hold.expires.is_none()).peekable();
    if endless.peek().is_some() {
        lines.push("without an end".to_owned());
        lines.extend(endless.map(|hold| format!("         {} out: {}", servers(hold), owner_and_reason(hold))));
    }
    lines.join("\n")
}

fn owner_and_reason(hold: &HoldView) -> String {
    format!("{} ({}), hold {}", hold.owner, hold.reason, hold.id)
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn hold(id: u64, since: &str, expires: Option<&str>) -> HoldView {
        let view = json!({"id": id, "owner": "alice", "reason": "kernel", "entries": [], "members": [format!("web0{id}")],
            "mode": "drain", "stage": "out", "left": 0, "since": since, "expires": expires, "waiting": null, "wait": null,
            "in_flight": {}, "note": null});
        serde_json::from_value(view).unwrap()
    }

    fn holds() -> Vec<HoldView> {
        vec![
            hold(1, "2026-01-01T12:00:00Z", None),
            hold(2, "2026-01-01T22:30:00Z", Some("2026-01-03T07:00:00Z")),
            hold(3, "2026-01-01T23:30:00Z", Some("2026-01-02T01:00:00Z")),
            hold(4, "2026-01-01T10:00:00Z", None),
        ]
    }

    #[test]
    fn holds_are_sorted_by_their_end() {
        let mut holds = holds();
        by_end(&mut holds);
        assert_eq!(holds.iter().map(|hold| hold.id).collect::<Vec<_>>(), [3, 2, 4, 1]);
    }

    #[test]
    fn the_end_is_local_time_with_the_remaining_time() {
        let zone = TimeZone::fixed(jiff::tz::offset(1));
        let now = "2026-01-02T00:04:00Z".parse().unwrap();
        let texts: Vec<String> = holds().iter().map(|hold| until(hold, now, &zone)).collect();
        assert_eq!(texts, ["-", "2026-01-03 08:00:00 (in 1d 6h)", "2026-01-02 02:00:00 (in 56m)", "-"]);
        let later = "2026-01-02T01:00:01Z".parse().unwrap();
        assert_eq!(until(&holds()[2], later, &zone), "2026-01-02 02:00:00 (over)");
    }

    #[test]
    fn a_calendar_goes_day_by_day() {
        let zone = TimeZone::fixed(jiff::tz::offset(1));
        let mut holds = holds();
        by_end(&mut holds);
        let expected = "\
2026-01-01, Thursday
  11:00  web04 out: alice (kernel), hold 4
  13:00  web01 out: alice (kernel), hold 1
  23:30  web02 out: alice (kernel), hold 2
2026-01-02, Friday
  00:30  web03 out: alice (kernel), hold 3
  01:04  now
  02:00  web03 comes back if healthy (hold 3)
2026-01-03, Saturday
  08:00  web02 comes back if healthy (hold 2)
without an end
         web04 out: alice (kernel), hold 4
         web01 out: alice (kernel), hold 1";
        assert_eq!(calendar(&holds, "2026-01-02T00:04:00Z".parse().unwrap(), &zone), expected);
    }
}
