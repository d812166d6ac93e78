//! Reads a HAProxy and its haproxy.cfg.

use std::collections::BTreeMap;
use std::io;
use std::os::unix::fs::FileTypeExt as _;
use std::path::{Path, PathBuf};

use super::Request;
use super::cfg::Cfg;
use super::error::InitError;
use super::site::Site;
use crate::farm::{Seen, SeenMap};
use crate::haproxy::commands::{Level, MapEntry, ShowBackends, ShowCliLevel, ShowMap};
use crate::haproxy::{Address, Client, MapName};
use crate::reconcile::{Look, look_at_all};

/// Reads everything. Changes nothing.
pub(super) async fn site(request: &Request, client: &Client) -> Result<Site, InitError> {
    if let Address::Unix(path) = client.address() {
        let is_other = std::fs::metadata(path).is_ok_and(|metadata| !metadata.file_type().is_socket());
        if is_other {
            return Err(InitError::NotASocket { path: path.clone() });
        }
    }
    // Before anything else, because a socket of level user refuses most of the rest.
    let level = client.ask(&ShowCliLevel).await?;
    if level == Level::User {
        return Err(InitError::Level { address: client.address().clone(), level });
    }
    let look: Look = look_at_all(client, &Default::default()).await?;
    if look.servers.is_empty() {
        return Err(InitError::NoServers { address: client.address().clone(), version: look.info.version });
    }
    let pid = look.info.pid;
    let settings = client.ask(&ShowBackends).await?;
    let cfg_paths = files(&request.cfg)?;
    let cfg = if cfg_paths.is_empty() { None } else { Some(Cfg::parse(&text(&cfg_paths)?)) };
    let maps = maps(client, cfg.as_ref()).await?;
    let mut seen: Seen = look.onto(None, None);
    seen.maps = maps.iter().map(|(map, entries)| (map.clone(), seen_map(entries))).collect();
    let process = match client.address() {
        Address::Unix(_) | Address::Abstract(_) => command_line(pid),
        Address::Tcp(_) | Address::Tls(_) => Vec::new(),
    };
    let master = after(&process, "-S").and_then(|socket| master_path(&socket)).filter(|path| path.exists());
    Ok(Site {
        name: request.name.clone(),
        endpoint: request.endpoint.clone(),
        level: Some(level),
        master,
        seen,
        settings,
        cfg,
        maps,
        cfg_paths,
    })
}

/// The entries of the maps that choose a backend. A map that HAProxy does not have, or that is very long, is left out.
async fn maps(client: &Client, cfg: Option<&Cfg>) -> Result<BTreeMap<MapName, Vec<MapEntry>>, InitError> {
    let mut found = BTreeMap::new();
    let names = cfg.iter().flat_map(|cfg| &cfg.lookups).filter_map(|lookup| lookup.map.parse::<MapName>().ok());
    for map in names.take(MOST_MAPS) {
        if found.contains_key(&map) {
            continue;
        }
        match client.ask_at_most(&ShowMap { map: map.clone() }, LONGEST_MAP).await {
            Ok(Some(entries)) => {
                found.insert(map, entries);
            }
            Ok(None) => {}
            Err(error) if error.refusal().is_some() => {}
            Err(error) => return Err(error.into()),
        }
    }
    Ok(found)
}

fn seen_map(entries: &[MapEntry]) -> SeenMap {
    let entries = entries.iter().filter_map(|entry| Some((entry.key.parse().ok()?, Some(entry.value.clone()))));
    SeenMap { missing: false, entries: entries.collect() }
}

/// The files that are named; of a directory those that HAProxy reads there.
fn files(named: &[PathBuf]) -> Result<Vec<PathBuf>, InitError> {
    let failed = |path: &Path, source| InitError::Cfg { path: path.to_owned(), source };
    let mut files = Vec::new();
    for path in named {
        if !path.is_dir() {
            files.push(path.clone());
            continue;
        }
        let entries = std::fs::read_dir(path).map_err(|error| failed(path, error))?;
        let mut there: Vec<PathBuf> = entries.filter_map(|entry| Some(entry.ok()?.path())).collect();
        there.retain(|path| path.extension().is_some_and(|end| end == "cfg"));
        there.sort();
        files.append(&mut there);
    }
    Ok(files)
}

fn text(files: &[PathBuf]) -> Result<String, InitError> {
    let mut text = String::new();
    for path in files {
        let failed = |source| InitError::Cfg { path: path.clone(), source };
        let size = std::fs::metadata(path).map_err(failed)?.len();
        if size > LONGEST_CFG {
            return Err(failed(io::Error::other(format!("it has {size} bytes, and at most {LONGEST_CFG} are read"))));
        }
        text.push_str(&String::from_utf8_lossy(&std::fs::read(path).map_err(failed)?));
        text.push('\n');
    }
    Ok(text)
}

/// The files that a HAProxy on this machine was started with: `-f FILE`. Empty if they are not known.
pub(super) fn cfg_of_process(pid: u32) -> Vec<String> {
    let words = command_line(pid);
    let values = words.iter().zip(words.iter().skip(1)).filter(|(option, _)| *option == "-f").map(|(_, value)| value);
    values.cloned().collect()
}

/// The command line of a process of this name, which may be one of another machine or container.
fn command_line(pid: u32) -> Vec<String> {
    let read = |file: &str| std::fs::read(format!("/proc/{pid}/{file}")).unwrap_or_default();
    if !read("comm").starts_with(b"haproxy") {
        return Vec::new();
    }
    read("cmdline").split(|byte| *byte == 0).map(|word| String::from_utf8_lossy(word).into_owned()).collect()
}

fn after(words: &[String], option: &str) -> Option<String> {
    let at = words.iter().position(|word| word == option)?;
    words.get(at + 1).cloned()
}

/// The path in `-S unix@PATH,level,admin`.
fn master_path(socket: &str) -> Option<PathBuf> {
    let path = socket.split(',').next()?;
    let path = path.strip_prefix("unix@").unwrap_or(path);
    path.starts_with('/').then(|| path.into())
}

/// The most bytes of one haproxy.cfg.
const LONGEST_CFG: u64 = 16 << 20;

/// The most bytes of a map's entries.
const LONGEST_MAP: usize = 4 << 20;

/// The most maps that are read.
const MOST_MAPS: usize = 64;
