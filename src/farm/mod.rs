//! The pure model: members, entries, groups, holds; what is wanted, what is seen, and the difference.
//!
//! Knows no input or output, no clock, no tokio. What it needs of HAProxy are its names, bits and commands.

mod bake;
mod balance;
mod built;
mod canary;
mod diff;
mod flip;

mod host;
mod in_use;
mod layout;
mod lines;
mod maps;
mod members;
mod model;
mod names;
mod out;
mod pattern;
mod reach;
mod renamed;
mod rolling;
mod process;
mod route;
mod route_check;
mod seen;
mod select;
mod served;
mod servers;
mod settings;
mod span;
mod trust;
mod unfarmed;
mod untold;
mod verify;
mod version;
mod wanted;
mod warm_up;

pub use bake::{BakeSettings, Counts, Share};
pub use balance::{Balance, Balances};
pub use built::BuiltAt;
pub use canary::{CanarySettings, Percent, Steps, weights};
pub use diff::{About, Batch, Begun, Step, diff};
pub use flip::{FlipMode, FlipOrder, FlipSettings, RouteKey, Sticky, file_of};
pub use host::{Host, HostError};
pub use in_use::{Off, left_aside};
pub use layout::{Farm, FarmError, Layout};
pub use lines::Lines;
pub use maps::{SeenMap, SeenMaps, WantedMap, WantedMaps, after, diff_maps, keys};
pub use members::{LineNames, Members};
pub use model::hold::{
    AfterProof, Baseline, Hold, Ladder, OnDeadline, Origin, Overruled, Owner, ProofPhase, Stage, Stays,
};
pub use names::{Entry, FarmName, GroupName, HoldId, InstanceName, MemberName, RunId};
pub use out::{Agent, OutBy};
pub use process::{SameProcess, beside};
pub use reach::{Reach, newcomers};
pub use renamed::Renamed;
pub use rolling::{BatchSize, RollingSettings};
pub use route::{Canary, Route, Side, cookie_version, wanted_maps};
pub use route_check::live_side;
pub use seen::{Load, Process, Seen, SeenBackend, SeenServer};
pub use select::{SelectError, Selector};
pub use served::{Gate, PutOff};
pub use servers::Servers;
pub use settings::{DrainSettings, FarmSettings, Halves, MinAvailable, OnDrift, OnStall, StallAction};
pub use span::{Span, SpanError};
pub use trust::TlsTrust;
pub use unfarmed::HoldsSettings;
pub use untold::{Reason, Untold, lacking};
pub use verify::{HttpProbe, VerifySettings};
pub use version::{BuiltSource, JsonPointer, Pattern, VersionSource};
pub use wanted::{Wanted, WantedServer, wanted};
pub use warm_up::{OnCold, WarmUp};
