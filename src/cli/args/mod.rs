//! The grammar of the command line. Arguments that pass it are complete and well-formed; others end with exit code 2.

mod deploy;
mod init;
mod events;
mod holds;
mod report;
mod runs;
mod servers;
mod since;
mod status;
mod store;
mod top;
mod verdict;
#[cfg(test)]
mod tests;

use std::path::PathBuf;

use clap::builder::NonEmptyStringValueParser;
use clap::{Parser, Subcommand, ValueEnum};
use clap_complete::ArgValueCompleter;

pub(super) use self::deploy::{Deploy, HookOptions, some_time};
pub(super) use self::events::Events;
pub(super) use self::holds::{DrainOptions, Ready, Take, Until, Wait};
pub(super) use self::init::Init;
pub(super) use self::report::Report;
pub(super) use self::runs::{Advance, Begin, Flip, RunOptions};
pub(super) use self::servers::{AnyServers, Servers, Waited};
pub(super) use self::since::Since;
pub(super) use self::status::{ServerState, Status};
pub(super) use self::store::{Forget, StoreTask};
pub(super) use self::top::Top;
pub(super) use self::verdict::Verdict;
use super::{complete, help};
use crate::farm::{FarmName, InstanceName};

/// Takes servers out of HAProxy, waits until nothing is in flight on them, and brings them back verified.
#[derive(Debug, Parser)]
#[command(name = "teeter", version, max_term_width = 110, after_help = help::AFTER)]
pub(super) struct Cli {
    /// The control socket of teeterd.
    #[arg(
        long,
        global = true,
        display_order = 900,
        env = "TEETER_SOCKET",
        value_name = "PATH",
        default_value = SOCKET
    )]
    pub(super) socket: PathBuf,
    /// Print one JSON document, as in the API.
    #[arg(long, global = true, display_order = 901)]
    pub(super) json: bool,
    /// Colour the output: auto means on a terminal, unless NO_COLOR is set.
    #[arg(long, global = true, display_order = 902, value_name = "WHEN", value_enum, default_value_t = ColorWhen::Auto)]
    pub(super) color: ColorWhen,
    #[command(subcommand)]
    pub(super) command: Command,
}

/// When the output is coloured.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub(super) enum ColorWhen {
    Auto,
    Always,
    Never,
}

#[derive(Debug, Subcommand)]
pub(super) enum Command {
    /// Count the servers in each state, and list those that are not in their normal state, with their holds.
    #[command(after_help = help::STATUS)]
    Status(Status),
    /// Show all servers, runs and HAProxys on one screen that stays open. Changes nothing without --allow-changes.
    #[command(after_help = help::TOP)]
    Top(Top),
    /// Take servers out; sticky clients may finish.
    #[command(after_help = help::DRAIN)]
    Drain(Take),
    /// Take servers out for everyone, sticky clients too.
    #[command(after_help = help::MAINT)]
    Maint(Take),
    /// Bring servers back: end your hold on them once their checks and probes pass.
    #[command(after_help = "Examples:\n  teeter ready app/web01\n  teeter ready web01 --no-verify\n  \
            teeter ready web01 --owner alice\n  teeter ready --host 10.0.0.7")]
    Ready(Ready),
    /// Wait until servers are empty, or take traffic again.
    #[command(after_help = "Examples:\n  teeter wait app/web01 --until drained --timeout 5m\n  \
            teeter wait farm:web --until up\n  teeter wait --host 10.0.0.7 --until drained\n  \
            teeter wait --haproxy lb2 --timeout 10s")]
    Wait(Wait),
    /// List all holds with owner, reason, age and end; the earliest end comes first.
    #[command(after_help = "Examples:\n  teeter holds\n  teeter holds --calendar\n  teeter holds --json")]
    Holds {
        /// Show day by day which servers go out and come back.
        #[arg(long)]
        calendar: bool,
    },
    /// List the sessions that are still on servers: age, client, bytes.
    #[command(after_help = "Example:\n  teeter why app/web01")]
    Why(Servers),
    /// Deploy to a farm, group by group: each group is drained, your hook works on it, it is verified and brought back.
    #[command(after_help = help::DEPLOY)]
    Deploy(Deploy),
    /// Start a deploy and wait until the first group is empty, for pipelines that do the work themselves.
    #[command(after_help = help::BEGIN)]
    Begin(Begin),
    /// Report that the work on a group is done (or try a failed step again), and wait for the next work.
    #[command(after_help = help::ADVANCE)]
    Advance(Advance),
    /// Switch the traffic to one group, or to all. Servers that come in are verified first; servers that go out are on
    /// standby.
    #[command(after_help = help::FLIP)]
    Flip(Flip),
    /// Print the group of a farm that gets no traffic: its name, servers and addresses, for a shell.
    #[command(after_help = help::IDLE)]
    Idle {
        /// The farm, as named in teeterd's configuration.
        #[arg(value_name = "FARM", add = ArgValueCompleter::new(complete::farms))]
        farm: FarmName,
        /// Decide without this HAProxy if it does not answer. Repeatable.
        #[arg(long, value_name = "NAME", add = ArgValueCompleter::new(complete::haproxys))]
        without_haproxy: Vec<InstanceName>,
    },
    /// Pause a run before its next step.
    #[command(after_help = "Example:\n  teeter pause 3\n\n\
            The current step goes on: servers that are being drained are drained.")]
    Pause {
        /// The run's number.
        #[arg(value_name = "RUN", add = ArgValueCompleter::new(complete::active_runs))]
        run: u64,
    },
    /// Let a stopped run go on: resume a paused run, or try a failed step again.
    #[command(after_help = "Example:\n  teeter continue 3\n\n\
            If the run needs a hook, this prints the command: `teeter deploy --resume 3 -- HOOK`.")]
    Continue {
        /// The run's number.
        #[arg(value_name = "RUN")]
        run: u64,
    },
    /// Resume a paused run.
    #[command(after_help = "Example:\n  teeter resume 3")]
    Resume {
        /// The run's number.
        #[arg(value_name = "RUN", add = ArgValueCompleter::new(complete::active_runs))]
        run: u64,
    },
    /// Try the failed step of a run again, and wait for the next work.
    #[command(after_help = "Example:\n  teeter retry 3\n\n\
            Failed work must be done again; to report it as done instead, use `teeter advance 3`.")]
    Retry {
        /// The run's number.
        #[arg(value_name = "RUN", add = ArgValueCompleter::new(complete::active_runs))]
        run: u64,
    },
    /// Roll back a run: switch the traffic to the side that still runs the previous version.
    #[command(after_help = "Example:\n  teeter rollback 3 --reason 'the shop is empty'")]
    Rollback {
        /// The run's number.
        #[arg(value_name = "RUN", add = ArgValueCompleter::new(complete::active_runs))]
        run: u64,
        /// The reason, shown by `teeter events`.
        #[arg(long, value_name = "TEXT", value_parser = NonEmptyStringValueParser::new())]
        reason: Option<String>,
    },
    /// End a run: healthy servers come back, the others stay out.
    #[command(after_help = "Example:\n  teeter abort 3")]
    Abort {
        /// The run's number.
        #[arg(value_name = "RUN", add = ArgValueCompleter::new(complete::active_runs))]
        run: u64,
    },
    /// List the runs, the latest first.
    #[command(after_help = "Example:\n  teeter runs")]
    Runs,
    /// Show one run: its steps, its events, the servers that are out, and the command that continues it.
    #[command(after_help = "Examples:\n  teeter show\n  teeter show 3 --json\n  teeter show --follow\n  \
            work=$(teeter show 3 --variables) && eval \"$work\"")]
    Show {
        /// The run's number [default: the latest run].
        #[arg(value_name = "RUN", add = ArgValueCompleter::new(complete::runs))]
        run: Option<u64>,
        /// Show the run live until it ends or stops.
        #[arg(long, short, conflicts_with = "variables")]
        follow: bool,
        /// Print only the variables of the run and of the work that it waits for, as `teeter begin` does.
        #[arg(long)]
        variables: bool,
    },
    /// Write a page of HTML about one run, or about the runs of a farm. The page needs no network.
    #[command(after_help = help::REPORT)]
    Report(Report),
    /// Judge the watches of past runs again, or counters in a file, by the settings that you give. Changes nothing.
    #[command(after_help = help::VERDICT)]
    Verdict(Verdict),
    /// Check sockets, levels, farms and maps, and print how to fix problems. Changes nothing.
    #[command(after_help = "Example:\n  teeter doctor")]
    Doctor,
    /// List events, the oldest first.
    #[command(after_help = "Examples:\n  teeter events --limit 20\n  teeter events --follow 3\n\
        With --follow --json, each line is one document.")]
    Events(Events),
    /// Delete the records of a farm, or of a HAProxy, that is not configured any more. Changes no traffic.
    #[command(after_help = "Examples:\n  teeter forget shop\n  teeter forget --haproxy edge2\n\n\
        `teeter doctor` lists leftover records.")]
    Forget(Forget),
    /// Copy the store of a running teeterd, or verify a store.
    #[command(subcommand, after_help = help::STORE)]
    Store(StoreTask),
    /// Write a configuration for teeterd from a running HAProxy: farms, groups, verification and routes. Needs no
    /// teeterd and changes nothing in HAProxy.
    #[command(after_help = help::INIT)]
    Init(Init),
    /// Print the script that makes a shell complete `teeter`, with live names of servers, farms, groups and runs.
    #[command(after_help = help::COMPLETIONS)]
    Completions {
        /// The shell.
        #[arg(value_name = "SHELL", value_enum)]
        shell: Shell,
    },
}

/// A shell that can complete command lines.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub(super) enum Shell {
    Bash,
    Zsh,
    Fish,
    Powershell,
    Elvish,
}

/// The control socket where nothing names another one.
pub(super) const SOCKET: &str = "/run/teeter/control.sock";
