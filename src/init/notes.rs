//! What a reader of teeter.toml should know: in sentences.

use std::collections::{BTreeMap, BTreeSet};

use super::farms::{Draft, Farms};
use super::halves::Groups;
use super::site::Site;
use super::write::{Text, backends};
use crate::api::{FindingStatus, FindingView};
use crate::farm::Balance;
use crate::haproxy::BackendName;
use crate::haproxy::commands::Level;

/// What a farm is made of.
pub(super) fn about(site: &Site, draft: &Draft) -> String {
    let described = draft.backends.iter().map(|backend| match site.settings.get(backend) {
        Some(settings) if settings.algo.is_empty() => format!("{backend} ({})", settings.mode),
        Some(settings) => format!("{backend} ({}, {})", settings.mode, settings.algo),
        None => backend.to_string(),
    });
    let described: Vec<String> = described.collect();
    let what = if described.len() == 1 { "backend" } else { "backends" };
    let mut text = format!("{} servers in {what} {}.", draft.members.len(), described.join(", "));
    if !draft.slots.is_empty() {
        text.push_str(&format!(
            " {} spare slots are skipped until they are in use; the halves are of the members in use.",
            draft.slots.len()
        ));
    }
    if !draft.left_out.is_empty() {
        let lines: Vec<String> = draft.left_out.iter().map(ToString::to_string).collect();
        text.push_str(&format!(" Left out, as they only stand in for the whole backend: {}.", lines.join(", ")));
    }
    let backups: Vec<String> =
        lines(site, draft).filter(|line| line.1.backup).map(|(name, _)| name.to_string()).collect();
    if !backups.is_empty() {
        text.push_str(&format!(
            " A backup: {}. Leave it out if it only says that the site is away.",
            backups.join(", ")
        ));
    }
    let tracking = lines(site, draft).filter(|line| line.1.tracked.is_some()).count();
    if tracking > 0 {
        text.push_str(&format!(" {tracking} lines track another line: they follow its health and maintenance."));
    }
    let on_sockets = lines(site, draft).filter(|line| line.1.is_on_socket()).count();
    if on_sockets > 0 {
        text.push_str(&format!(" {on_sockets} lines have no address for teeter: it cannot send them requests."));
    }
    text
}

/// The lines of a farm's members.
fn lines<'a>(
    site: &'a Site,
    draft: &'a Draft,
) -> impl Iterator<Item = (&'a crate::haproxy::ServerRef, &'a crate::farm::SeenServer)> {
    let lines = draft.members.iter().flat_map(|(_, lines)| lines);
    lines.filter_map(|name| Some((name, site.line(name)?)))
}

/// The weight of each group, if the groups differ.
pub(super) fn weights(site: &Site, draft: &Draft) -> Option<String> {
    let Groups::Named(groups) = &draft.groups else { return None };
    let weight = |member| {
        let (_, lines) = draft.members.iter().find(|(name, _)| name == member)?;
        Some(u64::from(site.line(lines.first()?)?.weight))
    };
    let sums = groups.iter().map(|(group, members)| (group, members.iter().filter_map(weight).sum::<u64>()));
    let sums: BTreeMap<_, u64> = sums.collect();
    let differ = sums.values().collect::<BTreeSet<_>>().len() > 1;
    let text = sums.iter().map(|(group, sum)| format!("{group} {sum}")).collect::<Vec<_>>().join(", ");
    differ.then(|| format!("The weights of the groups: {text}."))
}

/// What binds clients to servers; `None` if nothing does.
pub(super) fn sticky(site: &Site, draft: &Draft) -> Option<String> {
    let cookie = lines(site, draft).any(|(_, line)| line.load.sticky);
    let table = draft.backends.iter().any(|backend| site.cfg_backend(backend).is_some_and(|is| is.sticks));
    let by = match (cookie, table) {
        (false, false) => return None,
        (true, false) => "A cookie binds",
        (false, true) => "A stick table binds",
        (true, true) => "A cookie and a stick table bind",
    };
    Some(format!("{by} clients to servers: during a drain they may finish on their server for the grace."))
}

/// What would be refused, or should be known, now: a sentence each.
pub(super) fn refused(site: &Site, farms: &Farms, findings: &[FindingView], others: &[String]) -> Vec<String> {
    let mut notes = Vec::new();
    if let Some(level) = site.level.filter(|level| *level < Level::Admin) {
        notes.push(format!(
            "the socket has level {level}: every drain and deploy is refused until its `stats socket` line in haproxy.cfg \
             has `level admin` and HAProxy is reloaded"
        ));
    }
    notes.extend(
        findings.iter().filter(|finding| tells(finding)).map(|finding| format!("{}: {}", finding.about, finding.text)),
    );
    for draft in &farms.farms {
        notes.extend(fixed_weights(site, draft));
    }
    if !farms.single.is_empty() {
        notes.push(format!(
            "no farm, as they have one server, and nothing would carry the traffic while it is out: {}. `teeter drain \
             BACKEND/SERVER --allow-outage` still works",
            backends(farms.single.iter().cloned())
        ));
    }
    if !farms.empty.is_empty() {
        notes.push(format!("no farm, as no server is in use there: {}", backends(farms.empty.iter().cloned())));
    }
    notes.extend(others.iter().cloned());
    notes
}

/// Findings that the notes above do not have.
fn tells(finding: &FindingView) -> bool {
    let is_level = finding.about.starts_with("HAProxy ") && finding.text.contains("level admin");
    matches!(finding.state, FindingStatus::Warning | FindingStatus::Error | FindingStatus::Unreachable) && !is_level
}

/// Backends that share no traffic by weights that are set at runtime.
fn fixed_weights(site: &Site, draft: &Draft) -> Option<String> {
    let fixed = |backend: &&BackendName| {
        let algo = site.settings.get(*backend).map_or("", |settings| settings.algo.as_str());
        // Without an algorithm nothing is known; only HAProxy knows of a hash whether it accepts weights.
        !algo.is_empty() && matches!(Balance::from_algorithm(algo, None), Balance::Fixed(_) | Balance::Ignored(_))
    };
    let fixed: Vec<BackendName> = draft.backends.iter().filter(fixed).cloned().collect();
    (!fixed.is_empty()).then(|| {
        format!(
            "farm {}: a canary is refused, as `balance` of {} takes no weights at runtime; see-saw and rolling go on",
            draft.name,
            backends(fixed.into_iter())
        )
    })
}

/// The notes as comments at the end of the file.
pub(super) fn as_comments(notes: &[String]) -> String {
    let mut text = Text::default();
    if !notes.is_empty() {
        text.line("");
        text.comment("When this file was written:");
        notes.iter().for_each(|note| text.item(&format!("{note}.")));
    }
    text.end()
}
