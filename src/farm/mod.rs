//! The pure model: members, entries, groups, holds; what is wanted, what is seen, and the difference.
//!
//! Knows no input or output, no clock, no tokio. What it needs of HAProxy are its names, bits and commands.

mod diff;
mod hold;
mod layout;
mod names;
mod seen;
mod select;
mod settings;
mod span;
mod wanted;

pub use diff::{Begun, Step, diff};
pub use hold::{AfterProof, Baseline, Hold, Ladder, OnDeadline, Owner, ProofPhase, Stage};
pub use layout::{Farm, FarmError, Layout};
pub use names::{Entry, FarmName, GroupName, HoldId, InstanceName, MemberName, RunId};
pub use seen::{Load, Seen, SeenServer};
pub use select::{SelectError, Selector};
pub use settings::{DrainSettings, FarmSettings, Halves, HttpProbe, MinAvailable, VerifySettings, VersionSource};
pub use span::{Span, SpanError};
pub use wanted::{Wanted, WantedServer, wanted};
