//! The pure model: members, server lines, groups, holds and routes; the wanted state, the state that HAProxy shows, and
//! the commands that change one into the other.
//!
//! This module has no input or output, no clock and no tokio. Of HAProxy it uses names, state bits and commands. The
//! modules stand in the order of their imports: each may use those above it, never one below.

mod names;
mod natural;
mod span;
mod built;
mod error;
mod seen;
mod select;
mod settings;
mod layout;
mod model;
mod diff;

pub use built::BuiltAt;
pub use diff::batch::{About, Batch, BatchStep};
pub use diff::gate::{Gate, PutOff};
pub use diff::maps::{diff_maps, entries_after, keys_to_look_up};
pub use diff::servers::{StartedVerifications, diff};
pub use diff::wanted::{Wanted, WantedServer, wanted};
pub use diff::wanted_maps::{WantedMap, WantedMaps, wanted_maps};
pub use diff::withheld::{Reason, Withheld, missing_maps};
pub use error::FarmError;
pub use layout::arrange::Layout;
pub use layout::lines::Lines;
pub use layout::live_side::live_side;
pub use layout::same_process::{SameProcess, other_lines_of};
pub use model::baseline::{Baseline, Origin, Overruled};
pub use model::hold::{AfterVerify, Emptying, Hold, Ladder, Owner, Stage, Stays, Verification, VerifyPhase};
pub use model::joining::newcomers;
pub use model::line_names::LineNames;
pub use model::reach::Reach;
pub use model::renamed::Renamed;
pub use model::route::{Canary, Route, cookie_version};
pub use model::weights::weights;
pub use names::{Entry, FarmName, GroupName, HoldId, InstanceName, MemberName, RunId};
pub use natural::natural;
pub use seen::balance::{Balance, Balances};
pub use seen::counts::Counts;
pub use seen::in_use::skipped_lines;
pub use seen::maps::{SeenMap, SeenMaps};
pub use seen::off::Off;
pub use seen::out::{Agent, OutBy};
pub use seen::process::Process;
pub use seen::server::{Load, SeenServer};
pub use seen::servers::Servers;
pub use seen::snapshot::{Seen, SeenBackend};
pub use select::error::SelectError;
pub use select::host::{Host, HostError};
pub use select::selector::Selector;
pub use select::similar::similar;
pub use settings::bake::{BakeSettings, OnInconclusive, Share};
pub use settings::canary::{CanarySettings, Percent, Steps};
pub use settings::count::{BatchSize, MinAvailable};
pub use settings::drain::{DrainSettings, OnDeadline};
pub use settings::drift::OnDrift;
pub use settings::farm::Farm;
pub use settings::farm_settings::{FarmSettings, Halves, OnStall, StallAction};
pub use settings::flip::{FlipMode, FlipOrder, FlipSettings, Sticky};
pub use settings::holds::HoldsSettings;
pub use settings::members::Members;
pub use settings::probe::HttpProbe;
pub use settings::rolling::RollingSettings;
pub use settings::route_key::{RouteKey, file_of};
pub use settings::side::Side;
pub use settings::trust::TlsTrust;
pub use settings::verify::VerifySettings;
pub use settings::version::{BuiltSource, JsonPointer, Pattern, VersionSource};
pub use settings::warm_up::{OnCold, WarmUp};
pub use span::{Span, SpanError};
