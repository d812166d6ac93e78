//! The arguments of `teeter events`.

use clap::Args;
use clap_complete::ArgValueCompleter;

use super::Since;
use crate::cli::complete;

#[derive(Debug, Args)]
pub(in crate::cli) struct Events {
    /// Keep printing new events.
    #[arg(long, short)]
    pub(in crate::cli) follow: bool,
    /// Only the events of this run.
    #[arg(value_name = "RUN", add = ArgValueCompleter::new(complete::runs))]
    pub(in crate::cli) run: Option<u64>,
    /// Only events since then: a time ago such as 2h or 3d, or a point in time such as 2026-11-21 or '2026-11-21 14:00'
    /// (both in local time) or 2026-11-21T13:00:00Z.
    #[arg(long, value_name = "TIME")]
    pub(in crate::cli) since: Option<Since>,
    /// The most events, of the latest [default: 50; with --since: 5000].
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(u64).range(1..))]
    pub(in crate::cli) limit: Option<u64>,
}
