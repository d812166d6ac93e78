//! Reading requests: from text of any kind to typed values, or a failure that says what was wrong with it.

use std::collections::BTreeSet;

use jiff::Timestamp;

use super::problem::Failure;
use crate::engine::HOOK_OUTPUT;
use crate::farm::{InstanceName, OnDeadline, RunId, Selector, Span};
use crate::haproxy::controls_terminal;
use crate::store::EventQuery;

/// The parameters of a request's query.
pub(super) struct Query(Vec<(String, String)>);

impl Query {
    pub(super) fn new(query: Option<String>) -> Self {
        Self(form_urlencoded::parse(query.unwrap_or_default().as_bytes()).into_owned().collect())
    }

    pub(super) fn one(&self, name: &str) -> Option<&str> {
        self.0.iter().find(|(key, _)| key == name).map(|(_, value)| value.as_str())
    }

    pub(super) fn all(&self, name: &str) -> impl Iterator<Item = &String> {
        self.0.iter().filter(move |(key, _)| key == name).map(|(_, value)| value)
    }

    pub(super) fn selectors(&self) -> Result<Vec<Selector>, Failure> {
        selectors(self.all("sel"))
    }

    pub(super) fn events(&self) -> Result<EventQuery, Failure> {
        let number = |name| self.one(name).map(number).transpose();
        let limit = number("limit")?.and_then(|limit| usize::try_from(limit).ok()).unwrap_or(200);
        let without = match self.one("output") {
            None | Some("true") => None,
            Some("false") => Some(HOOK_OUTPUT),
            Some(_) => return Err(Failure::usage("output is neither true nor false")),
        };
        let instant = |text: &str| {
            let instead =
                || Failure::usage(format!("since is no time as in RFC 3339: {:?}", text.get(..40).unwrap_or(text)));
            text.parse::<Timestamp>().map_err(|_| instead())
        };
        let since = self.one("since").map(instant).transpose()?;
        let (run, after) = (number("run")?.map(RunId), number("after")?);
        Ok(EventQuery { run, after, since, without, limit: limit.min(MOST_EVENTS) })
    }
}

/// Selectors, each once. How many there may be is looked at before any is made: a glob is dear to make, and dearer to
/// compare with thousands of servers.
pub(super) fn selectors<'a>(texts: impl IntoIterator<Item = &'a String>) -> Result<Vec<Selector>, Failure> {
    let mut seen = BTreeSet::new();
    let texts: Vec<&String> = texts.into_iter().filter(|text| seen.insert(*text)).collect();
    let wide = || texts.iter().filter(|text| Selector::is_wide(text));
    let length = wide().map(|text| text.len()).sum::<usize>();
    if texts.len() > LONGEST_LIST || wide().count() > MOST_WIDE || length > LONGEST_WIDE {
        return Err(Failure::usage(format!(
            "more selectors than one request may have: {LONGEST_LIST}, and among them {MOST_WIDE} with {LONGEST_WIDE} \
             characters together that are globs, farms or hosts; name the others by name, or in another request"
        )));
    }
    texts.into_iter().map(|text| text.parse().map_err(Failure::usage)).collect()
}

/// Names of HAProxys, each once.
pub(super) fn haproxies<'a>(texts: impl IntoIterator<Item = &'a String>) -> Result<BTreeSet<InstanceName>, Failure> {
    texts.into_iter().map(|text| text.parse().map_err(Failure::usage)).collect()
}

pub(super) fn number(text: &str) -> Result<u64, Failure> {
    text.parse().map_err(|_| Failure::usage(format!("{:?} is not a number", text.chars().take(40).collect::<String>())))
}

pub(super) fn span(text: Option<&str>) -> Result<Option<Span>, Failure> {
    text.map(|text| text.parse().map_err(Failure::usage)).transpose()
}

pub(super) fn policy(text: Option<&str>) -> Result<Option<OnDeadline>, Failure> {
    let read = |text: &str| serde_json::from_value(serde_json::Value::from(text));
    let known = |text: &str| Failure::usage(format!("{text:?} is none of fail, kill, proceed and restore"));
    text.map(|text| read(text).map_err(|_| known(text))).transpose()
}

pub(super) fn reason(text: String) -> Result<String, Failure> {
    let text = text.trim();
    if text.is_empty() || text.len() > LONGEST_TEXT || text.chars().any(controls_terminal) {
        return Err(Failure::usage(format!(
            "a reason has 1 to {LONGEST_TEXT} characters, none of them a control character or one that turns the direction \
             of reading"
        )));
    }
    Ok(text.to_owned())
}

/// The most entries that a list in a request or an answer may have.
pub(super) const LONGEST_LIST: usize = 1000;
/// The most selectors in a request that are more than a name, and their characters together.
pub(super) const MOST_WIDE: usize = 50;
pub(super) const LONGEST_WIDE: usize = 4096;
/// The most events in an answer: more than the lines that are kept of a run's hooks.
pub(super) const MOST_EVENTS: usize = 5000;
/// The most characters of a text that somebody gives.
pub(super) const LONGEST_TEXT: usize = 500;
