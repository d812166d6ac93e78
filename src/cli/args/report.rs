//! The arguments of `teeter report`.

use std::path::PathBuf;

use clap::{ArgGroup, Args};
use clap_complete::ArgValueCompleter;

use super::Since;
use crate::cli::complete;
use crate::farm::FarmName;

#[derive(Debug, Args)]
#[command(group = ArgGroup::new("subject").args(["run", "farm"]).required(true))]
pub(in crate::cli) struct Report {
    /// The number of the run to report on.
    #[arg(value_name = "RUN", add = ArgValueCompleter::new(complete::runs))]
    pub(in crate::cli) run: Option<u64>,
    /// Report on the runs of this farm instead of one run.
    #[arg(long, value_name = "FARM", add = ArgValueCompleter::new(complete::farms))]
    pub(in crate::cli) farm: Option<FarmName>,
    /// With --farm: only runs that were started since then: a time ago such as 30d or 12w, or a point in time such as
    /// 2026-11-21 or '2026-11-21 14:00' (both in local time) or 2026-11-21T13:00:00Z.
    #[arg(long, value_name = "TIME", default_value = "30d", conflicts_with = "run")]
    pub(in crate::cli) since: Since,
    /// The file to write, which must not exist [default: standard output].
    #[arg(long, short, value_name = "FILE")]
    pub(in crate::cli) output: Option<PathBuf>,
}
