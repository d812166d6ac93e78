//! `teeter init`: reads a running HAProxy and writes a teeter.toml for it.
//!
//! `read` asks HAProxy and reads haproxy.cfg. Everything else is pure: `processes` and `farms` work out which servers
//! belong together, `halves` and `routes` how their traffic is switched, `verify` how they are verified, and `write` and
//! `notes` have the text. The doctor then judges the result, as `teeterd --check` does.

mod cfg;
mod error;
mod farms;
mod halves;
mod names;
mod notes;
mod processes;
mod read;
mod routes;
mod site;
mod verify;
mod write;

use std::collections::{BTreeMap, BTreeSet};
use std::path::PathBuf;

use serde::Deserialize;

use self::farms::{Draft, Farms};
use self::site::Site;
use self::verify::Verify;
use crate::api::FindingView;
use crate::engine::{self, Prober};
use crate::farm::{Farm, FarmName, FarmSettings, HttpProbe, InstanceName, Seen, Span, live_side};
use crate::haproxy::{Address, Client, Endpoint};
use crate::reconcile::{ANSWER_TAKES, MapWriters};
use crate::state::State;

pub use self::error::{InitError, Kind};

/// What to read.
#[derive(Debug, Clone)]
pub struct Request {
    /// The name that HAProxy gets in teeter.toml.
    pub name: InstanceName,
    /// Its stats socket.
    pub endpoint: Endpoint,
    /// Its configuration: files, or directories with files; may be empty.
    pub cfg: Vec<PathBuf>,
}

/// The result.
#[derive(Debug, Clone)]
pub struct Written {
    /// The text of teeter.toml.
    pub text: String,
    /// The farms in it.
    pub farms: Vec<FarmName>,
    /// The arguments of a first `teeter deploy`, without `--dry-run`.
    pub first: String,
    /// What would be refused now, or should be known: a sentence each.
    pub notes: Vec<String>,
    /// The configuration with which this HAProxy was started, if it was not given.
    pub cfg_to_name: Vec<String>,
}

/// Reads a HAProxy and writes the configuration for it. Changes nothing in HAProxy.
///
/// # Errors
/// HAProxy does not answer or may not be read, has no servers for a farm, or a file cannot be read.
pub async fn init(request: &Request, prober: &dyn Prober) -> Result<Written, InitError> {
    let client = Client::new(request.endpoint.clone(), ANSWER_TAKES);
    let site = read::site(request, &client).await?;
    let (farms, others) = farms_with_routes(&site)?;
    if farms.farms.is_empty() {
        let backends = write::backends(site.seen.servers.backends().cloned());
        return Err(InitError::NoFarms { address: client.address().clone(), backends });
    }
    let mut verified: Vec<Verify> = farms.farms.iter().map(|draft| verify::of(&site, draft)).collect();
    futures_util::future::join_all(verified.iter_mut().map(|verify| learn(verify, prober))).await;
    let findings = examine(&client, &site, prober, &parsed(&text(&site, &farms, &verified))?).await;
    let notes = notes::refused(&site, &farms, &findings, &others);
    let text = text(&site, &farms, &verified) + &notes::as_comments(&notes);
    let is_here = matches!(client.address(), Address::Unix(_) | Address::Abstract(_));
    let cfg_to_name = if site.cfg.is_none() && is_here { read::cfg_of_process(site.seen.pid) } else { Vec::new() };
    let first = farms.farms.first().map(|draft| format!("{}{}", draft.name, draft.strategy())).unwrap_or_default();
    let farms = farms.farms.into_iter().map(|draft| draft.name).collect();
    Ok(Written { text, farms, first, notes, cfg_to_name })
}

/// The farms, with the routes that fit HAProxy, and notes about routes that cannot be.
fn farms_with_routes(site: &Site) -> Result<(Farms, Vec<String>), InitError> {
    let (together, notes) = routes::twins(site);
    let mut farms = farms::farms(site, &together);
    for draft in &mut farms.farms {
        let without = draft.clone();
        routes::assign(site, draft);
        if draft.routes.is_empty() {
            continue;
        }
        if let Err(problem) = fits(site, draft) {
            let not_routed = vec![problem];
            *draft = Draft { not_routed, ..without };
        }
    }
    Ok((farms, notes))
}

/// Whether teeter accepts the route of a farm in this HAProxy.
fn fits(site: &Site, draft: &Draft) -> Result<(), String> {
    let farms = parsed(&write::farm(site, draft, &Verify::none("not known"))).map_err(|error| error.to_string())?;
    let seen: BTreeMap<InstanceName, &Seen> = [(site.name.clone(), &site.seen)].into();
    for farm in farms.values() {
        let layout = farm.layout(&seen).map_err(|error| error.problem)?;
        let problems = |problems: Vec<crate::farm::FarmError>| {
            problems.into_iter().map(|error| error.problem).collect::<Vec<_>>().join("; ")
        };
        live_side(farm, &layout, &seen).map_err(problems)?;
    }
    Ok(())
}

/// Asks one server as the verification will ask it.
async fn learn(verify: &mut Verify, prober: &dyn Prober) {
    let (Ok(probe), Some(address)) = (verify.http.clone(), verify.ask.clone()) else { return };
    let probe = HttpProbe { timeout: Span::from_secs(ASKING_TAKES), ..probe };
    let answer = prober.time(address.clone(), probe).await;
    verify.learn(&address, answer.map(|timed| timed.status));
}

fn text(site: &Site, farms: &Farms, verified: &[Verify]) -> String {
    let farms = farms.farms.iter().zip(verified).map(|(draft, verify)| write::farm(site, draft, verify));
    write::head(site) + &farms.collect::<String>()
}

/// The farms in a text, read and checked as teeterd does.
fn parsed(text: &str) -> Result<BTreeMap<FarmName, Farm>, InitError> {
    #[derive(Deserialize)]
    struct Tables {
        #[serde(default)]
        farm: BTreeMap<FarmName, FarmSettings>,
    }
    let tables: Tables =
        toml::from_str(text).map_err(|error| InitError::Refused { problem: error.message().to_owned() })?;
    let mut farms = BTreeMap::new();
    for (name, settings) in tables.farm {
        let farm = Farm { name: name.clone(), settings };
        farm.check().map_err(|error| InitError::Refused { problem: error.to_string() })?;
        farms.insert(name, farm);
    }
    Ok(farms)
}

/// What the doctor finds, as `teeterd --check` will.
async fn examine(
    client: &Client,
    site: &Site,
    prober: &dyn Prober,
    farms: &BTreeMap<FarmName, Farm>,
) -> Vec<FindingView> {
    let (files, nothing, before) = (MapWriters::default(), State::default(), engine::doctor::Before::new());
    let sockets = [(site.name.clone(), engine::doctor::Sockets { stats: client, master: None })].into();
    let stored = engine::doctor::Stored { state: &nothing, before: &before };
    engine::doctor::examine(farms, sockets, stored, &BTreeSet::new(), prober, &files).await
}

/// How long one server may take to answer, in seconds.
const ASKING_TAKES: u64 = 3;

#[cfg(test)]
mod tests;
