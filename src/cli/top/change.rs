//! Changes of traffic: the requests that `teeter drain`, `maint`, `ready` and `flip` send, too.

use super::servers::{RowView, Servers};
use crate::api::{HoldMode, HoldRequest, HoldView, Holds, ReleaseRequest, RunRequest, RunView, Selectors};
use crate::cli::error::CliError;
use crate::cli::names;
use crate::control::client::Client;
use crate::farm::{FarmName, Side};
use crate::plan::Strategy;

/// The kind of a change.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Kind {
    Drain,
    Maint,
    Ready,
    Flip,
}

impl Kind {
    /// The kind that a key stands for.
    pub(super) fn of_key(key: char) -> Option<Self> {
        match key {
            'd' => Some(Self::Drain),
            'm' => Some(Self::Maint),
            'r' => Some(Self::Ready),
            'f' => Some(Self::Flip),
            _ => None,
        }
    }

    /// The name of the command that does the same.
    pub(super) fn word(self) -> &'static str {
        match self {
            Self::Drain => "drain",
            Self::Maint => "maint",
            Self::Ready => "ready",
            Self::Flip => "flip",
        }
    }
}

/// What a change is about: a server, a group or a farm.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Target {
    /// The selector of its servers.
    pub(super) selector: String,
    /// The farm, if it is in one.
    pub(super) farm: Option<String>,
    /// The group in that farm; `None` for the farm itself, and for servers in no group.
    pub(super) group: Option<String>,
}

impl Target {
    /// The server of a row, in every HAProxy that has it.
    pub(super) fn server(row: RowView<'_>) -> Self {
        let view = row.server();
        let selector = format!("{}/{}", view.backend, view.server);
        Self { selector, farm: view.farm.clone(), group: view.group.clone() }
    }

    /// A farm or a group, by the id of its heading.
    pub(super) fn heading(id: &str) -> Option<Self> {
        if let Some(backend) = id.strip_prefix("backend:") {
            return Some(Self { selector: format!("{backend}/*"), farm: None, group: None });
        }
        let (farm, group) = match id.strip_prefix("farm:")?.split_once('/') {
            Some((farm, group)) => (farm, Some(group.to_owned())),
            None => (id.strip_prefix("farm:")?, None),
        };
        Some(Self { selector: id.to_owned(), farm: Some(farm.to_owned()), group })
    }

    /// Whether a row is among its servers.
    pub(super) fn has(&self, row: RowView<'_>) -> bool {
        row.lines().any(|line| match self.selector.strip_prefix("farm:") {
            Some(_) => line.farm == self.farm && (self.group.is_none() || line.group == self.group),
            None => match self.selector.strip_suffix("/*") {
                Some(backend) => line.backend == backend,
                None => format!("{}/{}", line.backend, line.server) == self.selector,
            },
        })
    }

    /// The rows of the farm or, without one, of the backend that it is in.
    pub(super) fn around<'a>(&'a self, servers: &'a Servers) -> impl Iterator<Item = RowView<'a>> {
        let backend = self.selector.split('/').next().unwrap_or_default();
        servers.rows().filter(move |row| match &self.farm {
            Some(farm) => row.server().farm.as_ref() == Some(farm),
            None => row.server().farm.is_none() && row.server().backend == backend,
        })
    }
}

/// A change that the operator has confirmed.
#[derive(Debug, Clone)]
pub(super) struct Change {
    /// The command line that does the same.
    pub(super) command: String,
    request: Box<Request>,
}

#[derive(Debug, Clone)]
enum Request {
    Hold(HoldRequest),
    Release(ReleaseRequest),
    Flip(RunRequest),
}

impl Change {
    /// The change of a kind. `reason` is for a drain and maintenance.
    ///
    /// # Errors
    /// The target has no farm to flip, or a name that no selector can have.
    pub(super) fn new(kind: Kind, target: &Target, reason: &str) -> Result<Self, String> {
        let selectors = || Selectors::read([&target.selector]);
        let quoted = crate::cli::shell::words(&[&target.selector]);
        let hold = |mode| -> Result<(String, Request), String> {
            let reason = reason.trim().to_owned();
            let command = format!("teeter {} {quoted} --reason {}", kind.word(), crate::cli::shell::words(&[&reason]));
            let request = HoldRequest {
                selectors: selectors()?,
                mode,
                reason,
                expires_in: None,
                grace: None,
                deadline: None,
                on_deadline: None,
                idle: false,
                allow_outage: false,
                all_but_min: false,
                without_haproxy: std::collections::BTreeSet::new(),
            };
            Ok((command, Request::Hold(request)))
        };
        let (command, request) = match kind {
            Kind::Drain => hold(HoldMode::Drain)?,
            Kind::Maint => hold(HoldMode::Maint)?,
            Kind::Ready => {
                let request = ReleaseRequest { selectors: selectors()?, verify: true, ..ReleaseRequest::default() };
                (format!("teeter ready {quoted}"), Request::Release(request))
            }
            Kind::Flip => {
                let farm = target.farm.as_ref().ok_or("only a farm can be flipped, and this server is in none")?;
                let farm: FarmName = farm.parse().map_err(|error| format!("{error}"))?;
                let side: Side = match &target.group {
                    Some(group) => group.parse().map_err(|error| format!("{error}"))?,
                    None => Side::All,
                };
                let command = format!("teeter flip {farm} {side}");
                let (strategy, to) = (Some(Strategy::Flip), Some(side));
                (command, Request::Flip(RunRequest { strategy, to, ..RunRequest::new(farm) }))
            }
        };
        Ok(Self { command, request: Box::new(request) })
    }

    /// Sends it, and returns what has begun.
    ///
    /// # Errors
    /// teeterd refuses, or does not answer.
    pub(super) async fn send(&self, client: &Client) -> Result<String, CliError> {
        Ok(match &*self.request {
            Request::Hold(request) => {
                let hold: HoldView = client.post("/v1/holds", request).await?;
                format!("hold {}: {} is going out ({})", hold.id, names::servers(&hold), hold.stage)
            }
            Request::Release(request) => {
                let begun: Holds = client.post("/v1/release", request).await?;
                let verified: Vec<String> = begun.holds.iter().map(names::servers).collect();
                match verified.as_slice() {
                    [] => "released".to_owned(),
                    verified => format!("being verified: {}", verified.join(" ")),
                }
            }
            Request::Flip(request) => {
                let run: RunView = client.post("/v1/runs", request).await?;
                if run.steps.is_empty() {
                    format!("nothing to do: the traffic of {} is on that side already", run.farm)
                } else {
                    format!("run {}: flip of {}, {}", run.id, run.farm, run.state)
                }
            }
        })
    }
}
