//! Each metric with its name, help, unit and labels.

use std::collections::BTreeMap;
use std::fmt::Error;

use prometheus_client::collector::Collector;
use prometheus_client::encoding::{DescriptorEncoder, NoLabelSet};
use prometheus_client::metrics::MetricType;
use prometheus_client::registry::Unit;

use crate::engine::{ActiveState, BOUNDS, Durations, HoldStage, Numbers, RunEnd};
use crate::state::DrainOutcome;

/// The metrics of one moment.
#[derive(Debug)]
pub(super) struct Families {
    pub(super) numbers: Numbers,
    pub(super) refusals: BTreeMap<String, u64>,
}

/// The labels of a sample.
type Labels = Vec<(&'static str, String)>;

impl Collector for Families {
    fn encode(&self, mut encoder: DescriptorEncoder<'_>) -> Result<(), Error> {
        let to = &mut encoder;
        self.build(to)?;
        self.haproxys(to)?;
        self.holds(to)?;
        self.runs(to)?;
        self.durations(to)?;
        self.counters(to)?;
        let size = self.numbers.store_bytes.map(|bytes| (Labels::new(), bytes as f64));
        gauge(to, "teeter_store_size", "Size of the store on the disk", Some(&Unit::Bytes), size.into_iter())
    }
}

impl Families {
    fn build(&self, to: &mut DescriptorEncoder<'_>) -> Result<(), Error> {
        let version = vec![("version", env!("CARGO_PKG_VERSION").to_owned())];
        let help = "The version of teeterd, always 1";
        gauge(to, "teeter_build_info", help, None, [(version, 1.0)].into_iter())
    }

    fn haproxys(&self, to: &mut DescriptorEncoder<'_>) -> Result<(), Error> {
        let samples = |is: fn(&crate::engine::HaproxyNumbers) -> bool| {
            let haproxys = self.numbers.haproxys.iter();
            haproxys.map(move |(name, numbers)| (vec![("haproxy", name.to_string())], f64::from(u8::from(is(numbers)))))
        };
        let help = "Whether HAProxy answered the last time, 1 or 0";
        gauge(to, "teeter_haproxy_up", help, None, samples(|numbers| numbers.up))?;
        let help = "Whether HAProxy agrees with what teeterd has stored, 1 or 0";
        gauge(to, "teeter_haproxy_agrees", help, None, samples(|numbers| numbers.agrees))
    }

    fn holds(&self, to: &mut DescriptorEncoder<'_>) -> Result<(), Error> {
        let labels = |stage: &HoldStage, ends: bool| {
            let ends = if ends { "yes" } else { "no" };
            vec![("stage", hold_stage(*stage).to_owned()), ("ends", ends.to_owned())]
        };
        let holds = self.numbers.holds.iter();
        let counts = holds.clone().map(|((stage, ends), numbers)| (labels(stage, *ends), numbers.count as f64));
        gauge(to, "teeter_holds", "Holds by stage, and whether they end by themselves", None, counts)?;
        let oldest =
            holds.map(|((stage, ends), numbers)| (labels(stage, *ends), numbers.oldest.as_duration().as_secs_f64()));
        let help = "When the oldest hold began, in seconds since 1970";
        gauge(to, "teeter_oldest_hold_timestamp", help, Some(&Unit::Seconds), oldest)
    }

    fn runs(&self, to: &mut DescriptorEncoder<'_>) -> Result<(), Error> {
        let runs = self.numbers.runs.iter().map(|((farm, state), count)| {
            let state = active_state(*state).to_owned();
            (vec![("farm", farm.to_string()), ("state", state)], *count as f64)
        });
        gauge(to, "teeter_active_runs", "Runs that have not ended, by state", None, runs)?;
        let waits = self.numbers.waits.iter().map(|((farm, reason), seconds)| {
            (vec![("farm", farm.to_string()), ("for", (*reason).to_owned())], *seconds)
        });
        let help = "How long an active run has been at its step, by what it waits for";
        gauge(to, "teeter_run_waiting", help, Some(&Unit::Seconds), waits)
    }

    fn durations(&self, to: &mut DescriptorEncoder<'_>) -> Result<(), Error> {
        let totals = &self.numbers.totals;
        let drains = totals.drains.iter().map(|((farm, end), durations)| {
            let farm = farm.as_ref().map(ToString::to_string).unwrap_or_default();
            (vec![("farm", farm), ("outcome", drain_end(*end).to_owned())], durations)
        });
        histogram(to, "teeter_drain_duration", "How long drains took", drains)?;
        let flips = totals.flips.iter().map(|((farm, is_route), durations)| {
            let by = if *is_route { "route" } else { "servers" };
            (vec![("farm", farm.to_string()), ("by", by.to_owned())], durations)
        });
        let help = "From the first command of a flip to the last confirmation, in the slowest HAProxy";
        histogram(to, "teeter_flip_duration", help, flips)?;
        let runs = totals.runs.iter().map(|((farm, strategy, end), durations)| {
            let labels = vec![
                ("farm", farm.to_string()),
                ("strategy", strategy.to_string()),
                ("outcome", run_end(*end).to_owned()),
            ];
            (labels, durations)
        });
        histogram(to, "teeter_run_duration", "How long runs took, from their beginning to their end", runs)
    }

    fn counters(&self, to: &mut DescriptorEncoder<'_>) -> Result<(), Error> {
        let drifts = [(Labels::new(), self.numbers.totals.drifts)];
        counter(to, "teeter_drifts", "Changes of held servers and routes outside teeter", drifts.into_iter())?;
        let refusals = self.refusals.iter().map(|(reason, count)| (vec![("reason", reason.clone())], *count));
        counter(to, "teeter_refused_requests", "Requests that teeterd has refused, by reason", refusals)
    }
}

fn gauge(
    to: &mut DescriptorEncoder<'_>,
    name: &str,
    help: &str,
    unit: Option<&Unit>,
    samples: impl Iterator<Item = (Labels, f64)>,
) -> Result<(), Error> {
    let mut samples = samples.peekable();
    if samples.peek().is_none() {
        return Ok(());
    }
    let mut family = to.encode_descriptor(name, help, unit, MetricType::Gauge)?;
    for (labels, value) in samples {
        match labels.is_empty() {
            true => family.encode_gauge(&value)?,
            false => family.encode_family(&labels)?.encode_gauge(&value)?,
        }
    }
    Ok(())
}

fn counter(
    to: &mut DescriptorEncoder<'_>,
    name: &str,
    help: &str,
    samples: impl Iterator<Item = (Labels, u64)>,
) -> Result<(), Error> {
    let mut samples = samples.peekable();
    if samples.peek().is_none() {
        return Ok(());
    }
    let mut family = to.encode_descriptor(name, help, None, MetricType::Counter)?;
    for (labels, value) in samples {
        match labels.is_empty() {
            true => family.encode_counter::<NoLabelSet, _, f64>(&value, None)?,
            false => family.encode_family(&labels)?.encode_counter::<NoLabelSet, _, f64>(&value, None)?,
        }
    }
    Ok(())
}

fn histogram<'a>(
    to: &mut DescriptorEncoder<'_>,
    name: &str,
    help: &str,
    samples: impl Iterator<Item = (Labels, &'a Durations)>,
) -> Result<(), Error> {
    let mut samples = samples.peekable();
    if samples.peek().is_none() {
        return Ok(());
    }
    let mut family = to.encode_descriptor(name, help, Some(&Unit::Seconds), MetricType::Histogram)?;
    for (labels, durations) in samples {
        let bounds = BOUNDS.into_iter().chain([f64::INFINITY]);
        let buckets: Vec<(f64, u64)> = bounds.zip(durations.buckets).collect();
        let count = durations.buckets.iter().sum();
        family.encode_family(&labels)?.encode_histogram::<NoLabelSet>(durations.sum, count, &buckets, None)?;
    }
    Ok(())
}

fn hold_stage(stage: HoldStage) -> &'static str {
    match stage {
        HoldStage::Draining => "draining",
        HoldStage::Stuck => "stuck",
        HoldStage::Out => "out",
        HoldStage::Standby => "standby",
        HoldStage::Verifying => "verifying",
        HoldStage::Shared => "shared",
        HoldStage::Verified => "verified",
    }
}

fn active_state(state: ActiveState) -> &'static str {
    match state {
        ActiveState::Running => "running",
        ActiveState::Paused => "paused",
        ActiveState::Failed => "failed",
        ActiveState::Aborting => "aborting",
    }
}

fn drain_end(end: DrainOutcome) -> &'static str {
    match end {
        DrainOutcome::Empty => "drained",
        DrainOutcome::WentOn => "proceeded",
        DrainOutcome::Stuck => "timed_out",
        DrainOutcome::Restored => "released",
    }
}

fn run_end(end: RunEnd) -> &'static str {
    match end {
        RunEnd::Done => "done",
        RunEnd::Aborted => "aborted",
        RunEnd::RolledBack => "rolled_back",
    }
}
