//! What servers in service answer: whether they pass the probe, and whether they all run one version.

use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

use futures_util::StreamExt as _;

use super::checks::list;
use super::farms::about;
use super::{Examined, Fitting, warning};
use crate::api::FindingView;
use crate::engine::prober::{Answer, Prober};
use crate::farm::{Entry, HttpProbe, InstanceName, MemberName, Seen, Side};
use crate::state::State;

/// Asks the members in service of every farm that has a probe, a limited number at a time.
pub(super) async fn in_service(examined: &Examined<'_>, state: &State, prober: &dyn Prober) -> Vec<FindingView> {
    let busy =
        |fitting: &Fitting<'_>| state.runs.values().any(|run| run.is_active() && run.plan.farm == fitting.farm.name);
    let probed = |fitting: &Fitting<'_>| Some(fitting.farm.settings.verify.http.clone()?).filter(|_| !busy(fitting));
    let mut asks = Vec::new();
    for (place, fitting) in examined.farms.iter().enumerate() {
        let Some(probe) = probed(fitting) else { continue };
        asks.extend(
            addresses(fitting, &examined.seen).into_iter().map(|(member, at)| (place, member, at, probe.clone())),
        );
    }
    asks.truncate(MOST);
    let ask = |(place, member, at, probe): (usize, MemberName, String, HttpProbe)| async move {
        (place, member, prober.probe(at, probe).await)
    };
    let mut answers: BTreeMap<usize, BTreeMap<MemberName, Answer>> = BTreeMap::new();
    let mut all = futures_util::stream::iter(asks).map(ask).buffer_unordered(AT_ONCE);
    let collect = async {
        while let Some((place, member, answer)) = all.next().await {
            answers.entry(place).or_default().insert(member, answer);
        }
    };
    // After the timeout the answers so far are reported.
    let _ = tokio::time::timeout(TAKES, collect).await;
    let answered = answers.iter().filter_map(|(place, answers)| Some((examined.farms.get(*place)?, answers)));
    answered.flat_map(|(fitting, answers)| findings(fitting, answers)).collect()
}

/// The members in service, with the address at which each is asked.
fn addresses(fitting: &Fitting<'_>, seen: &BTreeMap<InstanceName, &Seen>) -> BTreeMap<MemberName, String> {
    let Fitting { layout, live, .. } = fitting;
    let serves = |member: &MemberName| match live {
        Some(Side::Group(group)) => layout.groups.get(group).is_some_and(|members| members.contains(member)),
        _ => true,
    };
    let members = layout.members.iter().filter(|(member, _)| serves(member));
    let address = |(member, lines): (&MemberName, &Vec<Entry>)| {
        let server = |entry: &Entry| seen.get(&entry.instance)?.servers.get(&entry.server);
        let servers: Vec<_> = lines.iter().filter_map(server).collect();
        let up = servers.iter().all(|server| server.is_usable());
        let server = servers.first().filter(|server| up && !server.address.is_empty())?;
        Some((member.clone(), server.endpoint()))
    };
    members.filter_map(address).collect()
}

/// The findings about the answers of one farm's members.
fn findings(fitting: &Fitting<'_>, answers: &BTreeMap<MemberName, Answer>) -> Vec<FindingView> {
    let farm = fitting.farm;
    let mut findings = Vec::new();
    let failing: Vec<String> =
        answers.iter().filter_map(|(member, answer)| Some(format!("{member} {}", answer.as_ref().err()?))).collect();
    if !failing.is_empty() {
        let then = match failing.len() == answers.len() {
            true => "no member passes it, so a deploy would be refused: correct verify.http",
            false => "they are in service, and none of them would come back from a deploy",
        };
        let named = failing.iter().take(NAMED).cloned().collect::<Vec<_>>().join("; ");
        findings.push(warning(about(farm), format!("verify.http: {named}; {then}")));
    }
    let mut versions: BTreeMap<&str, BTreeSet<&MemberName>> = BTreeMap::new();
    for (member, answer) in answers {
        if let Ok(Some(version)) = answer {
            versions.entry(version).or_default().insert(member);
        }
    }
    // Each server may have been built at a time of its own.
    if versions.len() > 1 && !farm.settings.verify.reports_build() {
        let each: Vec<String> =
            versions.iter().take(NAMED).map(|(version, members)| format!("{version} on {}", list(members))).collect();
        let text = format!(
            "{} versions are in service: {}: `teeter deploy {} --to VERSION -- HOOK` brings all to one",
            versions.len(),
            each.join("; "),
            farm.name
        );
        findings.push(warning(about(farm), text));
    }
    findings
}

/// How many servers are asked at a time.
const AT_ONCE: usize = 32;

/// How many servers are asked in all.
const MOST: usize = 512;

/// How long the doctor waits for their answers.
const TAKES: Duration = Duration::from_secs(10);

/// How many members or versions are named.
const NAMED: usize = 8;
