//! The settings of a warm-up.

use serde::{Deserialize, Serialize};

use crate::farm::settings::probe::{HttpProbe, Problem, check_path, check_server, default_status};
use crate::farm::settings::trust::{TlsTrust, bool_or_table};
use crate::farm::span::Span;

/// Requests that a server must answer fast before it gets traffic.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct WarmUp {
    /// The paths to request, one after the other and again from the first.
    pub paths: Vec<String>,
    /// The time below which an answer is fast.
    pub below: Span,
    /// How many rounds over all paths must be fast in a row.
    #[serde(default = "default_rounds")]
    pub in_a_row: u32,
    /// The least number of requests of the warm-up.
    #[serde(default)]
    pub requests: u32,
    /// How long the warm-up of a server may take.
    #[serde(default = "default_deadline")]
    pub deadline: Span,
    /// What happens at the deadline.
    #[serde(default)]
    pub on_deadline: OnCold,
    /// The status of a healthy answer.
    #[serde(default = "default_status")]
    pub expect: u16,
    /// The port; the port to which HAProxy sends traffic where unset.
    #[serde(default)]
    pub port: Option<u16>,
    /// The Host header; the address where unset.
    #[serde(default)]
    pub host: Option<String>,
    /// Whether the requests use TLS, and how teeter verifies the server then.
    #[serde(default, deserialize_with = "bool_or_table", skip_serializing_if = "Option::is_none")]
    pub tls: Option<TlsTrust>,
}

/// What happens to a server that is not warm at the deadline.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum OnCold {
    /// The server counts as unhealthy.
    #[default]
    Fail,
    /// The server comes back although it is not warm, with a note.
    Proceed,
}

impl WarmUp {
    /// The settings of the request for one of the paths.
    pub fn request(&self, path: &str) -> HttpProbe {
        HttpProbe {
            path: path.to_owned(),
            expect: self.expect,
            port: self.port,
            host: self.host.clone(),
            tls: self.tls.clone(),
            // The first answers of a cold server may take until the deadline.
            timeout: self.deadline,
            version: None,
        }
    }

    pub(in crate::farm) fn check(&self) -> Result<(), Problem> {
        if self.paths.is_empty() {
            return Err(("paths".to_owned(), "the list is empty: give at least one path".to_owned()));
        }
        for (index, path) in self.paths.iter().enumerate() {
            check_path(&format!("paths.{index}"), path)?;
        }
        if self.below == Span::default() {
            return Err(("below".to_owned(), "below is zero, and every answer takes longer".to_owned()));
        }
        if self.in_a_row == 0 {
            return Err(("in_a_row".to_owned(), "in_a_row is 0: give at least 1".to_owned()));
        }
        if self.deadline <= self.below {
            return Err(("deadline".to_owned(), "the deadline is not longer than one fast answer".to_owned()));
        }
        check_server(self.expect, self.port, self.host.as_deref(), self.tls.as_ref())
    }
}

fn default_rounds() -> u32 {
    3
}

fn default_deadline() -> Span {
    Span::from_secs(60)
}
