//! The pure model: members, server lines, groups, holds, routes; what is wanted, what is seen, and the difference.
//!
//! Knows no input or output, no clock, no tokio. Of HAProxy it needs names, bits and commands. The folders stand in the
//! order of their imports: each may use those above it, never one below.

mod names;
mod span;
mod built;
mod seen;
mod select;
mod settings;
mod layout;
mod model;
mod diff;

pub use built::BuiltAt;
pub use diff::gate::{Gate, PutOff};
pub use diff::maps::{SeenMap, SeenMaps, WantedMap, WantedMaps, after, diff_maps, keys};
pub use diff::untold::{Reason, Untold, lacking};
pub use diff::wanted::{Wanted, WantedServer, wanted};
pub use diff::{About, Batch, Begun, Step, diff};
pub use layout::lines::Lines;
pub use layout::live_side::live_side;
pub use layout::same_process::{SameProcess, beside};
pub use layout::{Farm, FarmError, Layout};
pub use model::hold::{
    AfterProof, Baseline, Hold, Ladder, OnDeadline, Origin, Overruled, Owner, ProofPhase, Stage, Stays,
};
pub use model::reach::{Reach, newcomers};
pub use model::renamed::Renamed;
pub use model::route::{Canary, Route, Side, cookie_version, wanted_maps};
pub use names::{Entry, FarmName, GroupName, HoldId, InstanceName, MemberName, RunId};
pub use seen::balance::{Balance, Balances};
pub use seen::in_use::{Off, left_aside};
pub use seen::out::{Agent, OutBy};
pub use seen::servers::Servers;
pub use seen::{Load, Process, Seen, SeenBackend, SeenServer};
pub use select::host::{Host, HostError};
pub use select::selector::{SelectError, Selector};
pub use settings::bake::{BakeSettings, Counts, Share};
pub use settings::canary::{CanarySettings, Percent, Steps, weights};
pub use settings::flip::{FlipMode, FlipOrder, FlipSettings, RouteKey, Sticky, file_of};
pub use settings::holds::HoldsSettings;
pub use settings::members::{LineNames, Members};
pub use settings::rolling::{BatchSize, RollingSettings};
pub use settings::trust::TlsTrust;
pub use settings::verify::{HttpProbe, VerifySettings};
pub use settings::version::{BuiltSource, JsonPointer, Pattern, VersionSource};
pub use settings::warm_up::{OnCold, WarmUp};
pub use settings::{DrainSettings, FarmSettings, Halves, MinAvailable, OnDrift, OnStall, StallAction};
pub use span::{Span, SpanError};
