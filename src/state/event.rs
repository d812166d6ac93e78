//! Events, which are recorded together with the changes that they describe.

use jiff::Timestamp;
use serde::{Deserialize, Serialize};

use super::Caller;
use crate::farm::{HoldId, RunId};

/// An event to be recorded.
#[derive(Debug, Clone)]
pub struct NewEvent {
    /// The time of the event.
    pub at: Timestamp,
    /// The kind of the event: a word that does not change between versions.
    pub kind: &'static str,
    /// What happened, in a sentence.
    pub text: String,
    /// The run of the event; `None` if it belongs to no run.
    pub run: Option<RunId>,
    /// The hold of the event; `None` if it belongs to no hold.
    pub hold: Option<HoldId>,
    /// The caller that asked for the change; `None` where teeterd acted by itself.
    pub caller: Option<Caller>,
    /// The changes of the event's transaction; empty where this is not the first event of the transaction.
    pub changed: Vec<Changed>,
}

/// How a transaction changes one object, in words.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Changed {
    /// The object, such as `hold 3`.
    pub what: String,
    /// Its state before the change; `None` for a new object.
    pub before: Option<String>,
    /// Its state after the change; `None` for an object that was removed.
    pub after: Option<String>,
}

/// A recorded event.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Event {
    /// The number of the event; later events have larger numbers.
    pub id: u64,
    /// The time of the event.
    pub at: Timestamp,
    /// The kind of the event, as [`NewEvent::kind`].
    pub kind: String,
    /// What happened, in a sentence.
    pub text: String,
    /// The run of the event; `None` if it belongs to no run.
    pub run: Option<RunId>,
    /// The hold of the event; `None` if it belongs to no hold.
    pub hold: Option<HoldId>,
    /// The caller that asked for the change; `None` where teeterd acted by itself.
    pub caller: Option<Caller>,
    /// The changes of the event's transaction; empty where this is not the first event of the transaction.
    pub changed: Vec<Changed>,
}

/// An event without a caller.
pub fn event(at: Timestamp, kind: &'static str, text: String, run: Option<RunId>, hold: Option<HoldId>) -> NewEvent {
    NewEvent { at, kind, text, run, hold, caller: None, changed: Vec::new() }
}

/// An event with the caller that asked for the change.
pub fn asked(event: NewEvent, caller: &Caller) -> NewEvent {
    NewEvent { caller: Some(caller.clone()), ..event }
}
