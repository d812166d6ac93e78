//! What the commands about runs take.

use clap::Args;
use clap::builder::{NonEmptyStringValueParser, PossibleValuesParser};

use super::{DrainOptions, names, text};
use crate::api::RunRequest;
use crate::farm::{BatchSize, FarmName, InstanceName, Selector, Side, Span, Steps};

#[derive(Debug, Args)]
pub(in crate::cli) struct Begin {
    /// The farm, as named in teeterd's configuration.
    #[arg(value_name = "FARM")]
    farm: FarmName,
    #[command(flatten)]
    pub(in crate::cli) options: RunOptions,
    /// Stop for work of yours around the deploy, too: TEETER_PHASE says which it is. May be given several times.
    #[arg(long = "phase", value_name = "PHASE", value_parser = PossibleValuesParser::new(["before-out", "after-out", "after-in"]))]
    phases: Vec<String>,
}

impl Begin {
    /// As the API wants it.
    pub(in crate::cli) fn request(&self) -> RunRequest {
        RunRequest { farm: self.farm.to_string(), phases: self.phases.clone(), ..self.options.request() }
    }
}

#[derive(Debug, Args)]
pub(in crate::cli) struct RunOptions {
    /// How: one half after the other, batch by batch, on the side that gets no traffic, or with a share
    /// of the traffic first.
    #[arg(long, value_name = "NAME", value_parser = PossibleValuesParser::new(["see-saw", "rolling", "blue-green", "canary"]))]
    strategy: Option<String>,
    /// The version that is to run at the end.
    #[arg(long, value_name = "VERSION", value_parser = NonEmptyStringValueParser::new())]
    to: Option<String>,
    /// Only say what would be done, and whether a guard refuses it.
    #[arg(long)]
    pub(in crate::cli) dry_run: bool,
    /// Who goes first where servers are turned one by one: those that come in (both serve for a moment) or those that
    /// go out (nobody serves for a moment).
    #[arg(long, value_name = "WHICH", value_parser = PossibleValuesParser::new(["overlap", "gap"]))]
    order: Option<String>,
    /// What becomes of the run when nobody does its work: it stands still, or what is well comes back.
    #[arg(long, value_name = "WHAT", requires = "stall_after", value_parser = PossibleValuesParser::new(["hold", "restore"]))]
    on_stall: Option<String>,
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
    #[arg(long, value_name = "WHICH", value_parser = PossibleValuesParser::new(["overlap", "gap"]))]
    order: Option<String>,
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
    pub(in crate::cli) fn without_haproxy(&self) -> Vec<String> {
        names(&self.without_haproxy)
    }

    /// As the API wants it, but for the farm.
    pub(super) fn request(&self) -> RunRequest {
        RunRequest {
            farm: String::new(),
            strategy: self.strategy.clone(),
            to: None,
            order: self.order.clone(),
            version: self.to.clone(),
            dry_run: self.dry_run,
            grace: text(self.drain.grace),
            deadline: text(self.drain.deadline),
            on_deadline: self.drain.on_deadline.clone(),
            on_stall: self.on_stall.clone(),
            stall_after: text(self.stall_after),
            steps: self.steps.as_ref().map(ToString::to_string),
            pause: text(self.pause),
            batch: self.batch.map(|batch| batch.to_string()),
            settle: text(self.settle),
            max_failed: self.max_failed,
            without: self.without.iter().map(ToString::to_string).collect(),
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
            farm: self.farm.to_string(),
            strategy: Some("flip".to_owned()),
            to: Some(self.to.to_string()),
            order: self.order.clone(),
            dry_run: self.dry_run,
            grace: text(self.drain.grace),
            deadline: text(self.drain.deadline),
            on_deadline: self.drain.on_deadline.clone(),
            without_haproxy: names(&self.without_haproxy),
            ..RunRequest::default()
        }
    }
}
