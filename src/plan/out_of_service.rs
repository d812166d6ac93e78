//! Lines that take no traffic already, named when too few servers would be left.

use std::collections::{BTreeMap, BTreeSet};

use crate::farm::{Entry, Hold, InstanceName, Seen};

/// The lines among `near` that take no traffic, except those in `taken`: each with its hold, or with its status in
/// HAProxy. Lines that are not in use are not named.
#[must_use]
pub fn out_of_service<'a>(
    near: impl Fn(&Entry) -> bool,
    taken: &BTreeSet<Entry>,
    seen: &BTreeMap<InstanceName, &Seen>,
    holds: impl IntoIterator<Item = &'a Hold>,
) -> Vec<String> {
    let holds: Vec<&Hold> = holds.into_iter().collect();
    let several = seen.len() > 1;
    let mut out = Vec::new();
    for (instance, seen) in seen {
        for (name, server) in
            seen.servers.iter().filter(|(name, server)| !server.is_usable() && seen.unused(name).is_none())
        {
            let entry = Entry { instance: instance.clone(), server: name.clone() };
            if taken.contains(&entry) || !near(&entry) {
                continue;
            }
            let line = if several { entry.to_string() } else { name.to_string() };
            out.push(match holds.iter().find(|hold| hold.entries.contains(&entry)) {
                Some(hold) => format!("{line} is held by {} ({})", hold.owner, hold.reason),
                None if server.weight == 0 => format!("{line} is {} with weight 0", server.status),
                None => format!("{line} is {}", server.status),
            });
        }
    }
    if out.len() > SHOWN {
        let more = out.len() - SHOWN;
        out.truncate(SHOWN);
        out.push(format!("and {more} more"));
    }
    out
}

/// The number of lines that are named.
const SHOWN: usize = 8;

#[cfg(test)]
mod tests {
    use super::*;
    use crate::farm::{SeenServer, Servers};
    use crate::haproxy::{AdminBits, OpState};

    fn entry(text: &str) -> Entry {
        text.to_owned().try_into().unwrap()
    }

    #[test]
    fn each_line_is_named_with_its_reason() {
        let mut servers = Servers::default();
        let mut put = |name: &str, change: fn(&mut SeenServer)| {
            let mut server = SeenServer::sample();
            change(&mut server);
            servers.insert(entry(&format!("edge:{name}")).server, server);
        };
        put("app/up", |_| {});
        put("app/down", |server| {
            server.op = OpState::Stopped;
            server.status = "DOWN".to_owned();
        });
        put("app/slot", |server| server.admin = AdminBits(AdminBits::CONFIG_MAINT));
        put("app/light", |server| server.weight = 0);
        put("app/taken", |server| server.admin = AdminBits(1));
        put("other/down", |server| server.op = OpState::Stopped);
        let seen = Seen { servers, ..Seen::default() };
        let seen = BTreeMap::from([(entry("edge:app/up").instance, &seen)]);
        let taken = BTreeSet::from([entry("edge:app/taken")]);
        let out = out_of_service(|entry| entry.server.backend.as_str() == "app", &taken, &seen, []);
        assert_eq!(out, ["app/down is DOWN", "app/light is UP with weight 0"]);
    }
}
