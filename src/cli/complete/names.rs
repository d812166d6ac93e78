//! Names from teeterd as candidates: silently none, if teeterd does not answer at once.

use std::ffi::OsStr;
use std::path::PathBuf;
use std::time::Duration;

use clap_complete::CompletionCandidate;

use crate::api::NamesView;
use crate::control::client::Client;

/// Servers, farms and groups, as selectors.
pub(in crate::cli) fn servers(typed: &OsStr) -> Vec<CompletionCandidate> {
    let names = known();
    let farms = names.farms.iter().flat_map(|farm| {
        let groups = farm.groups.iter().map(|group| format!("farm:{}/{group}", farm.name));
        std::iter::once(format!("farm:{}", farm.name)).chain(groups)
    });
    // A server alone means every line with its name.
    let alone = names.servers.iter().filter_map(|name| Some(name.split_once('/')?.1.to_owned()));
    let mut alone: Vec<String> = alone.filter(|_| !typed.is_empty()).collect();
    alone.dedup();
    starting_with(typed, farms.chain(names.servers.iter().cloned()).chain(alone))
}

/// Farms.
pub(in crate::cli) fn farms(typed: &OsStr) -> Vec<CompletionCandidate> {
    starting_with(typed, known().farms.into_iter().map(|farm| farm.name))
}

/// Groups of all farms.
pub(in crate::cli) fn groups(typed: &OsStr) -> Vec<CompletionCandidate> {
    starting_with(typed, known().farms.into_iter().flat_map(|farm| farm.groups))
}

/// The sides that the traffic can be switched to: groups, and `all`.
pub(in crate::cli) fn sides(typed: &OsStr) -> Vec<CompletionCandidate> {
    let groups = known().farms.into_iter().flat_map(|farm| farm.groups);
    starting_with(typed, groups.chain(["all".to_owned()]))
}

/// HAProxys.
pub(in crate::cli) fn haproxys(typed: &OsStr) -> Vec<CompletionCandidate> {
    starting_with(typed, known().haproxys)
}

/// Owners of holds.
pub(in crate::cli) fn owners(typed: &OsStr) -> Vec<CompletionCandidate> {
    starting_with(typed, known().owners)
}

/// The latest runs.
pub(in crate::cli) fn runs(typed: &OsStr) -> Vec<CompletionCandidate> {
    numbers(typed, |_| true)
}

/// The runs that have not ended.
pub(in crate::cli) fn active_runs(typed: &OsStr) -> Vec<CompletionCandidate> {
    numbers(typed, |active| active)
}

fn numbers(typed: &OsStr, shown: fn(bool) -> bool) -> Vec<CompletionCandidate> {
    let typed = typed.to_string_lossy();
    let runs = known().runs.into_iter().filter(|run| shown(run.active));
    let runs = runs.map(|run| (run.id.to_string(), format!("{} of {}, {}", run.strategy, run.farm, run.state)));
    let runs = runs.filter(|(id, _)| id.starts_with(typed.as_ref()));
    runs.map(|(id, what)| CompletionCandidate::new(id).help(Some(what.into()))).collect()
}

/// The names that begin with what is typed, each once.
pub(super) fn starting_with(typed: &OsStr, names: impl IntoIterator<Item = String>) -> Vec<CompletionCandidate> {
    let typed = typed.to_string_lossy();
    let mut given = std::collections::BTreeSet::new();
    let names = names.into_iter().filter(|name| name.starts_with(typed.as_ref()) && given.insert(name.clone()));
    names.map(CompletionCandidate::new).collect()
}

/// All names that teeterd knows; none if it does not answer within [`PATIENCE`].
fn known() -> NamesView {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build();
    let Ok(runtime) = runtime else { return NamesView::default() };
    let client = Client::new(socket(std::env::args().skip(1), std::env::var_os("TEETER_SOCKET").map(PathBuf::from)));
    let names = async { tokio::time::timeout(PATIENCE, client.get("/v1/names")).await };
    runtime.block_on(names).ok().and_then(Result::ok).map(|(names, _)| names).unwrap_or_default()
}

/// The control socket of the line that is being completed.
pub(super) fn socket(mut words: impl Iterator<Item = String>, variable: Option<PathBuf>) -> PathBuf {
    let mut named = None;
    while let Some(word) = words.next() {
        match word.strip_prefix("--socket") {
            Some("") => named = words.next(),
            Some(path) => named = path.strip_prefix('=').map(str::to_owned),
            None => {}
        }
    }
    let named = named.filter(|path| !path.is_empty()).map(PathBuf::from);
    named.or(variable).unwrap_or_else(|| PathBuf::from(crate::cli::args::SOCKET))
}

/// The longest wait for teeterd: a user who has pressed the key waits for it.
const PATIENCE: Duration = Duration::from_millis(400);
