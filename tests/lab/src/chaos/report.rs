//! The report: the results by fault.

use std::collections::BTreeMap;
use std::fmt;
use std::time::Duration;

/// The results of all cases.
#[derive(Debug, Default)]
pub struct ChaosReport {
    pub(crate) rows: BTreeMap<&'static str, Row>,
    pub(crate) haproxy: String,
    pub(crate) lasted: Duration,
    /// The assertions that failed.
    pub violations: Vec<String>,
}

#[derive(Debug, Default)]
pub(crate) struct Row {
    pub(crate) cases: usize,
    pub(crate) violated: usize,
    pub(crate) excused: usize,
    pub(crate) skipped: Option<String>,
}

impl ChaosReport {
    /// Cases of all faults together.
    pub fn cases(&self) -> usize {
        self.rows.values().map(|row| row.cases).sum()
    }

    /// Faults that could not be caused here, and the reasons.
    pub fn skipped(&self) -> impl Iterator<Item = (&'static str, &str)> {
        self.rows.iter().filter_map(|(name, row)| Some((*name, row.skipped.as_deref()?)))
    }
}

impl fmt::Display for ChaosReport {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        writeln!(f, "HAProxy {}, {} s", self.haproxy, self.lasted.as_secs())?;
        writeln!(f, "{:24}{:>8}{:>12}{:>10}", "fault", "cases", "violations", "excused")?;
        for (name, row) in &self.rows {
            match &row.skipped {
                Some(why) => writeln!(f, "{name:24}{:>8}  skipped: {why}", "-")?,
                None => writeln!(f, "{name:24}{:>8}{:>12}{:>10}", row.cases, row.violated, row.excused)?,
            }
        }
        let sum = |count: fn(&Row) -> usize| self.rows.values().map(count).sum::<usize>();
        let (cases, violated, excused) = (self.cases(), sum(|row| row.violated), sum(|row| row.excused));
        writeln!(f, "{:24}{cases:>8}{violated:>12}{excused:>10}", "all")?;
        for violation in &self.violations {
            writeln!(f, "violation: {violation}")?;
        }
        Ok(())
    }
}
