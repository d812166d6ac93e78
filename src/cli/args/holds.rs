//! The arguments of `teeter drain`, `maint`, `ready` and `wait`.

use clap::builder::{NonEmptyStringValueParser, PossibleValuesParser, TypedValueParser};
use clap::{Args, ValueEnum};
use clap_complete::ArgValueCompleter;
use serde::de::DeserializeOwned;

use super::{Servers, Waited, some_time};
use crate::api::{HoldMode, HoldRequest};
use crate::cli::complete;
use crate::farm::{InstanceName, OnDeadline, Span};

#[derive(Debug, Args)]
pub(in crate::cli) struct Take {
    #[command(flatten)]
    pub(in crate::cli) servers: Servers,
    /// The reason, shown by `teeter holds`.
    #[arg(long, value_name = "TEXT", value_parser = NonEmptyStringValueParser::new())]
    reason: String,
    /// Bring the servers back automatically after this time.
    #[arg(long = "for", value_name = "TIME")]
    expires_in: Option<Span>,
    /// Return at once; do not wait until nothing is in flight.
    #[arg(long)]
    pub(in crate::cli) no_wait: bool,
    /// Wait also until HAProxy keeps no idle connections to the servers.
    #[arg(long)]
    idle: bool,
    /// Also take out the last servers of a backend.
    #[arg(long)]
    allow_outage: bool,
    /// Refuse if a farm would have fewer members in service than its min_available, even if members are out already.
    #[arg(long, conflicts_with = "allow_outage")]
    all_but_min: bool,
    /// Go on if this HAProxy does not answer; it gets the change as soon as it answers. Repeatable.
    #[arg(long, value_name = "NAME", add = ArgValueCompleter::new(complete::haproxys))]
    without_haproxy: Vec<InstanceName>,
    #[command(flatten)]
    pub(in crate::cli) drain: DrainOptions,
}

#[derive(Debug, Default, Args)]
pub(in crate::cli) struct DrainOptions {
    /// Let sticky clients stay for this time.
    #[arg(long, value_name = "TIME")]
    pub(super) grace: Option<Span>,
    /// The longest wait until nothing is in flight.
    #[arg(long, value_name = "TIME")]
    pub(super) deadline: Option<Span>,
    /// What to do if requests are in flight at the deadline: stop, end them, go on, or bring the servers back.
    #[arg(long, value_name = "WHAT", value_parser = one_of::<OnDeadline>(&["fail", "kill", "proceed", "restore"]))]
    pub(in crate::cli) on_deadline: Option<OnDeadline>,
}

#[derive(Debug, Args)]
pub(in crate::cli) struct Ready {
    #[command(flatten)]
    pub(in crate::cli) servers: Servers,
    /// Bring the servers back without waiting for checks and probes.
    #[arg(long)]
    pub(in crate::cli) no_verify: bool,
    /// Time for checks and probes to pass [default: verify.deadline of the farm].
    #[arg(long, value_name = "TIME", conflicts_with = "no_verify", value_parser = some_time)]
    pub(in crate::cli) deadline: Option<Span>,
    /// Also bring back servers that run another version than the servers in service.
    #[arg(long)]
    pub(in crate::cli) force: bool,
    /// Also bring back servers that were set to maintenance or drain outside teeter.
    #[arg(long)]
    pub(in crate::cli) take_over: bool,
    /// The owner of the hold to end [default: you].
    #[arg(
        long,
        value_name = "NAME",
        add = ArgValueCompleter::new(complete::owners),
        value_parser = NonEmptyStringValueParser::new()
    )]
    pub(in crate::cli) owner: Option<String>,
    /// Go on if this HAProxy does not answer; it gets the change as soon as it answers. Repeatable.
    #[arg(long, value_name = "NAME", add = ArgValueCompleter::new(complete::haproxys))]
    pub(in crate::cli) without_haproxy: Vec<InstanceName>,
    /// Return at once; do not wait until the servers are back.
    #[arg(long)]
    pub(in crate::cli) no_wait: bool,
}

#[derive(Debug, Args)]
pub(in crate::cli) struct Wait {
    #[command(flatten)]
    pub(in crate::cli) servers: Waited,
    /// The state to wait for: out of service with nothing in flight, or taking traffic.
    #[arg(long, value_enum, required_unless_present = "haproxy")]
    pub(in crate::cli) until: Option<Until>,
    /// The longest wait.
    #[arg(long, value_name = "TIME", default_value = "60s")]
    pub(in crate::cli) timeout: Span,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub(in crate::cli) enum Until {
    Drained,
    Up,
}

impl Take {
    /// The request for the API.
    pub(in crate::cli) fn request(&self, mode: HoldMode) -> HoldRequest {
        HoldRequest {
            selectors: self.servers.all().into(),
            mode,
            reason: self.reason.clone(),
            expires_in: self.expires_in,
            grace: self.drain.grace,
            deadline: self.drain.deadline,
            on_deadline: self.drain.on_deadline,
            idle: self.idle,
            allow_outage: self.allow_outage,
            all_but_min: self.all_but_min,
            without_haproxy: self.without_haproxy.iter().cloned().collect(),
        }
    }
}

/// Reads one of these words of the API.
pub(super) fn one_of<T: DeserializeOwned + Clone + Send + Sync + 'static>(
    words: &'static [&'static str],
) -> impl TypedValueParser<Value = T> {
    PossibleValuesParser::new(words).try_map(|word| serde_json::from_value(word.into()))
}
