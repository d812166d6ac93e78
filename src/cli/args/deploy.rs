//! The arguments of `teeter deploy`.

use std::ffi::OsString;
use std::num::NonZeroU16;
use std::path::PathBuf;

use clap::Args;
use clap::builder::NonEmptyStringValueParser;
use clap_complete::ArgValueCompleter;

use super::RunOptions;
use crate::api::RunRequest;
use crate::cli::complete;
use crate::farm::{FarmName, Span};
use crate::plan::Phase;

#[derive(Debug, Args)]
pub(in crate::cli) struct Deploy {
    /// The farm, as named in teeterd's configuration.
    #[arg(
        value_name = "FARM",
        add = ArgValueCompleter::new(complete::farms),
        required_unless_present_any = ["manifest", "resume"]
    )]
    farm: Option<FarmName>,
    /// Deploy all builds of a manifest file, farm by farm, instead of deploying to one farm.
    #[arg(long, value_name = "PATH", requires = "environment", conflicts_with_all = PLAN, conflicts_with_all = HOOKS)]
    pub(in crate::cli) manifest: Option<PathBuf>,
    /// With --manifest: the environment to deploy to, by its name in the file.
    #[arg(long, value_name = "NAME", requires = "manifest", conflicts_with = "farm")]
    pub(in crate::cli) environment: Option<String>,
    /// Take over this run at the step where it is, and do the rest of its work: after a hook that failed, a drain that
    /// timed out, or a lost connection. A failed step is tried again.
    #[arg(long, value_name = "RUN", conflicts_with_all = PLAN, conflicts_with_all = OTHERS)]
    pub(in crate::cli) resume: Option<u64>,
    #[command(flatten)]
    pub(in crate::cli) options: RunOptions,
    #[command(flatten)]
    pub(in crate::cli) hooks: HookOptions,
    /// The command that does the work, with its arguments. TEETER_SERVERS, TEETER_ADDRESSES, TEETER_VERSION,
    /// TEETER_GROUP, TEETER_FARM, TEETER_RUN, TEETER_STEP and TEETER_PHASE are in its environment.
    #[arg(last = true, value_name = "HOOK", required_unless_present_any = ["dry_run", "manifest"])]
    pub(in crate::cli) hook: Vec<OsString>,
}

/// Hooks around the work, and how the hook of the work is called.
#[derive(Debug, Clone, Default, Args)]
pub(in crate::cli) struct HookOptions {
    /// A shell command, run for each group before it goes out.
    #[arg(long, value_name = "COMMAND", value_parser = NonEmptyStringValueParser::new())]
    pub(in crate::cli) before_out: Option<String>,
    /// A shell command, run for each group when it is empty, before the hook.
    #[arg(long, value_name = "COMMAND", value_parser = NonEmptyStringValueParser::new())]
    pub(in crate::cli) after_out: Option<String>,
    /// A shell command, run for each group when it serves again.
    #[arg(long, value_name = "COMMAND", value_parser = NonEmptyStringValueParser::new())]
    pub(in crate::cli) after_in: Option<String>,
    /// Call the hook once for each server instead of once for each group.
    #[arg(long)]
    pub(in crate::cli) per_server: bool,
    /// With --per-server: the number of servers of a group to call it for in parallel.
    #[arg(long, value_name = "N", requires = "per_server")]
    pub(in crate::cli) parallel: Option<NonZeroU16>,
    /// The longest time for each call of a hook; then the hook is ended, and the step fails.
    #[arg(long, value_name = "TIME", value_parser = some_time)]
    pub(in crate::cli) hook_timeout: Option<Span>,
}

impl Deploy {
    /// The request; `None` where there is no farm, because a manifest names them.
    pub(in crate::cli) fn request(&self) -> Option<RunRequest> {
        let phases = self.hooks.phases().map(|(phase, _)| phase).collect();
        let farm = self.farm.clone()?;
        Some(RunRequest { phases, ..self.options.request(farm) })
    }
}

impl HookOptions {
    /// The shell commands around the hook, by phase.
    pub(in crate::cli) fn phases(&self) -> impl Iterator<Item = (Phase, &String)> {
        let commands = [
            (Phase::BeforeOut, &self.before_out),
            (Phase::AfterOut, &self.after_out),
            (Phase::AfterIn, &self.after_in),
        ];
        commands.into_iter().filter_map(|(phase, command)| command.as_ref().map(|command| (phase, command)))
    }
}

/// A length of time above zero.
pub(in crate::cli) fn some_time(text: &str) -> Result<Span, String> {
    let span: Span = text.parse().map_err(|error: crate::farm::SpanError| error.to_string())?;
    if span.is_zero() { Err("the time must be longer than zero".to_owned()) } else { Ok(span) }
}

/// Arguments that make the plan of a run: not for `--resume`, whose run has its plan, nor for `--manifest`, whose file
/// makes it.
const PLAN: [&str; 16] = [
    "farm",
    "strategy",
    "to",
    "order",
    "on_stall",
    "stall_after",
    "steps",
    "pause",
    "batch",
    "settle",
    "max_failed",
    "allow_outage",
    "without",
    "grace",
    "deadline",
    "on_deadline",
];

/// Arguments that give hooks, which the file of `--manifest` names.
const HOOKS: [&str; 7] = ["hook", "before_out", "after_out", "after_in", "per_server", "parallel", "hook_timeout"];

/// Further arguments that `--resume` has no use for.
const OTHERS: [&str; 4] = ["manifest", "environment", "dry_run", "without_haproxy"];
