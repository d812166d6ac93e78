//! The arguments of `teeter verdict`.

use std::path::PathBuf;

use clap::Args;

use crate::farm::{FarmName, Share};

use super::since::Since;

#[derive(Debug, Args)]
pub(in crate::cli) struct Verdict {
    /// The runs whose watches are judged.
    #[arg(value_name = "RUN", required_unless_present_any = ["farm", "file"])]
    pub(in crate::cli) runs: Vec<u64>,
    /// Judge the watches of this farm's runs, of the latest 200 runs.
    #[arg(long, value_name = "FARM", conflicts_with_all = ["runs", "file"])]
    pub(in crate::cli) farm: Option<FarmName>,
    /// With --farm: only runs that began since then, such as 30d or 2026-11-01.
    #[arg(long, value_name = "TIME", requires = "farm")]
    pub(in crate::cli) since: Option<Since>,
    /// Judge the counters in this file, `-` for standard input: a JSON array of points as `teeter show RUN --json`
    /// prints them under `watches`.
    #[arg(long, value_name = "FILE", conflicts_with = "runs")]
    pub(in crate::cli) file: Option<PathBuf>,
    /// Judge by this setting instead of the one that the watch had; 1% for a file.
    #[arg(long, value_name = "SHARE")]
    pub(in crate::cli) max_5xx: Option<Share>,
    /// Judge by this setting instead of the one that the watch had.
    #[arg(long, value_name = "SHARE")]
    pub(in crate::cli) max_errors: Option<Share>,
    /// The chance of a false rollback; 1% for a file.
    #[arg(long, value_name = "SHARE")]
    pub(in crate::cli) alpha: Option<Share>,
    /// Requests without which a side is never found no worse.
    #[arg(long, value_name = "N")]
    pub(in crate::cli) min_requests: Option<u64>,
    /// The counters of a file are of both sides over the same time.
    #[arg(long, requires = "file")]
    pub(in crate::cli) concurrent: bool,
}
