//! Events: what happened, recorded together with the changes.

use jiff::Timestamp;
use serde::{Deserialize, Serialize};

use super::Caller;
use crate::farm::{HoldId, RunId};

/// Something that happened, to be recorded.
#[derive(Debug, Clone)]
pub struct NewEvent {
    /// When.
    pub at: Timestamp,
    /// What kind, a stable word.
    pub kind: &'static str,
    /// What happened, for people.
    pub text: String,
    /// The run it belongs to.
    pub run: Option<RunId>,
    /// The hold it belongs to.
    pub hold: Option<HoldId>,
    /// Who asked for it.
    pub caller: Option<Caller>,
    /// What its transaction changes, where it is the first event of that.
    pub changed: Vec<Changed>,
}

/// What a transaction makes of one thing, in words.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Changed {
    /// Of what.
    pub what: String,
    /// What it was; `None` where it was not there.
    pub before: Option<String>,
    /// What it is; `None` where it is not there any more.
    pub after: Option<String>,
}

/// Something that happened, as recorded.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Event {
    /// Its number; later is larger.
    pub id: u64,
    /// When.
    pub at: Timestamp,
    /// What kind.
    pub kind: String,
    /// What happened.
    pub text: String,
    /// The run it belongs to.
    pub run: Option<RunId>,
    /// The hold it belongs to.
    pub hold: Option<HoldId>,
    /// Who asked for it.
    pub caller: Option<Caller>,
    /// What its transaction changed, where it is the first event of that.
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
