//! The last answer of each HAProxy, as the input of changes of the state.

use std::collections::{BTreeMap, BTreeSet};

use crate::farm::{Counts, Entry, InstanceName, Origin, Seen, SeenServer};
use crate::haproxy::{MapKey, MapName};
use crate::plan::watch::Look;

/// The last answer of each HAProxy that has answered.
#[derive(Debug, Clone, Default)]
pub struct Observed<'a>(BTreeMap<&'a InstanceName, ObservedInstance<'a>>);

/// The last answer of one HAProxy.
#[derive(Debug, Clone, Copy)]
pub struct ObservedInstance<'a> {
    /// The path or address of its stats socket.
    pub socket: &'a str,
    /// The state in this answer.
    pub seen: &'a Seen,
}

impl<'a> FromIterator<(&'a InstanceName, ObservedInstance<'a>)> for Observed<'a> {
    fn from_iter<I: IntoIterator<Item = (&'a InstanceName, ObservedInstance<'a>)>>(instances: I) -> Self {
        Self(instances.into_iter().collect())
    }
}

impl<'a> Observed<'a> {
    /// A server line in the last answer of its HAProxy; `None` if the answer does not have the line.
    pub fn server(&self, entry: &Entry) -> Option<&'a SeenServer> {
        self.0.get(&entry.instance)?.seen.servers.get(&entry.server)
    }

    /// HAProxy's counters of a server line since the start of its process, and that process.
    pub fn look(&self, entry: &Entry) -> Option<Look> {
        let process = self.0.get(&entry.instance)?.seen.process();
        Some(Look { process, counts: Counts::of_server(&self.server(entry)?.load) })
    }

    /// The socket of a line's HAProxy, and the process that answered there.
    pub fn origin(&self, entry: &Entry) -> Option<Origin> {
        let ObservedInstance { socket, seen } = self.0.get(&entry.instance)?;
        Some(Origin { socket: (*socket).to_owned(), process: seen.process() })
    }

    /// The value of a map's key, in the first HAProxy that has a value for it.
    pub fn map_value(&self, map: &MapName, key: &MapKey) -> Option<&'a str> {
        self.0.values().find_map(|instance| instance.seen.maps.get(map)?.entries.get(key)?.as_deref())
    }

    /// These lines, and the lines that track them, directly or through other lines, and so share their maintenance.
    #[must_use]
    pub fn with_trackers(&self, entries: &BTreeSet<Entry>) -> BTreeSet<Entry> {
        let mut all = entries.clone();
        loop {
            let before = all.len();
            for (name, instance) in &self.0 {
                for (server, seen) in instance.seen.servers.iter() {
                    let Some(tracked) = &seen.tracked else { continue };
                    if all.contains(&Entry { instance: (*name).clone(), server: tracked.clone() }) {
                        all.insert(Entry { instance: (*name).clone(), server: server.clone() });
                    }
                }
            }
            if all.len() == before {
                return all;
            }
        }
    }
}
