//! Servers that would come back with another version than the servers in service have.

use std::collections::{BTreeMap, BTreeSet};

use crate::engine::Engine;
use crate::engine::error::EngineError;
use crate::engine::fleet::reports::Reports;
use crate::farm::{Entry, Farm, Layout, MemberName, SeenServer};
use crate::plan::Veto;

impl Engine {
    /// Refuses to bring back members that run another version than the members of their farm in service. Does not apply
    /// to servers that show no version, nor behind a route, whose sides may differ.
    pub(crate) async fn refuse_other_versions(
        &self,
        back: &BTreeSet<Entry>,
        reports: &Reports,
    ) -> Result<(), EngineError> {
        let farms = self.fleet.farms();
        let shows_version = |farm: &&Farm| farm.settings.verify.names_version() && farm.settings.flip.route.is_empty();
        let touched = |farm: &&Farm| back.iter().any(|entry| farm.has(&entry.server));
        let mut vetoes = Vec::new();
        for farm in farms.values().filter(shows_version).filter(touched) {
            let Ok(layout) = farm.layout(&reports.seen()) else { continue };
            let (coming, serving) = sides(&layout, back, reports);
            if coming.is_empty() || serving.is_empty() {
                continue;
            }
            let (coming, serving) = futures_util::future::join(
                self.present_versions(farm, coming, reports),
                self.present_versions(farm, serving, reports),
            )
            .await;
            let serving: BTreeSet<String> = serving.into_values().collect();
            let other = coming.into_iter().filter(|(_, version)| !serving.is_empty() && !serving.contains(version));
            vetoes.extend(other.map(|(member, version)| Veto::OtherVersion {
                member,
                version,
                serving: serving.iter().cloned().collect(),
            }));
        }
        if vetoes.is_empty() { Ok(()) } else { Err(EngineError::Vetoed(vetoes)) }
    }

    /// The versions that members show now, without those that do not answer.
    async fn present_versions(
        &self,
        farm: &Farm,
        members: BTreeMap<MemberName, Vec<Entry>>,
        reports: &Reports,
    ) -> BTreeMap<MemberName, String> {
        let Some(probe) = &farm.settings.verify.http else { return BTreeMap::new() };
        let address = |entries: &[Entry]| {
            let mut servers = entries.iter().filter_map(|entry| reports.server(entry));
            servers.find(|server| !server.address.is_empty()).map(SeenServer::endpoint)
        };
        let asks = members.into_iter().filter_map(|(member, entries)| Some((member, address(&entries)?)));
        let answers = asks.map(|(member, address)| {
            let answer = self.prober.probe(address, probe.clone());
            async move { (member, answer.await) }
        });
        let answers = futures_util::future::join_all(answers).await;
        answers.into_iter().filter_map(|(member, answer)| Some((member, answer.ok()??))).collect()
    }
}

/// Members with their lines.
type Members = BTreeMap<MemberName, Vec<Entry>>;

/// The members that come back, and the others that take traffic.
fn sides(layout: &Layout, back: &BTreeSet<Entry>, reports: &Reports) -> (Members, Members) {
    let comes = |lines: &[Entry]| lines.iter().any(|line| back.contains(line));
    let serves = |line: &Entry| reports.server(line).is_some_and(SeenServer::is_usable);
    let (coming, others): (Members, Members) =
        layout.members.clone().into_iter().partition(|(_, lines)| comes(lines) && !lines.iter().any(serves));
    let serving = others.into_iter().filter(|(_, lines)| lines.iter().any(serves)).collect();
    (coming, serving)
}
