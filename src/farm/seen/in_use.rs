//! Which server lines and members are in use. All code that counts, splits or skips members uses this definition.
//!
//! A server line is not in use when the state `ready` alone cannot bring it into service: its backend is off, it is
//! `disabled` in haproxy.cfg and was not set ready since, or its name has no address. A member is spare when each of
//! its lines is unused, or in maintenance that was set outside teeter: a slot that waits for a server. A line that
//! teeter holds is in use.

use std::collections::{BTreeMap, BTreeSet};

use crate::farm::names::{Entry, InstanceName};
use crate::farm::seen::off::Off;
use crate::farm::seen::out::{Agent, OutBy};
use crate::farm::seen::server::SeenServer;
use crate::farm::seen::snapshot::Seen;
use crate::haproxy::{AdminBits, AdminState, BackendName, ServerRef};

impl Seen {
    /// Whether every selector skips the lines of this backend, because it gets no traffic.
    pub fn is_disabled(&self, backend: &BackendName) -> bool {
        self.off.get(backend) == Some(&Off::Disabled)
    }

    /// Why a line is not in use; `None` for a line that is in use or that HAProxy does not have.
    pub fn unused(&self, name: &ServerRef) -> Option<OutBy> {
        let server = self.servers.get(name)?;
        if let Some(off) = self.off.get(&name.backend) {
            return Some(OutBy::Backend(*off));
        }
        if server.admin.0 & AdminBits::RESOLUTION_MAINT != 0 {
            return Some(OutBy::NoAddress);
        }
        let disabled = server.admin.0 & AdminBits::CONFIG_MAINT != 0;
        (disabled && self.without_holds(name, server) == AdminState::Maint).then_some(OutBy::Configuration)
    }

    /// Why a line does not count for the use of its member: the reasons of [`Seen::unused`], and maintenance that was
    /// set outside teeter.
    pub fn spare(&self, name: &ServerRef) -> Option<OutBy> {
        let server = self.servers.get(name)?;
        let maint = || {
            let by = OutBy::Set(AdminState::Maint, Agent::Silent);
            (self.without_holds(name, server) == AdminState::Maint).then_some(by)
        };
        self.unused(name).or_else(maint)
    }

    /// The state of a line without teeter's holds.
    fn without_holds(&self, name: &ServerRef, server: &SeenServer) -> AdminState {
        self.before.get(name).copied().unwrap_or_else(|| server.admin.forced())
    }
}

/// Why a member with these lines is spare; `None` when one of its lines is in use. A state that was set comes before a
/// reason of the configuration.
pub(in crate::farm) fn spare(entries: &[Entry], seen: &BTreeMap<InstanceName, &Seen>) -> Option<OutBy> {
    let why = |entry: &Entry| seen.get(&entry.instance).and_then(|seen| seen.spare(&entry.server));
    let reasons: Vec<OutBy> = entries.iter().map(why).collect::<Option<_>>()?;
    reasons.iter().find(|reason| matches!(reason, OutBy::Set(..))).or(reasons.first()).cloned()
}

/// Describes, for people, the backends that are off and have lines that `picked` accepts.
pub fn skipped_lines(
    seen: &BTreeMap<InstanceName, &Seen>,
    picked: impl Fn(&ServerRef, &SeenServer) -> bool,
) -> Vec<String> {
    let mut texts = Vec::new();
    for (instance, seen) in seen {
        for (backend, off) in &seen.off {
            let lines = seen.servers.in_backend(backend).filter(|(name, server)| picked(name, server));
            let lines: BTreeSet<&str> = lines.map(|(name, _)| name.server.as_str()).collect();
            if lines.is_empty() {
                continue;
            }
            let lines = lines.into_iter().collect::<Vec<_>>().join(", ");
            texts.push(match off {
                Off::Disabled => format!(
                    "backend {backend} of HAProxy {instance} is disabled and gets no traffic: its lines are skipped \
                     ({lines})"
                ),
                Off::Refuses => format!(
                    "backend {backend} of HAProxy {instance} is shut down and accepts no commands: teeter waits for \
                     the requests on its lines and cannot keep new ones away ({lines})"
                ),
            });
        }
    }
    texts
}

#[cfg(test)]
mod tests {
    use super::*;

    fn seen(admin: u32) -> Seen {
        let server = SeenServer { admin: AdminBits(admin), ..SeenServer::sample() };
        Seen { servers: [("app/s1".parse().unwrap(), server)].into_iter().collect(), ..Seen::default() }
    }

    fn spare(seen: &Seen) -> Option<String> {
        seen.spare(&"app/s1".parse().unwrap()).map(|by| by.to_string())
    }

    #[test]
    fn a_slot_is_spare_until_it_is_set_ready() {
        assert_eq!(spare(&seen(5)).unwrap(), "disabled in haproxy.cfg");
        assert_eq!(spare(&seen(4)), None);
        assert_eq!(spare(&seen(1)).unwrap(), "maint, set outside teeter");
        assert_eq!(spare(&seen(32)).unwrap(), "its name has no address");
        assert_eq!(spare(&seen(8)), None);
        let lines = seen(1);
        assert_eq!(lines.unused(&"app/s1".parse().unwrap()), None);
    }

    #[test]
    fn a_held_line_is_judged_by_its_state_before_the_hold() {
        let held = |admin, before| Seen { before: [("app/s1".parse().unwrap(), before)].into(), ..seen(admin) };
        assert_eq!(spare(&held(1, AdminState::Ready)), None);
        // A slot that was in use and is held in maintenance: HAProxy shows the same bits as for a spare slot.
        assert_eq!(spare(&held(5, AdminState::Ready)), None);
        assert_eq!(spare(&held(5, AdminState::Maint)).unwrap(), "disabled in haproxy.cfg");
        assert_eq!(spare(&held(1, AdminState::Maint)).unwrap(), "maint, set outside teeter");
    }

    #[test]
    fn a_backend_that_is_off_is_reported_once_with_its_lines() {
        let mut seen = seen(0);
        seen.off.insert("app".parse().unwrap(), Off::Disabled);
        assert_eq!(spare(&seen).unwrap(), "its backend is disabled");
        let all = BTreeMap::from([("edge".parse().unwrap(), &seen)]);
        let skipped = skipped_lines(&all, |_, _| true);
        assert_eq!(
            skipped,
            ["backend app of HAProxy edge is disabled and gets no traffic: its lines are skipped (s1)"]
        );
        assert!(skipped_lines(&all, |_, _| false).is_empty());
    }
}
