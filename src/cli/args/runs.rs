//! What the commands about runs take.

use std::collections::BTreeSet;

use clap::Args;
use clap::builder::{NonEmptyStringValueParser, PossibleValuesParser, TypedValueParser as _};

use super::{DrainOptions, word};
use crate::api::RunRequest;
use crate::farm::{BatchSize, FarmName, FlipOrder, InstanceName, Selector, Side, Span, StallAction, Steps};
use crate::plan::{Phase, Strategy};

#[derive(Debug, Args)]
pub(in crate::cli) struct Begin {
    /// The farm, as named in teeterd's configuration.
    #[arg(value_name = "FARM")]
    farm: FarmName,
    #[command(flatten)]
    pub(in crate::cli) options: RunOptions,
    /// Stop for work of yours around the deploy, too: TEETER_PHASE says which it is. May be given several times.
    #[arg(long = "phase", value_name = "PHASE", value_parser = PossibleValuesParser::new(["before-out", "after-out", "after-in"]).try_map(word::<Phase>))]
    phases: Vec<Phase>,
}

impl Begin {
    /// As the API wants it.
    pub(in crate::cli) fn request(&self) -> RunRequest {
        RunRequest { phases: self.phases.clone(), ..self.options.request(self.farm.clone()) }
    }
}

#[derive(Debug, Args)]
pub(in crate::cli) struct RunOptions {
    /// How: one half after the other, batch by batch, on the side that gets no traffic, or with a share
    /// of the traffic first.
    #[arg(long, value_name = "NAME", value_parser = PossibleValuesParser::new(["see-saw", "rolling", "blue-green", "canary"]).try_map(word::<Strategy>))]
    strategy: Option<Strategy>,
    /// The version that is to run at the end.
    #[arg(long, value_name = "VERSION", value_parser = NonEmptyStringValueParser::new())]
    to: Option<String>,
    /// Only say what would be done, and whether a guard refuses it.
    #[arg(long)]
    pub(in crate::cli) dry_run: bool,
    /// Who goes first where servers are turned one by one: those that come in (both serve for a moment) or those that
    /// go out (nobody serves for a moment).
    #[arg(long, value_name = "WHICH", value_parser = PossibleValuesParser::new(["overlap", "gap"]).try_map(word::<FlipOrder>))]
    order: Option<FlipOrder>,
    /// What becomes of the run when nobody does its work: it stands still, or what is well comes back.
    #[arg(long, value_name = "WHAT", requires = "stall_after", value_parser = PossibleValuesParser::new(["hold", "restore"]).try_map(word::<StallAction>))]
    on_stall: Option<StallAction>,
    /// After what time without a caller, or without a report.
    #[arg(long, value_name = "TIME")]
    stall_after: Option<Span>,
    /// With canary: the shares of the traffic that are tried one after the other, such as 5%,25%,100%.
    #[arg(long, value_name = "SHARES")]
    steps: Option<Steps>,
    /// With canary: how long each share lasts; `teeter advance` cuts it short.
    #[arg(long, value_name = "TIME")]
    pause: Option<Span>,
    /// With rolling: how many servers go out together, a number or a share such as 25%.
    #[arg(long, value_name = "N")]
    batch: Option<BatchSize>,
    /// With rolling: how long servers may come to rest after the work, before they are asked.
    #[arg(long, value_name = "TIME")]
    settle: Option<Span>,
    /// With rolling: servers that may fail, and stay out, before the run stands still.
    #[arg(long, value_name = "N")]
    max_failed: Option<usize>,
    /// Leave these members aside: they are not touched, and go on as they are. By SERVER, BACKEND/SERVER or shell glob;
    /// may be given several times.
    #[arg(long, value_name = "SEL")]
    without: Vec<Selector>,
    /// With rolling: go on, too, where too few servers are left in service.
    #[arg(long)]
    allow_outage: bool,
    /// Go on though this HAProxy does not answer; it is told as soon as it does. May be given several times.
    #[arg(long, value_name = "NAME")]
    without_haproxy: Vec<InstanceName>,
    #[command(flatten)]
    drain: DrainOptions,
}

#[derive(Debug, Args)]
pub(in crate::cli) struct Flip {
    /// The farm, as named in teeterd's configuration.
    #[arg(value_name = "FARM")]
    farm: FarmName,
    /// The group that is to get the traffic; the others stand by. Or `all`.
    #[arg(value_name = "GROUP")]
    to: Side,
    /// Only say what would be done, and whether a guard refuses it.
    #[arg(long)]
    pub(in crate::cli) dry_run: bool,
    /// Who goes first where servers are turned one by one.
    #[arg(long, value_name = "WHICH", value_parser = PossibleValuesParser::new(["overlap", "gap"]).try_map(word::<FlipOrder>))]
    order: Option<FlipOrder>,
    /// Go on though this HAProxy does not answer; it is told as soon as it does. May be given several times.
    #[arg(long, value_name = "NAME")]
    without_haproxy: Vec<InstanceName>,
    #[command(flatten)]
    drain: DrainOptions,
}

#[derive(Debug, Args)]
pub(in crate::cli) struct Advance {
    /// The run's number.
    #[arg(value_name = "RUN")]
    pub(in crate::cli) run: u64,
    /// Report that the work has failed, and how.
    #[arg(long, value_name = "WHY", num_args = 0..=1, default_missing_value = "its caller says that it failed")]
    pub(in crate::cli) failed: Option<String>,
    /// The step that the report is about (TEETER_STEP): a report that comes twice then does no harm.
    #[arg(long, value_name = "N")]
    pub(in crate::cli) step: Option<usize>,
    /// Report all the same while a `teeter deploy` works on the run: its hook is ended.
    #[arg(long)]
    pub(in crate::cli) force: bool,
}

impl RunOptions {
    /// HAProxys that may be away, as the API wants them.
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
    /// As the API wants it.
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
