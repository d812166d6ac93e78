//! What is wrong with sockets, levels, farms and maps, found without changing anything.

use std::collections::{BTreeMap, BTreeSet};

use super::facts::asked_of;
use super::look::{Look, look_at_all};
use super::platform::Platform;
use super::view::FindingView;
use super::{Engine, map_file};
use crate::farm::{Farm, FarmName, InstanceName, Seen, live_side};
use crate::haproxy::commands::Level;
use crate::haproxy::{Client, Error};

impl Engine {
    /// Asks every HAProxy anew and compares with the configuration.
    pub async fn doctor(&self) -> Vec<FindingView> {
        let clients = self.instances.iter().map(|(name, instance)| (name.clone(), &*instance.client)).collect();
        let mut findings = examine(&self.farms(), clients, &self.platform).await;
        findings
            .extend(self.store.trouble().map(|trouble| finding("error", "the store".to_owned(), trouble.to_owned())));
        for (name, instance) in &self.instances {
            let about = format!("HAProxy {name}");
            findings.push(match &instance.master {
                None => finding(
                    "ok",
                    about,
                    "no master socket is configured: what a reload leaves behind is not seen".to_owned(),
                ),
                Some(master) => match master.workers().await {
                    Ok(workers) => {
                        let old = workers.iter().filter(|worker| worker.old).count();
                        let at = master.path().display();
                        finding("ok", about, format!("{old} processes left behind by reloads, says the master at {at}"))
                    }
                    Err(error) => finding("error", about, format!("its master socket: {error}")),
                },
            });
        }
        findings
    }
}

/// Compares a configuration with what HAProxys say. A HAProxy that does not answer is a finding like any other.
pub async fn examine(
    farms: &BTreeMap<FarmName, Farm>,
    clients: BTreeMap<InstanceName, &Client>,
    platform: &Platform,
) -> Vec<FindingView> {
    let keys = asked_of(farms.values());
    let looks = clients.iter().map(|(name, client)| {
        let keys = &keys;
        async move { (name.clone(), client.address().to_string(), look_at_all(client, keys).await) }
    });
    let (mut findings, mut seen) = (Vec::new(), BTreeMap::new());
    for (name, address, look) in futures_util::future::join_all(looks).await {
        findings.push(of_instance(&name, &address, &look));
        if let Ok(look) = look {
            seen.insert(name, look.onto(None, None));
        }
    }
    let whole = seen.len() == clients.len();
    let seen: BTreeMap<InstanceName, &Seen> = seen.iter().map(|(name, seen)| (name.clone(), seen)).collect();
    for farm in farms.values() {
        if whole {
            findings.extend(of_farm(farm, &seen));
        } else {
            let text = "not compared: not every HAProxy answers".to_owned();
            findings.push(finding("warning", format!("farm {}", farm.name), text));
        }
        // Where no HAProxy answers its files are elsewhere, too.
        if !seen.is_empty() {
            findings.extend(of_files(farm, platform).await);
        }
    }
    findings
}

fn of_instance(name: &InstanceName, address: &str, look: &Result<Look, Error>) -> FindingView {
    let about = format!("HAProxy {name}");
    match look {
        Err(error) => finding("unreachable", about, error.to_string()),
        Ok(look) => match look.level {
            Some(level) if level < Level::Admin => {
                let text = format!(
                    "its socket {address} has level {level}, and changing a server needs admin: write `level admin` on \
                     its `stats socket` line in haproxy.cfg and reload HAProxy"
                );
                finding("error", about, text)
            }
            _ => {
                let (version, pid, servers) = (&look.version, look.pid, look.servers.len());
                finding("ok", about, format!("{version}, process {pid}, {servers} servers, at {address}"))
            }
        },
    }
}

fn of_farm(farm: &Farm, seen: &BTreeMap<InstanceName, &Seen>) -> Vec<FindingView> {
    let about = || format!("farm {}", farm.name);
    let layout = match farm.layout(seen) {
        Ok(layout) => layout,
        Err(error) => return vec![finding("error", about(), format!("{}: {}", error.key, error.problem))],
    };
    match live_side(farm, &layout, seen) {
        Err(problems) => {
            let text = |problem: &crate::farm::FarmError| format!("{}: {}", problem.key, problem.problem);
            problems.iter().map(|problem| finding("error", about(), text(problem))).collect()
        }
        Ok(live) => {
            let traffic = live.map(|live| format!(", the traffic goes to {live}")).unwrap_or_default();
            let groups = layout.groups.len();
            vec![finding("ok", about(), format!("{} members in {groups} groups{traffic}", layout.members.len()))]
        }
    }
}

/// Map files that are to be kept in step, and cannot be.
async fn of_files(farm: &Farm, platform: &Platform) -> Vec<FindingView> {
    let flip = &farm.settings.flip;
    let maps: BTreeSet<_> = flip.route.iter().filter(|_| flip.write_map).map(|route| &route.map).collect();
    let problems = map_file::check_all(maps, platform).await.into_iter();
    problems.map(|problem| finding("error", format!("farm {}", farm.name), format!("flip.route: {problem}"))).collect()
}

fn finding(state: &str, about: String, text: String) -> FindingView {
    FindingView { state: state.to_owned(), about, text }
}
