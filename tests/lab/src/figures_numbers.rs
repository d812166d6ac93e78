//! Measurements, and the table and the JSON document of them.

use std::fmt;

use serde_json::{Value, json};

/// Measurements of one kind, smallest first.
pub(crate) struct Sample(Vec<f64>);

impl Sample {
    pub(crate) fn new(mut values: Vec<f64>) -> Self {
        values.sort_by(f64::total_cmp);
        Self(values)
    }

    /// The smallest value that is not below `share` of all values. Of fewer than a hundred, the 99th percentile is the
    /// largest.
    pub(crate) fn percentile(&self, share: f64) -> f64 {
        let rank = (share * self.0.len() as f64).ceil() as usize;
        self.0.get(rank.clamp(1, self.0.len().max(1)) - 1).copied().unwrap_or(f64::NAN)
    }

    pub(crate) fn len(&self) -> usize {
        self.0.len()
    }

    fn shown(&self) -> [f64; 4] {
        [self.percentile(0.0), self.percentile(0.5), self.percentile(0.99), self.percentile(1.0)]
    }
}

/// The memory of one process, in KiB.
#[derive(Clone, Copy)]
pub(crate) struct Memory {
    /// All of the process's memory that is in RAM: `VmRSS`.
    pub(crate) now: u64,
    /// Of it, pages of the program and of libraries that the system can drop and read again: `RssFile`.
    pub(crate) files: u64,
    /// The largest `VmRSS` so far: `VmHWM`.
    pub(crate) most: u64,
}

/// All measurements.
pub(crate) struct Figures {
    pub(crate) cores: usize,
    pub(crate) haproxy: String,
    pub(crate) deploys: usize,
    pub(crate) requests: usize,
    /// The number of requests that failed for clients, and of those that a server cut off when it was replaced.
    pub(crate) failed: u64,
    pub(crate) broken: u64,
    /// Requests a second while flips were measured.
    pub(crate) rate: f64,
    pub(crate) connections: usize,
    pub(crate) slow_drains: Sample,
    pub(crate) busy_drains: Sample,
    pub(crate) mixed: Sample,
    pub(crate) both: Sample,
    pub(crate) flips_mixed: usize,
    pub(crate) inversions: Sample,
    pub(crate) recorded: Sample,
    pub(crate) reloads: Sample,
    pub(crate) memory_before: Memory,
    pub(crate) memory_after: Memory,
    pub(crate) status: Sample,
    pub(crate) nothing: Sample,
}

impl Figures {
    fn rows(&self) -> [(&'static str, &'static str, &Sample); 9] {
        [
            ("drain, slow requests: last answer to hook", "ms", &self.slow_drains),
            ("drain, full load: last answer to hook", "ms", &self.busy_drains),
            ("flip: mixed window as clients saw it", "ms", &self.mixed),
            ("flip: requests in that window", "", &self.inversions),
            ("flip: both versions still answered", "ms", &self.both),
            ("flip: commands, as teeter recorded", "ms", &self.recorded),
            ("reload: new process to server out again", "ms", &self.reloads),
            ("teeter status, start to end", "ms", &self.status),
            ("/bin/true, start to end", "ms", &self.nothing),
        ]
    }

    /// The time of `teeter status` as a multiple of the time of a program that does nothing.
    fn ratio(&self) -> f64 {
        self.status.percentile(0.5) / self.nothing.percentile(0.5)
    }

    /// The JSON document.
    pub(crate) fn to_json(&self) -> Value {
        let sample = |sample: &Sample| {
            let [min, median, p99, max] = sample.shown();
            json!({"count": sample.0.len(), "min": min, "median": median, "p99": p99, "max": max, "all": sample.0})
        };
        let memory =
            |Memory { now, files, most }| json!({"rss_kib": now, "rss_files_kib": files, "high_water_kib": most});
        json!({
            "cores": self.cores,
            "haproxy": self.haproxy,
            "deploys": self.deploys,
            "requests": self.requests,
            "failed": self.failed,
            "broken": self.broken,
            "flip_connections": self.connections,
            "flip_requests_per_second": self.rate,
            "flips_with_inversions": self.flips_mixed,
            "drain_slow_ms": sample(&self.slow_drains),
            "drain_busy_ms": sample(&self.busy_drains),
            "flip_mixed_ms": sample(&self.mixed),
            "flip_both_ms": sample(&self.both),
            "flip_inversions": sample(&self.inversions),
            "flip_recorded_ms": sample(&self.recorded),
            "reload_ms": sample(&self.reloads),
            "status_ms": sample(&self.status),
            "true_ms": sample(&self.nothing),
            "status_to_true": self.ratio(),
            "memory_after_start": memory(self.memory_before),
            "memory_after_deploys": memory(self.memory_after),
        })
    }
}

impl fmt::Display for Figures {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        writeln!(f, "HAProxy {}, {} cores", self.haproxy, self.cores)?;
        writeln!(f, "{} deploys, {} requests", self.deploys, self.requests)?;
        writeln!(f, "failed {}, broken {}\n", self.failed, self.broken)?;
        writeln!(f, "{:44}{:>6}{:>10}{:>10}{:>10}{:>10}", "", "count", "min", "median", "p99", "max")?;
        for (what, unit, sample) in self.rows() {
            let digits = if unit.is_empty() { 0 } else { 2 };
            write!(f, "{:44}{:>6}", format!("{what} {unit}").trim_end(), sample.0.len())?;
            for value in sample.shown() {
                write!(f, "{value:>10.digits$}")?;
            }
            writeln!(f)?;
        }
        let flips = self.mixed.0.len();
        let (connections, rate) = (self.connections, self.rate);
        writeln!(
            f,
            "\n{} of {flips} flips had a mixed window; {connections} busy connections, {rate:.0} requests/s",
            self.flips_mixed
        )?;
        writeln!(f, "teeter status takes {:.1} times as long as /bin/true", self.ratio())?;
        for (when, memory) in [("after its start", self.memory_before), ("after all deploys", self.memory_after)] {
            let mib = |kib: u64| kib as f64 / 1024.0;
            let [now, own, most] = [memory.now, memory.now - memory.files, memory.most].map(mib);
            writeln!(f, "teeterd {when:17}  {now:.1} MiB now, its own {own:.1} MiB of it; {most:.1} MiB at most")?;
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn percentiles_are_values_that_were_measured() {
        let few = Sample::new(vec![3.0, 1.0, 2.0]);
        assert_eq!(few.shown(), [1.0, 2.0, 3.0, 3.0]);
        let many = Sample::new((1..=200).map(f64::from).collect());
        assert_eq!(many.shown(), [1.0, 100.0, 198.0, 200.0]);
        assert!(Sample::new(Vec::new()).percentile(0.5).is_nan());
    }
}
