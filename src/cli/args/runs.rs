//! The arguments of the commands about runs.

use std::collections::BTreeSet;

use clap::Args;
use clap::builder::NonEmptyStringValueParser;
use clap_complete::ArgValueCompleter;

use super::DrainOptions;
use super::holds::one_of;
use crate::api::RunRequest;
use crate::cli::complete;
use crate::farm::{BatchSize, FarmName, FlipOrder, InstanceName, Selector, Side, Span, StallAction, Steps};
use crate::plan::{Phase, Strategy};

#[derive(Debug, Args)]
pub(in crate::cli) struct Begin {
    /// The farm, as named in teeterd's configuration.
    #[arg(value_name = "FARM", add = ArgValueCompleter::new(complete::farms))]
    farm: FarmName,
    #[command(flatten)]
    pub(in crate::cli) options: RunOptions,
    /// Stop also for your own work around the deploy; TEETER_PHASE names the phase. Repeatable.
    #[arg(
        long = "phase",
        value_name = "PHASE",
        value_parser = one_of::<Phase>(&["before-out", "after-out", "after-in"])
    )]
    phases: Vec<Phase>,
}

impl Begin {
    /// The request for the API.
    pub(in crate::cli) fn request(&self) -> RunRequest {
        RunRequest { phases: self.phases.clone(), ..self.options.request(self.farm.clone()) }
    }
}

#[derive(Debug, Args)]
pub(in crate::cli) struct RunOptions {
    /// How to deploy: one half after the other, batch by batch, on the side without traffic, or with a share of the
    /// traffic first [default: see-saw].
    #[arg(
        long,
        value_name = "NAME",
        value_parser = one_of::<Strategy>(&["see-saw", "rolling", "blue-green", "canary"])
    )]
    strategy: Option<Strategy>,
    /// The version that the farm runs at the end.
    #[arg(long, value_name = "VERSION", value_parser = NonEmptyStringValueParser::new())]
    to: Option<String>,
    /// Only print the plan, and whether a guard refuses it.
    #[arg(long)]
    pub(in crate::cli) dry_run: bool,
    /// Which servers change first where the traffic is switched server by server: the servers that come in (overlap:
    /// both sides serve for a moment) or the servers that go out (gap: no server serves for a moment).
    #[arg(long, value_name = "WHICH", value_parser = one_of::<FlipOrder>(&["overlap", "gap"]))]
    order: Option<FlipOrder>,
    /// What to do if the caller does not report its work: keep the run as it is, or bring back the healthy servers.
    #[arg(
        long,
        value_name = "WHAT",
        requires = "stall_after",
        value_parser = one_of::<StallAction>(&["hold", "restore"])
    )]
    on_stall: Option<StallAction>,
    /// Time without a caller, or without a report.
    #[arg(long, value_name = "TIME")]
    stall_after: Option<Span>,
    /// With canary: the shares of the traffic to try one after the other, such as 5%,25%,100%.
    #[arg(long, value_name = "SHARES")]
    steps: Option<Steps>,
    /// With canary: how long each share lasts; `teeter advance` ends it early.
    #[arg(long, value_name = "TIME")]
    pause: Option<Span>,
    /// With rolling: how many servers go out together, as a number or a share such as 25%.
    #[arg(long, value_name = "N")]
    batch: Option<BatchSize>,
    /// With rolling: time for servers to settle after the work, before they are verified.
    #[arg(long, value_name = "TIME")]
    settle: Option<Span>,
    /// With rolling: how many servers may fail and stay out before the run stops.
    #[arg(long, value_name = "N")]
    max_failed: Option<usize>,
    /// Skip these members: they stay as they are. SERVER, BACKEND/SERVER or a shell glob. Repeatable.
    #[arg(long, value_name = "SEL", add = ArgValueCompleter::new(complete::servers))]
    without: Vec<Selector>,
    /// With rolling: go on even if too few servers are left in service.
    #[arg(long)]
    allow_outage: bool,
    /// Go on if this HAProxy does not answer; it gets the change as soon as it answers. Repeatable.
    #[arg(long, value_name = "NAME", add = ArgValueCompleter::new(complete::haproxys))]
    without_haproxy: Vec<InstanceName>,
    #[command(flatten)]
    drain: DrainOptions,
}

#[derive(Debug, Args)]
pub(in crate::cli) struct Flip {
    /// The farm, as named in teeterd's configuration.
    #[arg(value_name = "FARM", add = ArgValueCompleter::new(complete::farms))]
    farm: FarmName,
    /// The group that gets the traffic, or `all`; the other groups go on standby.
    #[arg(value_name = "GROUP", add = ArgValueCompleter::new(complete::sides))]
    to: Side,
    /// Only print the plan, and whether a guard refuses it.
    #[arg(long)]
    pub(in crate::cli) dry_run: bool,
    /// Which servers change first where the traffic is switched server by server.
    #[arg(long, value_name = "WHICH", value_parser = one_of::<FlipOrder>(&["overlap", "gap"]))]
    order: Option<FlipOrder>,
    /// Go on if this HAProxy does not answer; it gets the change as soon as it answers. Repeatable.
    #[arg(long, value_name = "NAME", add = ArgValueCompleter::new(complete::haproxys))]
    without_haproxy: Vec<InstanceName>,
    #[command(flatten)]
    drain: DrainOptions,
}

#[derive(Debug, Args)]
pub(in crate::cli) struct Advance {
    /// The run's number.
    #[arg(value_name = "RUN", add = ArgValueCompleter::new(complete::active_runs))]
    pub(in crate::cli) run: u64,
    /// Report that the work failed, with the reason.
    #[arg(long, value_name = "WHY", num_args = 0..=1, default_missing_value = "no reason was given")]
    pub(in crate::cli) failed: Option<String>,
    /// The step of the report (TEETER_STEP): a repeated report is then harmless.
    #[arg(long, value_name = "N")]
    pub(in crate::cli) step: Option<usize>,
    /// Report even if a `teeter deploy` works on the run; its hook is ended.
    #[arg(long)]
    pub(in crate::cli) force: bool,
}

impl RunOptions {
    /// The HAProxy instances that may be unreachable.
    pub(in crate::cli) fn without_haproxy(&self) -> BTreeSet<InstanceName> {
        self.without_haproxy.iter().cloned().collect()
    }

    /// The request for a deploy to this farm.
    pub(super) fn request(&self, farm: FarmName) -> RunRequest {
        RunRequest {
            farm,
            strategy: self.strategy,
            to: None,
            order: self.order,
            version: self.to.clone(),
            dry_run: self.dry_run,
            grace: self.drain.grace,
            deadline: self.drain.deadline,
            on_deadline: self.drain.on_deadline,
            on_stall: self.on_stall,
            stall_after: self.stall_after,
            steps: self.steps.clone(),
            pause: self.pause,
            batch: self.batch,
            settle: self.settle,
            max_failed: self.max_failed,
            without: self.without.clone().into(),
            allow_outage: self.allow_outage,
            phases: Vec::new(),
            without_haproxy: self.without_haproxy(),
        }
    }
}

impl Flip {
    /// The request for the API.
    pub(in crate::cli) fn request(&self) -> RunRequest {
        RunRequest {
            strategy: Some(Strategy::Flip),
            to: Some(self.to.clone()),
            order: self.order,
            dry_run: self.dry_run,
            grace: self.drain.grace,
            deadline: self.drain.deadline,
            on_deadline: self.drain.on_deadline,
            without_haproxy: self.without_haproxy.iter().cloned().collect(),
            ..RunRequest::new(self.farm.clone())
        }
    }
}
