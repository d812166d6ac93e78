//! Refusals in the log and in the metrics. The first refusal of a user in a minute is logged with its request; further
//! refusals are counted, so that no user can fill the log.

use std::collections::BTreeMap;
use std::sync::Mutex;
use std::time::Duration;

use crate::platform::lock;
use crate::state::Caller;

/// The refusals of each user after the first of the current minute.
static FURTHER: Mutex<BTreeMap<u32, u64>> = Mutex::new(BTreeMap::new());

/// Refused requests by reason, since teeterd was started.
static REFUSED: Mutex<BTreeMap<String, u64>> = Mutex::new(BTreeMap::new());

/// Counts a refused request by the kind of its problem. There are few kinds.
pub(super) fn count(kind: &str) {
    let reason = kind.strip_prefix("urn:teeter:").unwrap_or(kind);
    *lock(&REFUSED).entry(reason.to_owned()).or_default() += 1;
}

/// The refused requests by reason.
pub(super) fn counts() -> BTreeMap<String, u64> {
    lock(&REFUSED).clone()
}

/// Logs a refusal, or counts it.
pub(super) fn log(caller: &Caller, text: &str) {
    let Caller { user, uid, .. } = caller;
    if !is_first(*uid) {
        return;
    }
    tracing::warn!(uid, user, "refused: {text}");
    let (uid, user) = (*uid, user.clone());
    // Without a runtime, as in a test, every refusal is logged.
    let Ok(runtime) = tokio::runtime::Handle::try_current() else {
        end_minute(uid);
        return;
    };
    runtime.spawn(async move {
        tokio::time::sleep(MINUTE).await;
        match end_minute(uid) {
            0 => {}
            further => tracing::warn!(uid, user, "refused: {further} more requests of {user} in the last minute"),
        }
    });
}

/// Counts a refusal. Returns whether it is the first of a minute.
fn is_first(uid: u32) -> bool {
    let mut further = lock(&FURTHER);
    further.entry(uid).and_modify(|count| *count += 1).or_insert(0) == &0
}

/// Ends the minute of a user. Returns the number of refusals after the first.
fn end_minute(uid: u32) -> u64 {
    lock(&FURTHER).remove(&uid).unwrap_or_default()
}

const MINUTE: Duration = Duration::from_secs(60);

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_first_refusal_of_a_minute_is_logged_and_further_ones_are_counted_per_user() {
        let (ann, bob) = (4_000_000_001, 4_000_000_002);
        assert!(is_first(ann) && is_first(bob));
        assert_eq!((0..7).filter(|_| is_first(ann)).count(), 0);
        assert_eq!((end_minute(ann), end_minute(bob)), (7, 0));
        assert!(is_first(ann));
        end_minute(ann);
    }
}
