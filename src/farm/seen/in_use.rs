//! Which lines and members are in use, the one notion of it: everything that counts members, splits them or leaves them
//! aside asks here.
//!
//! A line is not in use where nobody could have it serve by `ready` alone: its backend is off, `disabled` stands on it
//! in haproxy.cfg and nobody has set it ready since, or its name has no address. A member is spare where all its lines
//! are so, or in maintenance that somebody else has set: a slot that waits for a server. What teeter holds is in use.

use std::collections::{BTreeMap, BTreeSet};

use crate::farm::names::{Entry, InstanceName};
use crate::farm::seen::off::Off;
use crate::farm::seen::out::{Agent, OutBy};
use crate::farm::seen::server::SeenServer;
use crate::farm::seen::snapshot::Seen;
use crate::haproxy::{AdminBits, AdminState, BackendName, ServerRef};

impl Seen {
    /// Whether lines of this backend are left aside by every selector: it gets no traffic.
    pub fn is_disabled(&self, backend: &BackendName) -> bool {
        self.off.get(backend) == Some(&Off::Disabled)
    }

    /// Why a line is not in use; `None` where it is, or where HAProxy does not have it.
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

    /// Why a line would not make its member one that is in use: as [`Seen::unused`], or in maintenance by somebody else.
    pub fn spare(&self, name: &ServerRef) -> Option<OutBy> {
        let server = self.servers.get(name)?;
        let maint = || {
            let by = OutBy::Set(AdminState::Maint, Agent::Silent);
            (self.without_holds(name, server) == AdminState::Maint).then_some(by)
        };
        self.unused(name).or_else(maint)
    }

    /// The state that a line has, or would have, if teeter did not hold it.
    fn without_holds(&self, name: &ServerRef, server: &SeenServer) -> AdminState {
        self.before.get(name).copied().unwrap_or_else(|| server.admin.forced())
    }
}

/// Why a member of these lines is a spare one: all of them are. What somebody has set goes before what is configured.
pub(in crate::farm) fn spare(entries: &[Entry], seen: &BTreeMap<InstanceName, &Seen>) -> Option<OutBy> {
    let of = |entry: &Entry| seen.get(&entry.instance).and_then(|seen| seen.spare(&entry.server));
    let why: Vec<OutBy> = entries.iter().map(of).collect::<Option<_>>()?;
    why.iter().find(|why| matches!(why, OutBy::Set(..))).or(why.first()).cloned()
}

/// The backends of some HAProxys that are off and have lines which are picked, for people.
pub fn left_aside(
    seen: &BTreeMap<InstanceName, &Seen>,
    picked: impl Fn(&ServerRef, &SeenServer) -> bool,
) -> Vec<String> {
    let mut texts = Vec::new();
    for (instance, seen) in seen {
        for (backend, off) in &seen.off {
            let lines = seen.servers.of(backend).filter(|(name, server)| picked(name, server));
            let lines: BTreeSet<&str> = lines.map(|(name, _)| name.server.as_str()).collect();
            if lines.is_empty() {
                continue;
            }
            let lines = lines.into_iter().collect::<Vec<_>>().join(", ");
            texts.push(match off {
                Off::Disabled => format!(
                    "backend {backend} of HAProxy {instance} is disabled and gets no traffic: its lines are left aside ({lines})"
                ),
                Off::Refuses => format!(
                    "backend {backend} of HAProxy {instance} is shut down and takes no orders: what is still on its lines is \
                     waited for, and nothing keeps requests from them ({lines})"
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
    fn a_slot_is_spare_until_somebody_sets_it_ready() {
        assert_eq!(spare(&seen(5)).unwrap(), "disabled in haproxy.cfg");
        assert_eq!(spare(&seen(4)), None);
        assert_eq!(spare(&seen(1)).unwrap(), "maint, set outside teeter");
        assert_eq!(spare(&seen(32)).unwrap(), "its name has no address");
        assert_eq!(spare(&seen(8)), None);
        let lines = seen(1);
        assert_eq!(lines.unused(&"app/s1".parse().unwrap()), None);
    }

    #[test]
    fn what_teeter_holds_is_in_use_as_it_was_before() {
        let held = |admin, before| Seen { before: [("app/s1".parse().unwrap(), before)].into(), ..seen(admin) };
        assert_eq!(spare(&held(1, AdminState::Ready)), None);
        // A slot that was in use, and is held in maintenance: HAProxy shows the bits of a spare one.
        assert_eq!(spare(&held(5, AdminState::Ready)), None);
        assert_eq!(spare(&held(5, AdminState::Maint)).unwrap(), "disabled in haproxy.cfg");
        assert_eq!(spare(&held(1, AdminState::Maint)).unwrap(), "maint, set outside teeter");
    }

    #[test]
    fn a_backend_that_is_off_is_named_once_with_its_lines() {
        let mut seen = seen(0);
        seen.off.insert("app".parse().unwrap(), Off::Disabled);
        assert_eq!(spare(&seen).unwrap(), "its backend is disabled");
        let all = BTreeMap::from([("edge".parse().unwrap(), &seen)]);
        let said = left_aside(&all, |_, _| true);
        assert_eq!(
            said,
            ["backend app of HAProxy edge is disabled and gets no traffic: its lines are left aside (s1)"]
        );
        assert!(left_aside(&all, |_, _| false).is_empty());
    }
}
