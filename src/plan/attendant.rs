//! The process that does a run's work and stays attached to the run meanwhile.

use std::fmt;

use jiff::Timestamp;
use serde::{Deserialize, Serialize};

/// A caller that is attached to a run, such as `teeter deploy`: its user and process as the kernel names them, and what
/// it says of itself.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Attendant {
    /// The name of its user.
    pub user: String,
    /// The user's id.
    pub uid: u32,
    /// The process id; `None` where it is not known.
    pub pid: Option<i32>,
    /// A secret that only this caller knows; `None` where it has named none.
    #[serde(default)]
    pub key: Option<String>,
    /// The terminal and the host from which it is used, as the caller names them.
    #[serde(default)]
    pub place: Option<String>,
    /// The command that it runs, as the caller names it.
    #[serde(default)]
    pub what: Option<String>,
    /// When it was attached.
    pub since: Timestamp,
}

impl Attendant {
    /// Whether a request comes from this caller: by its key or, where it has named none, by its process.
    pub fn is(&self, uid: u32, pid: Option<i32>, key: Option<&str>) -> bool {
        match &self.key {
            Some(own) => key == Some(own),
            None => self.uid == uid && self.pid.is_some() && self.pid == pid,
        }
    }
}

impl fmt::Display for Attendant {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.user)?;
        match &self.place {
            Some(place) => write!(f, " on {place}")?,
            None => f.write_str(" without a terminal")?,
        }
        match &self.what {
            Some(what) => write!(f, " runs {what}")?,
            None => f.write_str(" does the work of the run")?,
        }
        self.pid.iter().try_for_each(|pid| write!(f, " (process {pid})"))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn alice(key: Option<&str>, pid: Option<i32>) -> Attendant {
        Attendant {
            user: "alice".to_owned(),
            uid: 7,
            pid,
            key: key.map(ToOwned::to_owned),
            place: Some("pts/3 from 10.0.0.9".to_owned()),
            what: Some("teeter deploy".to_owned()),
            since: Timestamp::UNIX_EPOCH,
        }
    }

    #[test]
    fn a_caller_with_a_key_is_known_by_the_key_alone() {
        let keyed = alice(Some("k"), Some(1));
        // Another connection of the same caller, from another process.
        assert!(keyed.is(7, None, Some("k")));
        for key in [None, Some("other"), Some("")] {
            assert!(!keyed.is(7, Some(1), key), "{key:?}");
        }
    }

    #[test]
    fn a_caller_without_a_key_is_known_by_user_and_process() {
        let plain = alice(None, Some(1));
        assert!(plain.is(7, Some(1), None));
        assert!(!plain.is(7, Some(2), None));
        assert!(!plain.is(8, Some(1), None));
        // Processes that the kernel does not number are not told apart.
        assert!(!alice(None, None).is(7, None, None));
    }

    #[test]
    fn it_says_who_runs_what_and_where() {
        let text = alice(None, Some(4711)).to_string();
        assert_eq!(text, "alice on pts/3 from 10.0.0.9 runs teeter deploy (process 4711)");
        let bare = Attendant { place: None, what: None, ..alice(None, None) };
        assert_eq!(bare.to_string(), "alice without a terminal does the work of the run");
    }
}
