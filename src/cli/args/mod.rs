//! The grammar of the command line. What passes it is complete and well formed; what does not ends with exit code 2.

mod deploy;
mod runs;
mod servers;
mod since;

use std::path::PathBuf;

use clap::builder::{NonEmptyStringValueParser, PossibleValuesParser, TypedValueParser as _};
use clap::{Args, Parser, Subcommand, ValueEnum};
use serde::de::DeserializeOwned;

pub(super) use self::deploy::{Deploy, HookOptions, some_time};
pub(super) use self::runs::{Advance, Begin, Flip, RunOptions};
pub(super) use self::servers::{AnyServers, Servers, Waited};
pub(super) use self::since::Since;
use super::help;
use crate::api::{HoldMode, HoldRequest};
use crate::farm::{FarmName, InstanceName, OnDeadline, Span};

/// Takes servers out of HAProxy, waits until nothing is in flight on them, and brings them back proven well.
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
    /// Print one JSON document, of the shape that the API has.
    #[arg(long, global = true, display_order = 901)]
    pub(super) json: bool,
    #[command(subcommand)]
    pub(super) command: Command,
}

#[derive(Debug, Subcommand)]
pub(super) enum Command {
    /// What HAProxy says now, and who holds what.
    #[command(
        after_help = "Examples:\n  teeter status\n  teeter status farm:web 'api/web0[1-4]'\n  teeter status --host 10.0.0.7"
    )]
    Status(AnyServers),
    /// Take servers out; clients that stick to them may finish.
    #[command(after_help = help::DRAIN)]
    Drain(Take),
    /// Take servers out for everyone, sticky clients too.
    #[command(after_help = help::MAINT)]
    Maint(Take),
    /// Bring servers back: end your hold on them, once their checks and probes pass.
    #[command(
        after_help = "Examples:\n  teeter ready app/web01\n  teeter ready web01 --no-verify\n  teeter ready web01 --owner alice\n  teeter ready --host 10.0.0.7"
    )]
    Ready(Ready),
    /// Wait until servers are empty, or take traffic again.
    #[command(
        after_help = "Examples:\n  teeter wait app/web01 --until drained --timeout 5m\n  teeter wait farm:web --until up\n  teeter wait --host 10.0.0.7 --until drained\n  teeter wait --haproxy lb2 --timeout 10s"
    )]
    Wait(Wait),
    /// Every hold: owner, reason, age, and until when; what ends first comes first.
    #[command(after_help = "Examples:\n  teeter holds\n  teeter holds --calendar\n  teeter holds --json")]
    Holds {
        /// Day by day who goes out and who comes back.
        #[arg(long)]
        calendar: bool,
    },
    /// The sessions that are still on servers: age, client, bytes.
    #[command(after_help = "Example:\n  teeter why app/web01")]
    Why(Servers),
    /// Deploy to a farm, group by group: each is emptied, your hook works on it, it is proven and brought back.
    #[command(after_help = help::DEPLOY)]
    Deploy(Deploy),
    /// Begin a deploy and wait until the first group is empty: for pipelines that do the work themselves.
    #[command(after_help = help::BEGIN)]
    Begin(Begin),
    /// Report that the work on a group is done (or try a failed step again), and wait for the next.
    #[command(after_help = help::ADVANCE)]
    Advance(Advance),
    /// Turn the traffic to one group, or to all: whoever was out is proven first, whoever goes out stands by.
    #[command(after_help = help::FLIP)]
    Flip(Flip),
    /// The group of a farm that gets no traffic: its name, servers and addresses, for a shell.
    #[command(after_help = help::IDLE)]
    Idle {
        /// The farm, as named in teeterd's configuration.
        #[arg(value_name = "FARM")]
        farm: FarmName,
        /// Go by the others though this HAProxy does not answer. May be given several times.
        #[arg(long, value_name = "NAME")]
        without_haproxy: Vec<InstanceName>,
    },
    /// Have a run begin no further step.
    #[command(
        after_help = "Example:\n  teeter pause 3\n\nWhat it has begun goes on: servers that are being emptied are emptied."
    )]
    Pause {
        /// The run's number.
        #[arg(value_name = "RUN")]
        run: u64,
    },
    /// Have a paused run go on.
    #[command(after_help = "Example:\n  teeter resume 3")]
    Resume {
        /// The run's number.
        #[arg(value_name = "RUN")]
        run: u64,
    },
    /// Try the step again at which a run has failed, and wait for the next work.
    #[command(
        after_help = "Example:\n  teeter retry 3\n\nWork that has failed is wanted once more; `teeter advance 3` calls it done."
    )]
    Retry {
        /// The run's number.
        #[arg(value_name = "RUN")]
        run: u64,
    },
    /// Turn a run's traffic back to the side that still runs the version before.
    #[command(after_help = "Example:\n  teeter rollback 3 --reason 'the shop is empty'")]
    Rollback {
        /// The run's number.
        #[arg(value_name = "RUN")]
        run: u64,
        /// Why, for whoever looks at `teeter events`.
        #[arg(long, value_name = "TEXT", value_parser = NonEmptyStringValueParser::new())]
        reason: Option<String>,
    },
    /// End a run: servers that are well come back, the others stay out.
    #[command(after_help = "Example:\n  teeter abort 3")]
    Abort {
        /// The run's number.
        #[arg(value_name = "RUN")]
        run: u64,
    },
    /// Every run, the latest first.
    #[command(after_help = "Example:\n  teeter runs")]
    Runs,
    /// One run: its steps, what happened, who is out, and the command that goes on.
    #[command(after_help = "Examples:\n  teeter show\n  teeter show 3 --json")]
    Show {
        /// The run's number; the latest run where none is given.
        #[arg(value_name = "RUN")]
        run: Option<u64>,
    },
    /// What is wrong with sockets, levels, farms and maps, and how to mend it. Changes nothing.
    #[command(after_help = "Example:\n  teeter doctor")]
    Doctor,
    /// What happened, oldest first.
    #[command(after_help = "Examples:\n  teeter events --limit 20\n  teeter events --follow 3\n\
        With --follow --json there is one document a line.")]
    Events(Events),
    /// Forget what the store keeps of a farm, or of a HAProxy, that is not configured any more. Changes no traffic.
    #[command(after_help = "Examples:\n  teeter forget shop\n  teeter forget --haproxy edge2\n\n\
        `teeter doctor` lists what is left over.")]
    Forget(Forget),
    /// The store of teeterd: copy it while teeterd runs, or look whether it is whole.
    #[command(subcommand, after_help = help::STORE)]
    Store(StoreTask),
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
    /// Write a copy of the store to a file that is not there yet.
    #[command(after_help = "Example:\n  teeter store backup /var/backups/teeter-2026-11-21.db")]
    Backup {
        /// Where to; with your rights, and for you alone to read.
        #[arg(value_name = "FILE")]
        file: PathBuf,
    },
    /// Look whether a store is whole: its file, every record, and what records say of one another. Changes nothing.
    #[command(after_help = "Examples:\n  teeter store verify\n  teeter store verify /var/backups/teeter-2026-11-21.db")]
    Verify {
        /// A file that no teeterd has open; the store of the running teeterd where none is given.
        #[arg(value_name = "FILE")]
        file: Option<PathBuf>,
    },
}

#[derive(Debug, Args)]
pub(super) struct Take {
    #[command(flatten)]
    pub(super) servers: Servers,
    /// Why, for whoever looks at `teeter holds`.
    #[arg(long, value_name = "TEXT", value_parser = NonEmptyStringValueParser::new())]
    reason: String,
    /// Bring them back by itself after this time.
    #[arg(long = "for", value_name = "TIME")]
    expires_in: Option<Span>,
    /// Do not wait until nothing is in flight.
    #[arg(long)]
    pub(super) no_wait: bool,
    /// Wait, too, until HAProxy keeps no idle connections to them.
    #[arg(long)]
    idle: bool,
    /// Take the last servers of a backend too.
    #[arg(long)]
    allow_outage: bool,
    /// Refuse rather than leave a farm fewer in service than its min_available, whatever is out or down already.
    #[arg(long, conflicts_with = "allow_outage")]
    all_but_min: bool,
    /// Go on though this HAProxy does not answer; it is told as soon as it does. May be given several times.
    #[arg(long, value_name = "NAME")]
    without_haproxy: Vec<InstanceName>,
    #[command(flatten)]
    pub(super) drain: DrainOptions,
}

#[derive(Debug, Default, Args)]
pub(super) struct DrainOptions {
    /// Let clients that stick to the servers go on for this time.
    #[arg(long, value_name = "TIME")]
    grace: Option<Span>,
    /// How long to wait until nothing is in flight.
    #[arg(long, value_name = "TIME")]
    deadline: Option<Span>,
    /// What to do when requests are left then: stop, end them, go on regardless, or bring the servers back.
    #[arg(long, value_name = "WHAT", value_parser = PossibleValuesParser::new(["fail", "kill", "proceed", "restore"]).try_map(word::<OnDeadline>))]
    pub(super) on_deadline: Option<OnDeadline>,
}

#[derive(Debug, Args)]
pub(super) struct Ready {
    #[command(flatten)]
    pub(super) servers: Servers,
    /// Do not wait for checks and probes.
    #[arg(long)]
    pub(super) no_verify: bool,
    /// How long they may take to show that they are well; what verify.deadline of their farm says where not given.
    #[arg(long, value_name = "TIME", conflicts_with = "no_verify", value_parser = some_time)]
    pub(super) deadline: Option<Span>,
    /// Bring them back, too, where they run another version than those of their farm that are in service.
    #[arg(long)]
    pub(super) force: bool,
    /// Bring them back, too, from maintenance or drain that somebody else has set, and not teeter.
    #[arg(long)]
    pub(super) take_over: bool,
    /// Whose hold to end; your own where not given.
    #[arg(long, value_name = "NAME", value_parser = NonEmptyStringValueParser::new())]
    pub(super) owner: Option<String>,
    /// Go on though this HAProxy does not answer; it is told as soon as it does. May be given several times.
    #[arg(long, value_name = "NAME")]
    pub(super) without_haproxy: Vec<InstanceName>,
    /// Do not wait until they are back.
    #[arg(long)]
    pub(super) no_wait: bool,
}

#[derive(Debug, Args)]
pub(super) struct Wait {
    #[command(flatten)]
    pub(super) servers: Waited,
    /// What to wait for: nothing in flight and out of rotation, or taking traffic.
    #[arg(long, value_enum, required_unless_present = "haproxy")]
    pub(super) until: Option<Until>,
    /// How long at most.
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
    /// Go on printing as things happen.
    #[arg(long, short)]
    pub(super) follow: bool,
    /// Only those of this run.
    #[arg(value_name = "RUN")]
    pub(super) run: Option<u64>,
    /// Only those since then: a time ago such as 2h or 3d, or a point in time such as 2026-11-21, '2026-11-21 14:00' (both
    /// here) or 2026-11-21T13:00:00Z.
    #[arg(long, value_name = "TIME")]
    pub(super) since: Option<Since>,
    /// At most so many, the latest: 50, or with --since 5000, where this is not given.
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(u64).range(1..))]
    pub(super) limit: Option<u64>,
}

impl Take {
    /// As the API wants it.
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

/// A value by its word in the API.
fn word<T: DeserializeOwned>(word: String) -> Result<T, serde_json::Error> {
    serde_json::from_value(word.into())
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
    fn what_is_incomplete_or_malformed_is_refused() {
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
    fn a_host_is_a_selector_and_stands_alone_or_beside_others() {
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
            ("advance 3 --failed", Some("its caller says that it failed")),
            ("advance 3 --failed disk", Some("disk")),
        ] {
            let Ok(Command::Advance(advance)) = parse(line) else { panic!("{line}") };
            assert_eq!(advance.failed.as_deref(), why, "{line}");
        }
    }
}
