//! Parses the parts of a request that are text, and reports an invalid value with its text.

use std::collections::BTreeSet;

use jiff::Timestamp;

use super::problem::Failure;
use crate::api::Selectors;
use crate::engine::HOOK_OUTPUT;
use crate::farm::{InstanceName, RunId, Selector, Span};
use crate::haproxy::controls_terminal;
use crate::store::EventQuery;

/// The parameters of a request's query.
pub(super) struct Query(Vec<(String, String)>);

impl Query {
    pub(super) fn new(query: Option<String>) -> Self {
        Self(form_urlencoded::parse(query.unwrap_or_default().as_bytes()).into_owned().collect())
    }

    /// The first value of a parameter.
    pub(super) fn value(&self, name: &str) -> Option<&str> {
        self.0.iter().find(|(key, _)| key == name).map(|(_, value)| value.as_str())
    }

    /// All values of a parameter.
    pub(super) fn values(&self, name: &str) -> impl Iterator<Item = &String> {
        self.0.iter().filter(move |(key, _)| key == name).map(|(_, value)| value)
    }

    pub(super) fn selectors(&self) -> Result<Vec<Selector>, Failure> {
        Ok(Selectors::read(self.values("sel")).map_err(Failure::usage)?.into_vec())
    }

    /// The start of the period that the request is about.
    pub(super) fn since(&self) -> Result<Option<Timestamp>, Failure> {
        let instant = |text: &str| {
            let error =
                || Failure::usage(format!("since is not a time as in RFC 3339: {:?}", text.get(..40).unwrap_or(text)));
            text.parse::<Timestamp>().map_err(|_| error())
        };
        self.value("since").map(instant).transpose()
    }

    pub(super) fn events(&self) -> Result<EventQuery, Failure> {
        let number = |name| self.value(name).map(number).transpose();
        let limit = number("limit")?.and_then(|limit| usize::try_from(limit).ok()).unwrap_or(200);
        let without = match self.value("output") {
            None | Some("true") => None,
            Some("false") => Some(HOOK_OUTPUT),
            Some(_) => return Err(Failure::usage("output is neither true nor false")),
        };
        let since = self.since()?;
        let (run, after) = (number("run")?.map(RunId), number("after")?);
        Ok(EventQuery { run, after, since, without, limit: limit.min(MOST_EVENTS) })
    }
}

/// The names of HAProxy instances, each once.
pub(super) fn haproxies<'a>(texts: impl IntoIterator<Item = &'a String>) -> Result<BTreeSet<InstanceName>, Failure> {
    texts.into_iter().map(|text| text.parse().map_err(Failure::usage)).collect()
}

pub(super) fn number(text: &str) -> Result<u64, Failure> {
    text.parse().map_err(|_| Failure::usage(format!("{:?} is not a number", text.chars().take(40).collect::<String>())))
}

pub(super) fn span(text: Option<&str>) -> Result<Option<Span>, Failure> {
    text.map(|text| text.parse().map_err(Failure::usage)).transpose()
}

pub(super) fn reason(text: &str) -> Result<String, Failure> {
    let text = text.trim();
    if text.is_empty() || text.len() > LONGEST_TEXT || text.chars().any(controls_terminal) {
        return Err(Failure::usage(format!(
            "a reason has 1 to {LONGEST_TEXT} characters, without control characters and changes of the reading \
             direction"
        )));
    }
    Ok(text.to_owned())
}

/// The greatest number of entries of a list in a request or an answer.
pub(super) const LONGEST_LIST: usize = 1000;
/// The greatest number of events in an answer: more than the lines that are kept of a run's hook output.
pub(super) const MOST_EVENTS: usize = 5000;
/// The greatest length of a text in a request, in characters.
pub(super) const LONGEST_TEXT: usize = 500;
