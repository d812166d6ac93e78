//! The grammar of the command line. Arguments that pass it are complete and well-formed; others end with exit code 2.

mod deploy;
mod init;
mod runs;
mod servers;
mod since;

use std::path::PathBuf;

use clap::builder::{NonEmptyStringValueParser, PossibleValuesParser, TypedValueParser};
use clap::{Args, Parser, Subcommand, ValueEnum};
use serde::de::DeserializeOwned;

pub(super) use self::deploy::{Deploy, HookOptions, some_time};
pub(super) use self::init::Init;
pub(super) use self::runs::{Advance, Begin, Flip, RunOptions};
pub(super) use self::servers::{AnyServers, Servers, Waited};
pub(super) use self::since::Since;
use super::help;
use crate::api::{HoldMode, HoldRequest};
use crate::farm::{FarmName, InstanceName, OnDeadline, Span};

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
        default_value = "/run/teeter/control.sock"
    )]
    pub(super) socket: PathBuf,
    /// Print one JSON document, as in the API.
    #[arg(long, global = true, display_order = 901)]
    pub(super) json: bool,
    #[command(subcommand)]
    pub(super) command: Command,
}

#[derive(Debug, Subcommand)]
pub(super) enum Command {
    /// Show the current state of servers in HAProxy, and their holds.
    #[command(after_help = "Examples:\n  teeter status\n  teeter status farm:web 'api/web0[1-4]'\n  \
            teeter status --host 10.0.0.7")]
    Status(AnyServers),
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
        #[arg(value_name = "FARM")]
        farm: FarmName,
        /// Decide without this HAProxy if it does not answer. Repeatable.
        #[arg(long, value_name = "NAME")]
        without_haproxy: Vec<InstanceName>,
    },
    /// Pause a run before its next step.
    #[command(after_help = "Example:\n  teeter pause 3\n\n\
            The current step goes on: servers that are being drained are drained.")]
    Pause {
        /// The run's number.
        #[arg(value_name = "RUN")]
        run: u64,
    },
    /// Resume a paused run.
    #[command(after_help = "Example:\n  teeter resume 3")]
    Resume {
        /// The run's number.
        #[arg(value_name = "RUN")]
        run: u64,
    },
    /// Try the failed step of a run again, and wait for the next work.
    #[command(after_help = "Example:\n  teeter retry 3\n\n\
            Failed work must be done again; to report it as done instead, use `teeter advance 3`.")]
    Retry {
        /// The run's number.
        #[arg(value_name = "RUN")]
        run: u64,
    },
    /// Roll back a run: switch the traffic to the side that still runs the previous version.
    #[command(after_help = "Example:\n  teeter rollback 3 --reason 'the shop is empty'")]
    Rollback {
        /// The run's number.
        #[arg(value_name = "RUN")]
        run: u64,
        /// The reason, shown by `teeter events`.
        #[arg(long, value_name = "TEXT", value_parser = NonEmptyStringValueParser::new())]
        reason: Option<String>,
    },
    /// End a run: healthy servers come back, the others stay out.
    #[command(after_help = "Example:\n  teeter abort 3")]
    Abort {
        /// The run's number.
        #[arg(value_name = "RUN")]
        run: u64,
    },
    /// List the runs, the latest first.
    #[command(after_help = "Example:\n  teeter runs")]
    Runs,
    /// Show one run: its steps, its events, the servers that are out, and the command that continues it.
    #[command(after_help = "Examples:\n  teeter show\n  teeter show 3 --json")]
    Show {
        /// The run's number [default: the latest run].
        #[arg(value_name = "RUN")]
        run: Option<u64>,
    },
    /// Write one run as a page of HTML: its steps with their times, flips, hook output and record. Needs no network.
    #[command(after_help = "Examples:\n  teeter report 3 -o run3.html\n  teeter report 3 >run3.html")]
    Report(Report),
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
}

#[derive(Debug, Args)]
pub(super) struct Report {
    /// The run's number.
    #[arg(value_name = "RUN")]
    pub(super) run: u64,
    /// The file to write, which must not exist [default: standard output].
    #[arg(long, short, value_name = "FILE")]
    pub(super) output: Option<PathBuf>,
}

#[derive(Debug, Args)]
#[group(required = true, multiple = false)]
pub(super) struct Forget {
    /// The farm, as it was named in teeterd's configuration.
    #[arg(value_name = "FARM")]
    pub(super) farm: Option<FarmName>,
    /// The HAProxy, as it was named in teeterd's configuration.
    #[arg(long, value_name = "NAME")]
    pub(super) haproxy: Option<InstanceName>,
}

#[derive(Debug, Subcommand)]
pub(super) enum StoreTask {
    /// Write a copy of the store to a new file.
    #[command(after_help = "Example:\n  teeter store backup /var/backups/teeter-2026-11-21.db")]
    Backup {
        /// The file, which must not exist; created with your rights and readable only for you.
        #[arg(value_name = "FILE")]
        file: PathBuf,
    },
    /// Verify a store: the file, every record, and references between records. Changes nothing.
    #[command(after_help = "Examples:\n  teeter store verify\n  teeter store verify /var/backups/teeter-2026-11-21.db")]
    Verify {
        /// A file that no teeterd has open [default: the store of the running teeterd].
        #[arg(value_name = "FILE")]
        file: Option<PathBuf>,
    },
}

#[derive(Debug, Args)]
pub(super) struct Take {
    #[command(flatten)]
    pub(super) servers: Servers,
    /// The reason, shown by `teeter holds`.
    #[arg(long, value_name = "TEXT", value_parser = NonEmptyStringValueParser::new())]
    reason: String,
    /// Bring the servers back automatically after this time.
    #[arg(long = "for", value_name = "TIME")]
    expires_in: Option<Span>,
    /// Return at once; do not wait until nothing is in flight.
    #[arg(long)]
    pub(super) no_wait: bool,
    /// Wait also until HAProxy keeps no idle connections to the servers.
    #[arg(long)]
    idle: bool,
    /// Also take out the last servers of a backend.
    #[arg(long)]
    allow_outage: bool,
    /// Refuse if a farm would have fewer members in service than its min_available, even if members are out already.
    #[arg(long, conflicts_with = "allow_outage")]
    all_but_min: bool,
    /// Go on if this HAProxy does not answer; it gets the change as soon as it answers. Repeatable.
    #[arg(long, value_name = "NAME")]
    without_haproxy: Vec<InstanceName>,
    #[command(flatten)]
    pub(super) drain: DrainOptions,
}

#[derive(Debug, Default, Args)]
pub(super) struct DrainOptions {
    /// Let sticky clients stay for this time.
    #[arg(long, value_name = "TIME")]
    grace: Option<Span>,
    /// The longest wait until nothing is in flight.
    #[arg(long, value_name = "TIME")]
    deadline: Option<Span>,
    /// What to do if requests are in flight at the deadline: stop, end them, go on, or bring the servers back.
    #[arg(long, value_name = "WHAT", value_parser = one_of::<OnDeadline>(&["fail", "kill", "proceed", "restore"]))]
    pub(super) on_deadline: Option<OnDeadline>,
}

#[derive(Debug, Args)]
pub(super) struct Ready {
    #[command(flatten)]
    pub(super) servers: Servers,
    /// Bring the servers back without waiting for checks and probes.
    #[arg(long)]
    pub(super) no_verify: bool,
    /// Time for checks and probes to pass [default: verify.deadline of the farm].
    #[arg(long, value_name = "TIME", conflicts_with = "no_verify", value_parser = some_time)]
    pub(super) deadline: Option<Span>,
    /// Also bring back servers that run another version than the servers in service.
    #[arg(long)]
    pub(super) force: bool,
    /// Also bring back servers that were set to maintenance or drain outside teeter.
    #[arg(long)]
    pub(super) take_over: bool,
    /// The owner of the hold to end [default: you].
    #[arg(long, value_name = "NAME", value_parser = NonEmptyStringValueParser::new())]
    pub(super) owner: Option<String>,
    /// Go on if this HAProxy does not answer; it gets the change as soon as it answers. Repeatable.
    #[arg(long, value_name = "NAME")]
    pub(super) without_haproxy: Vec<InstanceName>,
    /// Return at once; do not wait until the servers are back.
    #[arg(long)]
    pub(super) no_wait: bool,
}

#[derive(Debug, Args)]
pub(super) struct Wait {
    #[command(flatten)]
    pub(super) servers: Waited,
    /// The state to wait for: out of service with nothing in flight, or taking traffic.
    #[arg(long, value_enum, required_unless_present = "haproxy")]
    pub(super) until: Option<Until>,
    /// The longest wait.
    #[arg(long, value_name = "TIME", default_value = "60s")]
    pub(super) timeout: Span,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub(super) enum Until {
    Drained,
    Up,
}

#[derive(Debug, Args)]
pub(super) struct Events {
    /// Keep printing new events.
    #[arg(long, short)]
    pub(super) follow: bool,
    /// Only the events of this run.
    #[arg(value_name = "RUN")]
    pub(super) run: Option<u64>,
    /// Only events since then: a time ago such as 2h or 3d, or a point in time such as 2026-11-21 or '2026-11-21 14:00'
    /// (both in local time) or 2026-11-21T13:00:00Z.
    #[arg(long, value_name = "TIME")]
    pub(super) since: Option<Since>,
    /// The most events, of the latest [default: 50; with --since: 5000].
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(u64).range(1..))]
    pub(super) limit: Option<u64>,
}

impl Take {
    /// The request for the API.
    pub(super) fn request(&self, mode: HoldMode) -> HoldRequest {
        HoldRequest {
            selectors: self.servers.all().into(),
            mode,
            reason: self.reason.clone(),
            expires_in: self.expires_in,
            grace: self.drain.grace,
            deadline: self.drain.deadline,
            on_deadline: self.drain.on_deadline,
            idle: self.idle,
            allow_outage: self.allow_outage,
            all_but_min: self.all_but_min,
            without_haproxy: self.without_haproxy.iter().cloned().collect(),
        }
    }
}

/// Reads one of these words of the API.
fn one_of<T: DeserializeOwned + Clone + Send + Sync + 'static>(
    words: &'static [&'static str],
) -> impl TypedValueParser<Value = T> {
    PossibleValuesParser::new(words).try_map(|word| serde_json::from_value(word.into()))
}

#[cfg(test)]
mod tests {
    use clap::CommandFactory as _;
    use clap::error::ErrorKind;

    use super::*;

    fn parse(line: &str) -> Result<Command, ErrorKind> {
        let words = std::iter::once("teeter").chain(line.split_whitespace());
        Cli::try_parse_from(words).map(|cli| cli.command).map_err(|error| error.kind())
    }

    #[test]
    fn the_grammar_is_sound() {
        Cli::command().debug_assert();
    }

    #[test]
    fn incomplete_and_malformed_command_lines_are_refused() {
        for (line, kind) in [
            ("drain app/web01", ErrorKind::MissingRequiredArgument),
            ("drain --reason x", ErrorKind::MissingRequiredArgument),
            ("drain --host web01 --reason x", ErrorKind::ValueValidation),
            ("drain --host host:10.0.0.7 --reason x", ErrorKind::ValueValidation),
            ("drain host:web01 --reason x", ErrorKind::ValueValidation),
            ("drain web01 --reason x --all-but-min --allow-outage", ErrorKind::ArgumentConflict),
            ("drain app/web01 --reason x --deadline 30", ErrorKind::ValueValidation),
            ("drain app/web01 --reason x --on-deadline panic", ErrorKind::InvalidValue),
            ("maint app/web01;x --reason x", ErrorKind::ValueValidation),
            ("ready", ErrorKind::MissingRequiredArgument),
            ("wait app/web01", ErrorKind::MissingRequiredArgument),
            ("wait --until up", ErrorKind::MissingRequiredArgument),
            ("wait app/web01 --haproxy lb2", ErrorKind::ArgumentConflict),
            ("drain app/web01 --reason x --without-haproxy a/b", ErrorKind::ValueValidation),
            ("wait app/web01 --until gone", ErrorKind::InvalidValue),
            ("why", ErrorKind::MissingRequiredArgument),
            ("deploy web", ErrorKind::MissingRequiredArgument),
            ("deploy web hook", ErrorKind::UnknownArgument),
            ("deploy web --strategy big-bang -- hook", ErrorKind::InvalidValue),
            ("begin web --per-server", ErrorKind::UnknownArgument),
            ("begin web -- hook", ErrorKind::UnknownArgument),
            ("begin web --phase lunch", ErrorKind::InvalidValue),
            ("advance", ErrorKind::MissingRequiredArgument),
            ("advance web", ErrorKind::ValueValidation),
            ("events --limit 0", ErrorKind::ValueValidation),
            ("deploy web --strategy rolling --batch 0 -- hook", ErrorKind::ValueValidation),
            ("deploy web --strategy rolling --batch 150% -- hook", ErrorKind::ValueValidation),
            ("deploy web --strategy rolling --settle 60 -- hook", ErrorKind::ValueValidation),
            ("deploy web --after-in -- hook", ErrorKind::InvalidValue),
            ("deploy web --parallel 2 -- hook", ErrorKind::MissingRequiredArgument),
            ("deploy web --per-server --parallel 0 -- hook", ErrorKind::ValueValidation),
            ("deploy web --hook-timeout 0s -- hook", ErrorKind::ValueValidation),
            ("deploy web --hook-timeout 10 -- hook", ErrorKind::ValueValidation),
            ("deploy --manifest m.json", ErrorKind::MissingRequiredArgument),
            ("deploy web --environment QA -- hook", ErrorKind::ArgumentConflict),
            ("deploy web --manifest m.json --environment QA", ErrorKind::ArgumentConflict),
            ("deploy --manifest m.json --environment QA -- hook", ErrorKind::ArgumentConflict),
            ("deploy --manifest m.json --environment QA --to v2", ErrorKind::ArgumentConflict),
            ("deploy --manifest m.json --environment QA --per-server", ErrorKind::ArgumentConflict),
            ("deploy --manifest m.json --environment QA --deadline 5m", ErrorKind::ArgumentConflict),
            ("idle", ErrorKind::MissingRequiredArgument),
            ("rollback web", ErrorKind::ValueValidation),
            ("flip web", ErrorKind::MissingRequiredArgument),
            ("flip web b;c", ErrorKind::ValueValidation),
            ("flip web b --order random", ErrorKind::InvalidValue),
            ("frobnicate", ErrorKind::InvalidSubcommand),
        ] {
            assert_eq!(parse(line).err(), Some(kind), "{line}");
        }
    }

    #[test]
    fn a_hold_request_is_complete() {
        let Ok(Command::Drain(take)) = parse("drain a/b farm:web --reason x --for 2h --grace 30s --on-deadline kill")
        else {
            panic!("not a drain");
        };
        let request = take.request(HoldMode::Drain);
        assert_eq!(Vec::from(request.selectors), ["a/b", "farm:web"]);
        assert_eq!((request.mode, request.on_deadline), (HoldMode::Drain, Some(OnDeadline::Kill)));
        assert_eq!((request.expires_in, request.grace), (Some(Span::from_secs(7200)), Some(Span::from_secs(30))));
    }

    #[test]
    fn a_host_is_a_selector_alone_or_with_others() {
        for (line, selectors) in [
            ("drain --host 10.0.0.7 --reason x", vec!["host:10.0.0.7"]),
            ("drain host:[2001:DB8::7]:80 --reason x", vec!["host:[2001:db8::7]:80"]),
            ("drain web01 --host ::ffff:10.0.0.7 --host ::1 --reason x", vec!["web01", "host:10.0.0.7", "host:::1"]),
        ] {
            let Ok(Command::Drain(take)) = parse(line) else { panic!("{line}") };
            assert_eq!(Vec::from(take.request(HoldMode::Drain).selectors), selectors, "{line}");
        }
        for line in ["status --host ::1", "why --host ::1", "ready --host ::1", "wait --host ::1 --until up", "status"]
        {
            assert!(parse(line).is_ok(), "{line}");
        }
    }

    #[test]
    fn a_hook_may_have_options_of_its_own() {
        let Ok(Command::Deploy(deploy)) = parse("deploy web --to v2 --per-server -- hook --json -x") else {
            panic!("not a deploy")
        };
        assert_eq!(deploy.hook, ["hook", "--json", "-x"]);
        assert!(deploy.hooks.per_server);
        assert!(parse("deploy web --dry-run").is_ok());
    }

    #[test]
    fn a_failure_may_have_a_reason() {
        for (line, why) in [
            ("advance 3", None),
            ("advance 3 --failed", Some("no reason was given")),
            ("advance 3 --failed disk", Some("disk")),
        ] {
            let Ok(Command::Advance(advance)) = parse(line) else { panic!("{line}") };
            assert_eq!(advance.failed.as_deref(), why, "{line}");
        }
    }
}
