//! Command lines that are read, and command lines that are refused.

use clap::CommandFactory as _;
use clap::error::ErrorKind;

use super::*;
use crate::api::HoldMode;
use crate::farm::{OnDeadline, Span};

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
        ("report", ErrorKind::MissingRequiredArgument),
        ("report 3 --farm web", ErrorKind::ArgumentConflict),
        ("report 3 --since 2d", ErrorKind::ArgumentConflict),
        ("report --since 2d", ErrorKind::MissingRequiredArgument),
        ("report --farm web --since yesterday", ErrorKind::ValueValidation),
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
    for line in ["status --host ::1", "why --host ::1", "ready --host ::1", "wait --host ::1 --until up", "status"] {
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
