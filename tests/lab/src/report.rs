//! The report of a load: every request, and questions about them.
//!
//! All times are nanoseconds since the start of the load, of one monotonic clock.

use std::collections::BTreeMap;
use std::fmt;
use std::time::{Duration, Instant};

/// One request.
#[derive(Debug, Clone, Copy)]
pub struct Record {
    /// The connection (client) that made it.
    pub conn: u32,
    /// When the client first sent it.
    pub asked: u64,
    /// When it was last sent. This differs from `asked` only after a retry.
    pub sent: u64,
    /// When the last byte of the answer arrived, or when it failed.
    pub answered: u64,
    /// The status code; 0 for a connection that failed.
    pub status: u16,
    /// The index of the version; see [`LoadReport::version`].
    pub(crate) version: u16,
    /// The index of the server; see [`LoadReport::server`].
    pub(crate) server: u16,
}

impl Record {
    /// Whether it was answered with success.
    pub fn is_good(&self) -> bool {
        matches!(self.status, 200..=299 | 101)
    }

    /// The time from the first sending to the answer.
    pub fn took(&self) -> Duration {
        Duration::from_nanos(self.answered.saturating_sub(self.asked))
    }
}

/// The overlap of two versions in the answers.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Inversions {
    /// Requests that the old version answered although they were sent after a client had an answer of the new one.
    pub causal: usize,
    /// The time from the first answer of the new version until the last such request was sent.
    pub window: Duration,
}

/// The record of a load.
#[derive(Debug, Clone)]
pub struct LoadReport {
    /// When the load began: time zero of the records.
    pub started: Instant,
    /// Its duration, or that of the part that was cut out.
    pub lasted: Duration,
    /// Every request, in the order of their ends.
    pub records: Vec<Record>,
    /// The number of requests that were sent again because a kept connection was closed.
    pub retried: u64,
    /// The first few failures in words.
    pub complaints: Vec<String>,
    pub(crate) names: Vec<String>,
}

impl LoadReport {
    /// The version that answered; empty if none did.
    pub fn version(&self, record: &Record) -> &str {
        self.name(record.version)
    }

    /// The server that answered; empty if none did.
    pub fn server(&self, record: &Record) -> &str {
        self.name(record.server)
    }

    fn name(&self, id: u16) -> &str {
        self.names.get(usize::from(id)).map_or("", String::as_str)
    }

    /// The number of requests.
    pub fn requests(&self) -> usize {
        self.records.len()
    }

    /// Requests without an answer, or with a status other than 2xx and 101.
    pub fn failed(&self) -> Vec<&Record> {
        self.records.iter().filter(|record| !record.is_good()).collect()
    }

    /// The longest time until an answer.
    pub fn longest(&self) -> Duration {
        self.records.iter().map(Record::took).max().unwrap_or_default()
    }

    /// Requests a second.
    pub fn rate(&self) -> f64 {
        self.records.len() as f64 / self.lasted.as_secs_f64().max(1e-9)
    }

    /// Good answers of one version.
    pub fn answers_of(&self, version: &str) -> impl Iterator<Item = &Record> {
        let id = self.id(version);
        self.records.iter().filter(move |record| Some(record.version) == id && record.is_good())
    }

    fn id(&self, name: &str) -> Option<u16> {
        let at = self.names.iter().position(|known| known == name)?;
        u16::try_from(at).ok()
    }

    /// When this version first answered.
    pub fn first_of(&self, version: &str) -> Option<u64> {
        self.answers_of(version).map(|record| record.answered).min()
    }

    /// When the last request was sent that this version answered.
    pub fn last_sent_of(&self, version: &str) -> Option<u64> {
        self.answers_of(version).map(|record| record.sent).max()
    }

    /// When this version last answered.
    pub fn last_answered_of(&self, version: &str) -> Option<u64> {
        self.answers_of(version).map(|record| record.answered).max()
    }

    /// Good answers by version.
    pub fn by_version(&self) -> BTreeMap<String, usize> {
        self.count(|record| record.version)
    }

    /// Good answers by server.
    pub fn by_server(&self) -> BTreeMap<String, usize> {
        self.count(|record| record.server)
    }

    fn count(&self, id: impl Fn(&Record) -> u16) -> BTreeMap<String, usize> {
        let mut counts = BTreeMap::new();
        for record in self.records.iter().filter(|record| record.is_good()) {
            *counts.entry(self.name(id(record)).to_owned()).or_default() += 1;
        }
        counts
    }

    /// Adds the next part of the same load.
    pub fn join(&mut self, later: Self) {
        self.lasted += later.lasted;
        self.records.extend(later.records);
        self.retried += later.retried;
        self.complaints.extend(later.complaints);
        // A load never forgets names: later parts have the same ones and more.
        self.names = later.names;
    }

    /// The number of times in a row that this version has answered each of this many clients, at least. It counts only
    /// requests that were sent after any client last got another answer. From 1 on, every request that was sent before
    /// has ended.
    pub fn settled_on(&self, version: &str, clients: usize) -> usize {
        let id = self.id(version);
        let is_of_version = |record: &&Record| Some(record.version) == id && record.is_good();
        let last = self.records.iter().filter(|record| !is_of_version(record)).map(|record| record.answered).max();
        let mut times = vec![0; clients];
        let later = |record: &&Record| last.is_none_or(|last| record.sent > last);
        for record in self.records.iter().filter(is_of_version).filter(later) {
            if let Some(times) = times.get_mut(record.conn as usize) {
                *times += 1;
            }
        }
        times.into_iter().min().unwrap_or(0)
    }

    /// Whether the old version still got requests after the new one had answered.
    pub fn inversions(&self, old: &str, new: &str) -> Inversions {
        let Some(first) = self.first_of(new) else {
            return Inversions::default();
        };
        let late = || self.answers_of(old).filter(|record| record.sent > first);
        let last = late().map(|record| record.sent).max().unwrap_or(first);
        Inversions { causal: late().count(), window: Duration::from_nanos(last - first) }
    }
}

impl fmt::Display for LoadReport {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        writeln!(f, "requests     {}", self.requests())?;
        writeln!(f, "failed       {}", self.failed().len())?;
        writeln!(f, "retried      {}", self.retried)?;
        writeln!(f, "rate         {:.0}/s", self.rate())?;
        writeln!(f, "longest wait {:.3?}", self.longest())?;
        for (version, count) in self.by_version() {
            writeln!(f, "version {version:4} {count}")?;
        }
        for (server, count) in self.by_server() {
            writeln!(f, "server {server:5} {count}")?;
        }
        for complaint in &self.complaints {
            writeln!(f, "failure: {complaint}")?;
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn report(rows: &[(u64, u64, u16, u16)]) -> LoadReport {
        let record = |&(sent, answered, status, version): &(u64, u64, u16, u16)| Record {
            conn: 0,
            asked: sent,
            sent,
            answered,
            status,
            version,
            server: 0,
        };
        LoadReport {
            started: Instant::now(),
            lasted: Duration::from_secs(1),
            records: rows.iter().map(record).collect(),
            retried: 0,
            complaints: Vec::new(),
            names: ["", "v1", "v2"].map(str::to_owned).to_vec(),
        }
    }

    #[test]
    fn an_answer_that_was_only_late_is_no_inversion() {
        let report = report(&[(10, 90, 200, 1), (20, 40, 200, 2)]);
        assert_eq!(report.inversions("v1", "v2"), Inversions::default());
        assert_eq!(report.last_answered_of("v1"), Some(90));
    }

    #[test]
    fn a_request_sent_at_the_first_new_answer_is_no_inversion() {
        // The first good answer of the new version arrives at 40, and a failed one before that.
        let same_time = [(5, 20, 503, 2), (20, 40, 200, 2), (40, 60, 200, 1)];
        assert_eq!(report(&same_time).inversions("v1", "v2"), Inversions::default());
        let later = [(20, 40, 200, 2), (41, 60, 200, 1), (43, 50, 200, 1), (42, 90, 200, 1)];
        let seen = report(&later).inversions("v1", "v2");
        assert_eq!((seen.causal, seen.window), (3, Duration::from_nanos(3)));
    }

    #[test]
    fn the_other_direction_is_counted_by_itself() {
        let back = [(20, 40, 200, 1), (30, 50, 200, 2), (50, 60, 200, 2)];
        assert_eq!(report(&back).inversions("v2", "v1").causal, 1);
        assert_eq!(report(&back).inversions("v1", "v2").causal, 0);
        assert_eq!(report(&[(20, 40, 200, 1)]).inversions("v1", "v2"), Inversions::default());
    }

    #[test]
    fn a_version_without_answers_has_no_inversions() {
        assert_eq!(report(&[]).inversions("v1", "v2"), Inversions::default());
        assert_eq!(report(&[(1, 2, 200, 1)]).inversions("v1", "v2"), Inversions::default());
    }

    #[test]
    fn parts_of_a_load_are_one_load() {
        let mut first = report(&[(10, 90, 200, 1), (20, 40, 200, 2)]);
        first.join(report(&[(50, 60, 200, 1)]));
        assert_eq!(first.inversions("v1", "v2").causal, 1);
        assert_eq!(first.lasted, Duration::from_secs(2));
    }

    #[test]
    fn a_load_settles_when_every_client_has_sent_another_request() {
        let rows = [(10, 40, 200, 1), (30, 50, 200, 2), (41, 60, 200, 2)];
        assert_eq!(report(&rows).settled_on("v2", 1), 1);
        assert_eq!(report(&rows).settled_on("v2", 2), 0, "the second client has no answer");
        assert_eq!(report(&rows).settled_on("v1", 1), 0);
        let failed = [(41, 60, 200, 2), (61, 70, 503, 2), (70, 80, 200, 2)];
        assert_eq!(report(&failed).settled_on("v2", 1), 0, "sent before the failure was known");
    }

    #[test]
    fn a_request_sent_after_the_first_new_answer_is_an_inversion() {
        let report = report(&[(20, 40, 200, 2), (50, 60, 200, 1), (70, 80, 503, 1)]);
        let seen = report.inversions("v1", "v2");
        assert_eq!(seen.causal, 1);
        assert_eq!(seen.window, Duration::from_nanos(10));
        assert_eq!(report.failed().len(), 1);
    }
}
