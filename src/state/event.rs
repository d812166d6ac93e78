//! Events: what happened, recorded together with the changes.

use jiff::Timestamp;
use serde::{Deserialize, Serialize};

use super::Caller;
use crate::farm::{HoldId, RunId};

/// Something that happened, to be recorded.
#[derive(Debug, Clone)]
pub struct NewEvent {
    /// When it happened.
    pub at: Timestamp,
    /// Its kind: a word that does not change between versions.
    pub kind: &'static str,
    /// What happened, in a sentence.
    pub text: String,
    /// The run it belongs to, if any.
    pub run: Option<RunId>,
    /// The hold it belongs to, if any.
    pub hold: Option<HoldId>,
    /// The caller that asked for it; `None` where teeterd acted by itself.
    pub caller: Option<Caller>,
    /// What its transaction changes; empty where this is not the first event of the transaction.
    pub changed: Vec<Changed>,
}

/// How a transaction changes one thing, in words.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Changed {
    /// The thing that changes, such as `hold 3`.
    pub what: String,
    /// What it was; `None` where it did not exist.
    pub before: Option<String>,
    /// What it is; `None` where it does not exist any more.
    pub after: Option<String>,
}

/// Something that happened, as recorded.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Event {
    /// Its number; later is larger.
    pub id: u64,
    /// When it happened.
    pub at: Timestamp,
    /// Its kind, as [`NewEvent::kind`].
    pub kind: String,
    /// What happened, in a sentence.
    pub text: String,
    /// The run it belongs to, if any.
    pub run: Option<RunId>,
    /// The hold it belongs to, if any.
    pub hold: Option<HoldId>,
    /// The caller that asked for it; `None` where teeterd acted by itself.
    pub caller: Option<Caller>,
    /// What its transaction changed; empty where this is not the first event of the transaction.
    pub changed: Vec<Changed>,
}

/// An event without a caller.
pub fn event(at: Timestamp, kind: &'static str, text: String, run: Option<RunId>, hold: Option<HoldId>) -> NewEvent {
    NewEvent { at, kind, text, run, hold, caller: None, changed: Vec::new() }
}

/// An event with the caller that asked for it.
pub fn asked(event: NewEvent, caller: &Caller) -> NewEvent {
    NewEvent { caller: Some(caller.clone()), ..event }
}
