//! The caller's hooks, one for each phase of a run, found before the run starts.

use std::collections::BTreeMap;
use std::ffi::OsString;

use super::args::HookOptions;
use super::error::CliError;
use super::hook::Hook;
use crate::api::WorkPhase;

/// The hooks of a run, by phase.
#[derive(Debug)]
pub(super) struct Hooks {
    deploy: Hook,
    others: BTreeMap<WorkPhase, Hook>,
    /// The number of parallel calls for single servers; `None` for one call for the group.
    servers_at_once: Option<usize>,
    /// Additional environment variables of the hooks.
    also: Vec<(&'static str, String)>,
}

impl Hooks {
    /// Finds the hook and the commands around it.
    ///
    /// # Errors
    /// A program does not exist, or may not be executed.
    pub(super) fn find(hook: &[OsString], options: &HookOptions) -> Result<Self, CliError> {
        let deploy = Hook::find(hook, options.hook_timeout)?;
        let mut others = BTreeMap::new();
        for (phase, command) in options.phases() {
            let words = ["sh", "-c", command].map(OsString::from);
            others.insert(phase.into(), Hook::find(&words, options.hook_timeout)?);
        }
        let servers_at_once = options.per_server.then_some(options.parallel.map_or(1, |servers| servers.get().into()));
        Ok(Self { deploy, others, servers_at_once, also: Vec::new() })
    }

    /// The same with additional environment variables.
    pub(super) fn with(self, also: Vec<(&'static str, String)>) -> Self {
        Self { also, ..self }
    }

    /// The additional environment variables.
    pub(super) fn also(&self) -> &[(&'static str, String)] {
        &self.also
    }

    /// The program of the hook that does the work.
    pub(super) fn program(&self) -> String {
        self.deploy.program()
    }

    /// The phases that have a hook.
    pub(super) fn phases(&self) -> impl Iterator<Item = WorkPhase> {
        std::iter::once(WorkPhase::Deploy).chain(self.others.keys().cloned())
    }

    /// The hook of a phase, and the number of its parallel calls for single servers.
    pub(super) fn for_phase(&self, phase: &WorkPhase) -> Option<(&Hook, Option<usize>)> {
        match phase {
            WorkPhase::Deploy => Some((&self.deploy, self.servers_at_once)),
            other => self.others.get(other).map(|hook| (hook, None)),
        }
    }
}
