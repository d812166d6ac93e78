//! `teeterd`: puts all modules together, in the order of the start.

mod control_socket;
mod logging;
mod metrics;
mod rivals;
mod service;
mod signals;
mod threads;
mod watchdog;

use std::error::Error;
use std::path::{Path, PathBuf};
use std::process::ExitCode;
use std::sync::Arc;

use clap::{CommandFactory as _, Parser};
use tokio::net::UnixListener;
use tokio::runtime::Handle;
use tokio::sync::{Notify, watch};

use crate::api::{Exit, FindingStatus};
use crate::cli;
use crate::config::{Config, DEFAULT_PATH, InstanceSettings};
use crate::control::{self, Access, Roles};
use crate::engine::{self, Engine};
use crate::farm::InstanceName;
use crate::haproxy::{Address, Client, Endpoint, Master, usual_sockets};
use crate::platform::chain;
use crate::platform::{Clock, Platform};
use crate::probe::NetworkProber;
use crate::reconcile::MapWriters;
use crate::state::State;
use crate::store;

/// The daemon beside HAProxy: takes servers out, waits until nothing is in flight on them, and brings them back.
#[derive(Debug, Parser)]
#[command(name = "teeterd", version)]
#[command(
    after_help = "Signals: TERM and INT stop the daemon, and traffic stays as it is; HUP reads the configuration again.
Without a configuration, teeterd uses the HAProxy at a usual stats socket; name its servers as BACKEND/SERVER."
)]
struct Args {
    /// The configuration.
    #[arg(long, value_name = "PATH", help = format!("The configuration [default: {DEFAULT_PATH}, if it exists]"))]
    config: Option<PathBuf>,
    /// Create the control socket here, instead of at the path in the configuration.
    #[arg(long, value_name = "PATH", env = "TEETER_SOCKET")]
    socket: Option<PathBuf>,
    /// Only check the configuration: first the file itself (errors name line and column), then against the HAProxy
    /// instances that answer.
    #[arg(long)]
    check: bool,
}

/// Runs the daemon until a signal ends it.
pub fn main() -> ExitCode {
    let args: Args = match cli::parse(logging::say) {
        Ok(args) => args,
        Err(exit) => return exit,
    };
    let config = match load(&args) {
        Ok(config) => config,
        Err(error) => return fail(Exit::Usage, &*error),
    };
    if args.check {
        return check(&config);
    }
    logging::start(config.log);
    let (runtime, readers) = match threads::start() {
        Ok(runtimes) => runtimes,
        Err(error) => return fail(Exit::Failed, &error),
    };
    let ended = runtime.block_on(run(args, config, readers.handle().clone()));
    // Do not wait for the requests of readers.
    readers.shutdown_background();
    match ended {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => fail(Exit::Failed, &*error),
    }
}

/// The grammar of the command line, for the manual page and completions.
pub fn command() -> clap::Command {
    Args::command()
}

/// Compares the configuration with HAProxy. A HAProxy that does not answer is reported, but is not an error: the
/// configuration may be checked on another machine.
fn check(config: &Config) -> ExitCode {
    let runtime = match tokio::runtime::Builder::new_current_thread().enable_all().build() {
        Ok(runtime) => runtime,
        Err(error) => return fail(Exit::Failed, &error),
    };
    let haproxies = haproxies(config);
    let sockets = haproxies
        .iter()
        .map(|(name, stats, master)| (name.clone(), engine::doctor::Sockets { stats, master: master.as_ref() }));
    for unknown in unknown_grants(config) {
        logging::say(&format!("warning: {unknown}"));
    }
    let (files, no_state) = (MapWriters::default(), State::default());
    let (prober, before) = (NetworkProber::new(Clock::new()), engine::doctor::Before::new());
    let findings = runtime.block_on(engine::doctor::examine(
        &config.farms,
        sockets.collect(),
        engine::doctor::Stored { state: &no_state, before: &before },
        &config.may_be_away(),
        &prober,
        &files,
    ));
    for finding in findings.iter().filter(|finding| finding.state != FindingStatus::Ok) {
        logging::say(&format!("{}: {}: {}", finding.state, finding.about, finding.text));
    }
    if findings.iter().any(|finding| finding.state == FindingStatus::Error) {
        return ExitCode::from(Exit::Usage as u8);
    }
    logging::say(&format!("configuration OK: {} HAProxy, {} farms", haproxies.len(), config.farms.len()));
    ExitCode::SUCCESS
}

async fn run(args: Args, config: Config, readers: Handle) -> Result<(), Box<dyn Error>> {
    let signals = signals::Signals::new()?;
    store::check_directory(&config.store.path, config.store.shared_directory)
        .map_err(|error| format!("cannot use the store {}: {error}", config.store.path.display()))?;
    let platform = Platform::default().with_readers(readers);
    let store = store::open(&config.store.path)?;
    for unknown in unknown_grants(&config) {
        tracing::warn!("{unknown}");
    }
    if let Some(trouble) = store.trouble() {
        tracing::error!("{trouble}");
    }
    let haproxies = haproxies(&config);
    let addresses = haproxies.iter().map(|(name, client, _)| (name.clone(), client.address().clone())).collect();
    let engine = Engine::start(
        config.farms.clone(),
        config.holds,
        haproxies,
        store,
        Arc::new(NetworkProber::new(platform.clock)),
        platform,
    )
    .await?;
    engine.set_may_be_away(config.may_be_away());
    engine.set_retention(Arc::new(config.retention));
    rivals::watch(&engine, addresses);
    let (listener, is_own) = listen(&args, &config).await?;
    metrics::start(&engine, &config.metrics).await?;
    let stop = Arc::new(Notify::new());
    let stopped = Arc::clone(&stop);
    let access = watch::Sender::new(access(&args, &config));
    let stopping = async move { stopped.notified().await };
    let listeners = control_socket::watch(&engine, &listener, is_own.then(|| config.control.clone()));
    let server = tokio::spawn(control::serve(Arc::clone(&engine), access.subscribe(), listener, listeners, stopping));
    service::ready();
    watchdog::keep(&engine)?;
    tracing::info!("ready");
    signals
        .handle(async || {
            service::reloading();
            match load(&args) {
                Ok(new) => {
                    access.send_replace(self::access(&args, &new));
                    apply(&engine, &config, new).await;
                }
                Err(error) => tracing::error!(
                    "the new configuration is refused, and the old configuration stays in use: {}",
                    chain(&*error)
                ),
            }
            service::ready();
        })
        .await;
    service::stopping();
    tracing::info!("stopping; traffic stays as it is");
    stop.notify_one();
    // Long polls and event streams would keep the server running for as long as their clients want.
    let _ = tokio::time::timeout(LAST_ANSWERS_TAKE, server).await;
    Ok(())
}

fn load(args: &Args) -> Result<Config, Box<dyn Error>> {
    let environment =
        std::env::vars_os().filter_map(|(key, value)| Some((key.into_string().ok()?, value.into_string().ok()?)));
    let mut config = Config::load(args.config.as_deref(), environment)?;
    if let Some(path) = &args.socket {
        config.control.socket.clone_from(path);
    }
    Ok(config)
}

/// The configured HAProxy instances; if there are none, those at usual paths.
fn haproxies(config: &Config) -> Vec<(InstanceName, Client, Option<Master>)> {
    let client = |endpoint: Endpoint| Client::new(endpoint, engine::ANSWER_TAKES);
    let master = |path: PathBuf| Master::new(path, engine::ANSWER_TAKES);
    if !config.haproxy.is_empty() {
        let endpoint =
            |settings: &InstanceSettings| Endpoint { address: settings.socket.clone(), tls: settings.tls.clone() };
        let connect = |settings: &InstanceSettings| {
            (settings.name.clone(), client(endpoint(settings)), settings.master.clone().map(master))
        };
        return config.haproxy.iter().map(connect).collect();
    }
    let mut paths = usual_sockets();
    if paths.is_empty() {
        tracing::warn!("no HAProxy is configured and no stats socket is at a usual path; see docs/haproxy.md");
        // The status shows this path as unreachable until HAProxy creates the socket.
        paths.push(Path::new("/run/haproxy/admin.sock").to_owned());
    }
    let name = |index: usize| if index == 0 { "haproxy".to_owned() } else { format!("haproxy{}", index + 1) };
    let named = paths
        .into_iter()
        .enumerate()
        .filter_map(|(index, path)| Some((name(index).parse().ok()?, client(Address::Unix(path).into()), None)));
    named.collect()
}

/// The control socket from systemd, or a new one. Returns whether teeterd has created it.
async fn listen(args: &Args, config: &Config) -> Result<(UnixListener, bool), Box<dyn Error>> {
    if args.socket.is_none()
        && let Some(listener) = listenfd::ListenFd::from_env().take_unix_listener(0)?
    {
        listener.set_nonblocking(true)?;
        return Ok((UnixListener::from_std(listener)?, false));
    }
    let path = config.control.socket.display();
    let created = control_socket::create(&config.control).await;
    Ok((created.map_err(|error| format!("cannot create the control socket {path}: {error}"))?, true))
}

/// The access rules of a configuration.
fn access(args: &Args, config: &Config) -> Access {
    let config_path = args.config.clone().unwrap_or_else(|| DEFAULT_PATH.into());
    Access { roles: config.control.roles.clone(), config: config_path }
}

/// Grants to users and groups that this machine does not know.
fn unknown_grants(config: &Config) -> Vec<String> {
    let unknown = config.control.roles.iter().flat_map(Roles::unknown);
    unknown.map(|(role, to)| format!("[control.roles] {role}: no such user or group: {to}")).collect()
}

/// Uses a configuration that was read again, except the sections that are read only at the start.
async fn apply(engine: &Engine, old: &Config, new: Config) {
    for unknown in unknown_grants(&new) {
        tracing::warn!("{unknown}");
    }
    if !same_haproxies(&new.haproxy, &old.haproxy)
        || !new.control.same_socket(&old.control)
        || new.store != old.store
        || new.log != old.log
        || new.metrics != old.metrics
    {
        tracing::warn!(
            "[[haproxy]] (except may_be_away), [store], [log], [metrics] and the socket of [control] are read only at the \
             start of teeterd; farms, [holds], [retention] and [control.roles] are in use now"
        );
    }
    engine.set_may_be_away(new.may_be_away());
    engine.set_retention(Arc::new(new.retention));
    let farms = new.farms.len();
    engine.set_farms(new.farms, new.holds).await;
    tracing::info!(farms, "configuration read again");
}

/// Whether both configure the same HAProxy instances, apart from may_be_away.
fn same_haproxies(new: &[InstanceSettings], old: &[InstanceSettings]) -> bool {
    let compared = |all: &[InstanceSettings]| -> Vec<InstanceSettings> {
        all.iter().map(|haproxy| InstanceSettings { may_be_away: false, ..haproxy.clone() }).collect()
    };
    compared(new) == compared(old)
}

fn fail(exit: Exit, error: &dyn Error) -> ExitCode {
    logging::say(&format!("teeterd: {}", chain(error)));
    ExitCode::from(exit as u8)
}

/// The time for the last answers when the daemon stops.
const LAST_ANSWERS_TAKE: std::time::Duration = std::time::Duration::from_millis(500);
