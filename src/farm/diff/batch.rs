//! The commands for one HAProxy, in the order in which they are sent.

use crate::haproxy::commands::SetCommand;
use crate::haproxy::{MapName, ServerRef};

/// The part of a batch that changes one server or one map.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct BatchStep {
    /// The server or map that the step changes.
    pub about: About,
    /// The commands to send, in order.
    pub changes: Vec<SetCommand>,
    /// The commands that undo `changes`.
    pub undo: Vec<SetCommand>,
    /// Whether all changes must take effect at once.
    pub together: bool,
}

/// The server or map that a step changes.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum About {
    /// One server.
    Server(ServerRef),
    /// Entries of one map.
    Map(MapName),
}

impl BatchStep {
    /// The server that the step changes; `None` for a map.
    pub fn server(&self) -> Option<&ServerRef> {
        match &self.about {
            About::Server(server) => Some(server),
            About::Map(_) => None,
        }
    }
}

/// A batch in the order in which it is sent.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Batch {
    /// Steps before the traffic is switched: servers that take more traffic, and servers that must be out of the
    /// backend that gets the traffic.
    pub incoming: Vec<BatchStep>,
    /// Commands that repeat the state of held servers in the backend that gets the traffic. They are sent with a
    /// switch, because another process may receive the line, and that process does not know the holds.
    pub repeated: Vec<BatchStep>,
    /// All other steps: maps first, and servers that take less traffic last.
    pub rest: Vec<BatchStep>,
}

impl Batch {
    /// Every step, in order.
    pub fn steps(self) -> Vec<BatchStep> {
        let repeated = if self.switches_traffic() { self.repeated } else { Vec::new() };
        self.incoming.into_iter().chain(repeated).chain(self.rest).collect()
    }

    fn switches_traffic(&self) -> bool {
        self.rest.iter().any(|step| matches!(step.about, About::Map(_)))
    }

    /// The steps to send next. The traffic is switched only after a look has confirmed that the servers of its new
    /// backend take traffic, and that the servers that must be out are out.
    pub fn next_stage(self) -> Vec<BatchStep> {
        if self.switches_traffic() && !self.incoming.is_empty() { self.incoming } else { self.steps() }
    }

    /// Drops the steps that `keep` rejects.
    pub fn retain(&mut self, keep: impl Fn(&BatchStep) -> bool) {
        self.incoming.retain(&keep);
        self.repeated.retain(&keep);
        self.rest.retain(&keep);
    }

    /// The servers and maps that the batch changes.
    pub fn abouts(&self) -> Vec<About> {
        self.incoming.iter().chain(&self.rest).map(|step| step.about.clone()).collect()
    }

    /// Whether there is nothing to send.
    pub fn is_empty(&self) -> bool {
        self.incoming.is_empty() && self.rest.is_empty()
    }
}
