//! The commands for one HAProxy in the order in which they are sent.

use crate::haproxy::commands::SetCommand;
use crate::haproxy::{MapName, ServerRef};

/// One server's or map's part of a batch.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct BatchStep {
    /// What it changes.
    pub about: About,
    /// What to send, in order.
    pub changes: Vec<SetCommand>,
    /// What to send to have it as it was.
    pub undo: Vec<SetCommand>,
    /// Whether all of it must be seen at once.
    pub together: bool,
}

/// What a step changes.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum About {
    /// One server.
    Server(ServerRef),
    /// Entries of one map.
    Map(MapName),
}

impl BatchStep {
    /// The server that it changes, if it is one.
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
    /// What comes before traffic is turned: servers that take more of it, and servers that must not be where it goes.
    pub incoming: Vec<BatchStep>,
    /// What is told again together with a turn, though it is so: who is out of the backend that gets the traffic. Another
    /// process than the one that was looked at may take the line, and it knows of no hold.
    pub again: Vec<BatchStep>,
    /// Everything else: maps first, servers that take less traffic last.
    pub rest: Vec<BatchStep>,
}

impl Batch {
    /// Everything, in order.
    pub fn steps(self) -> Vec<BatchStep> {
        let again = if self.turns() { self.again } else { Vec::new() };
        self.incoming.into_iter().chain(again).chain(self.rest).collect()
    }

    fn turns(&self) -> bool {
        self.rest.iter().any(|step| matches!(step.about, About::Map(_)))
    }

    /// What to send now. Traffic is turned only when the servers that it goes to have been read back to take it, and those
    /// beside them to take none.
    pub fn stage(self) -> Vec<BatchStep> {
        if self.turns() && !self.incoming.is_empty() { self.incoming } else { self.steps() }
    }

    /// The same without some of it.
    pub fn retain(&mut self, keep: impl Fn(&BatchStep) -> bool) {
        self.incoming.retain(&keep);
        self.again.retain(&keep);
        self.rest.retain(&keep);
    }

    /// What it changes.
    pub fn abouts(&self) -> Vec<About> {
        self.incoming.iter().chain(&self.rest).map(|step| step.about.clone()).collect()
    }

    /// Whether there is nothing to send.
    pub fn is_empty(&self) -> bool {
        self.incoming.is_empty() && self.rest.is_empty()
    }
}
