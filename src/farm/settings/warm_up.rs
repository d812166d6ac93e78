//! The warm-up of a server, as it is configured.

use serde::{Deserialize, Serialize};

use crate::farm::settings::probe::{HttpProbe, Problem, check_path, check_server, ok};
use crate::farm::settings::trust::{TlsTrust, yes_or_how};
use crate::farm::span::Span;

/// Requests that a server must answer fast before it gets traffic.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct WarmUp {
    /// What to ask for, one after the other and again from the first.
    pub paths: Vec<String>,
    /// An answer that takes less is fast.
    pub below: Span,
    /// How many rounds over all paths must be fast one after the other.
    #[serde(default = "three")]
    pub in_a_row: u32,
    /// How many requests there must be at least.
    #[serde(default)]
    pub requests: u32,
    /// How long a server has.
    #[serde(default = "minute")]
    pub deadline: Span,
    /// What happens then.
    #[serde(default)]
    pub on_deadline: OnCold,
    /// The status that is well.
    #[serde(default = "ok")]
    pub expect: u16,
    /// Another port than the one HAProxy sends traffic to.
    #[serde(default)]
    pub port: Option<u16>,
    /// The Host header; the address where unset.
    #[serde(default)]
    pub host: Option<String>,
    /// Whether it is asked over TLS, and how it is known then.
    #[serde(default, deserialize_with = "yes_or_how", skip_serializing_if = "Option::is_none")]
    pub tls: Option<TlsTrust>,
}

/// What happens to a server that is not warm at the deadline.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum OnCold {
    /// It is not well.
    #[default]
    Fail,
    /// It goes on as it is, with a note.
    Proceed,
}

impl WarmUp {
    /// The request for one of its paths.
    pub fn request(&self, path: &str) -> HttpProbe {
        HttpProbe {
            path: path.to_owned(),
            expect: self.expect,
            port: self.port,
            host: self.host.clone(),
            tls: self.tls.clone(),
            // The first answers of a cold server take as long as they take.
            timeout: self.deadline,
            version: None,
        }
    }

    pub(in crate::farm) fn check(&self) -> Result<(), Problem> {
        if self.paths.is_empty() {
            return Err(("paths".to_owned(), "has no path to ask for".to_owned()));
        }
        for (index, path) in self.paths.iter().enumerate() {
            check_path(&format!("paths.{index}"), path)?;
        }
        if self.below == Span::default() {
            return Err(("below".to_owned(), "no answer takes less than no time".to_owned()));
        }
        if self.in_a_row == 0 {
            return Err(("in_a_row".to_owned(), "0 fast rounds show nothing: give at least 1".to_owned()));
        }
        if self.deadline <= self.below {
            return Err(("deadline".to_owned(), "the deadline is not longer than one fast answer".to_owned()));
        }
        check_server(self.expect, self.port, self.host.as_deref(), self.tls.as_ref())
    }
}

fn three() -> u32 {
    3
}

fn minute() -> Span {
    Span::from_secs(60)
}
