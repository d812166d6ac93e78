//! Findings about what is wrong. The doctor changes nothing. Each kind of finding has a file of its own.

mod checks;
mod farms;
mod instances;
mod members;
mod plans;
mod reach;
mod store;
mod versions;

use std::collections::{BTreeMap, BTreeSet};

use crate::api::{FindingStatus, FindingView};
use crate::engine::Engine;
use crate::engine::fleet::orders::configured_keys;
use crate::engine::prober::Prober;
use crate::farm::{Farm, FarmName, InstanceName, Layout, Seen, Side};
use crate::haproxy::{AdminState, Client, Master, ServerRef};
use crate::reconcile::{MapWriters, look_at_all};
use crate::state::State;

/// The connections to one HAProxy.
#[derive(Clone, Copy)]
pub struct Sockets<'a> {
    /// Its stats socket.
    pub stats: &'a Client,
    /// The socket of its master, if one is configured.
    pub master: Option<&'a Master>,
}

/// What every kind of finding is worked out from.
struct Examined<'a> {
    /// What each HAProxy that answers shows now.
    seen: BTreeMap<InstanceName, &'a Seen>,
    /// The farms that fit HAProxy; none if a HAProxy does not answer.
    farms: Vec<Fitting<'a>>,
}

/// A farm that fits what HAProxy has.
struct Fitting<'a> {
    farm: &'a Farm,
    layout: Layout,
    /// The side that gets its traffic; `None` without a route.
    live: Option<Side>,
}

impl Engine {
    /// Asks every HAProxy anew, and compares it with the configuration.
    pub async fn doctor(&self) -> Vec<FindingView> {
        let sockets = self.fleet.instances.iter().map(|(name, instance)| {
            let looks = &instance.looks;
            (name.clone(), Sockets { stats: &looks.client, master: looks.master.as_deref() })
        });
        let haproxies = sockets.collect();
        let before = self
            .fleet
            .instances
            .iter()
            .map(|(name, instance)| (name.clone(), instance.orders.borrow().states_without_holds()));
        let before = before.collect();
        let reports = self.fleet.read_all().await;
        self.record.try_the_store().await;
        let state = self.record.state();
        let farms = self.fleet.farms();
        let mut findings = examine(
            &farms,
            haproxies,
            Stored { state: &state, before: &before },
            &self.fleet.may_be_away(),
            &*self.prober,
            &self.fleet.maps,
        )
        .await;
        findings.extend(self.beyond_holds(&state, &reports));
        findings.extend(store::disagreements(&state, &reports));
        findings.extend(store::leftovers(&state, &farms, &reports));
        findings.extend(self.record.troubles.all().into_iter().map(|(about, words)| error(about.to_owned(), words)));
        findings.extend(self.fleet.rivals().into_iter().map(|(name, text)| error(format!("HAProxy {name}"), text)));
        findings.extend(self.record.trouble().map(|trouble| error("the store".to_owned(), trouble.to_owned())));
        findings
    }
}

/// The states, by HAProxy, that servers would have without their holds: of servers that are held or being restored.
pub type Before = BTreeMap<InstanceName, BTreeMap<ServerRef, AdminState>>;

/// What the store adds to an examination; both are empty where there is no store.
#[derive(Clone, Copy)]
pub struct Stored<'a> {
    /// The holds, routes and runs.
    pub state: &'a State,
    /// The states of servers without their holds.
    pub before: &'a Before,
}

/// Compares a configuration with what HAProxys show and with what is stored. A HAProxy that does not answer is a
/// finding like any other, and no trouble if it may be away.
pub async fn examine(
    farms: &BTreeMap<FarmName, Farm>,
    haproxies: BTreeMap<InstanceName, Sockets<'_>>,
    stored: Stored<'_>,
    may_be_away: &BTreeSet<InstanceName>,
    prober: &dyn Prober,
    files: &MapWriters,
) -> Vec<FindingView> {
    let Stored { state, before } = stored;
    let keys = configured_keys(farms.values());
    let looks = haproxies.iter().map(|(name, sockets)| {
        let (keys, client) = (&keys, sockets.stats);
        async move { (name.clone(), client.address().to_string(), look_at_all(client, keys).await) }
    });
    let (mut findings, mut seen) = (Vec::new(), BTreeMap::new());
    for (name, address, look) in futures_util::future::join_all(looks).await {
        findings.push(match &look {
            Err(trouble) => reach::silent(&name, may_be_away.contains(&name), trouble),
            Ok(look) => instances::stats_socket(&name, &address, look),
        });
        if let Ok(look) = look {
            let before = before.get(&name).cloned().unwrap_or_default();
            seen.insert(name, Seen { before, ..look.onto(None, None) });
        }
    }
    let missing = |name: &&InstanceName| !seen.contains_key(*name) && !may_be_away.contains(*name);
    let whole = !seen.is_empty() && !haproxies.keys().any(|name| missing(&name));
    let mut examined = Examined {
        seen: seen.iter().map(|(name, seen)| (name.clone(), seen)).collect(),
        farms: Vec::with_capacity(farms.len()),
    };
    for farm in farms.values() {
        if whole {
            match farms::fit(farm, &examined.seen) {
                Ok(fitting) => {
                    findings.push(farms::fits(&fitting));
                    examined.farms.push(fitting);
                }
                Err(problems) => findings.extend(problems),
            }
        } else {
            let text = "not compared: not every HAProxy answers".to_owned();
            findings.push(warning(format!("farm {}", farm.name), text));
        }
        // If no HAProxy answers, its map files may not be reachable either.
        if !examined.seen.is_empty() {
            findings.extend(farms::map_files(farm, files).await);
        }
    }
    findings.extend(members::skipped_backends(&examined));
    findings.extend(plans::refused(&examined, state));
    findings.extend(checks::unchecked(&examined));
    findings.extend(checks::lopsided(&examined));
    findings.extend(versions::in_service(&examined, state, prober).await);
    findings.extend(members::same_process(&examined));
    let serving = |name: &InstanceName| examined.seen.get(name).map(|seen| seen.pid);
    let masters = haproxies.iter().map(|(name, sockets)| instances::master_socket(name, sockets.master, serving(name)));
    findings.extend(futures_util::future::join_all(masters).await.into_iter().flatten());
    findings
}

/// A finding that nothing is wrong.
fn ok(about: String, text: String) -> FindingView {
    FindingView { state: FindingStatus::Ok, about, text }
}

/// A finding about something that works now, and fails when it is needed.
fn warning(about: String, text: String) -> FindingView {
    FindingView { state: FindingStatus::Warning, about, text }
}

/// A finding about something that does not answer.
fn unreachable(about: String, text: String) -> FindingView {
    FindingView { state: FindingStatus::Unreachable, about, text }
}

/// A finding about something that does not work.
fn error(about: String, text: String) -> FindingView {
    FindingView { state: FindingStatus::Error, about, text }
}
