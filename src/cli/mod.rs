//! The command `teeter`: argv becomes one complete request, the answer becomes a table or a document.
//!
//! Knows the control API and the terminal. Every fact comes from teeterd; only `teeter init` asks HAProxy itself, by
//! `crate::init`, because there is no teeterd yet.

mod args;
mod attend;
mod calendar;
mod carry_out;
mod clock;
mod continue_run;
mod complete;
mod deploy;
mod display;
mod drained;
mod error;
mod events;
mod follow;
mod follow_run;
mod help;
mod hold;
mod hook;
mod hooks;
mod init;
mod interrupt;
mod lane;
mod limit;
mod lines;
mod live;
mod manifest;
mod names;
mod output;
mod painter;
mod paint;
mod planned;
mod preview;
mod print;
mod progress;
mod queries;
mod ready;
mod report;
mod result;
mod run_text;
mod runs;
mod screen;
mod shell;
mod status;
mod store;
mod tables;
mod take_over;
mod terminal;
#[cfg(test)]
mod tests;
mod top;
mod upload;
mod verdict;
mod wait;
mod watch;
mod work;

use std::process::ExitCode;

use clap::{CommandFactory as _, Parser};

use self::args::{Cli, Command};
use self::error::CliError;
use crate::api::{Exit, HoldMode};
use crate::control::client::Client;

/// What every command needs: the client, and the output format.
struct Context {
    client: Client,
    json: bool,
}

/// Runs the command of the process's arguments.
pub fn main() -> ExitCode {
    if complete::answered() {
        return ExitCode::SUCCESS;
    }
    let cli: Cli = match parse(print::err) {
        Ok(cli) => cli,
        Err(exit) => return exit,
    };
    let runtime = match tokio::runtime::Builder::new_current_thread().enable_all().build() {
        Ok(runtime) => runtime,
        Err(error) => {
            print::err(&format!("teeter: cannot start: {error}"));
            return ExitCode::from(Exit::Failed as u8);
        }
    };
    paint::choose(cli.color);
    let context = Context { client: Client::new(cli.socket), json: cli.json };
    let exit = runtime.block_on(async {
        let exit = run(&context, cli.command).await.unwrap_or_else(|error| print::failure(&error, context.json));
        print::end().await;
        exit
    });
    ExitCode::from(exit as u8)
}

/// Parses the arguments of this process, for `teeter` and `teeterd`. Prints help on standard output, and an error with
/// `print_error`, which must make it safe to print: the error repeats the arguments.
///
/// # Errors
/// The exit code, if the process must end.
pub fn parse<Args: Parser>(print_error: impl FnOnce(&str)) -> Result<Args, ExitCode> {
    Args::try_parse().map_err(|error| {
        if error.use_stderr() {
            print_error(error.render().to_string().trim_end());
        } else {
            // If standard output is closed, there is no reader for the help.
            let _ = error.print();
        }
        ExitCode::from(u8::try_from(error.exit_code()).unwrap_or(Exit::Usage as u8))
    })
}

/// The completion scripts of a package, each with the path at which the shell looks for it.
pub fn completions() -> [(&'static str, String); 3] {
    [
        ("bash/teeter", complete::script(args::Shell::Bash)),
        ("zsh/_teeter", complete::script(args::Shell::Zsh)),
        ("fish/teeter.fish", complete::script(args::Shell::Fish)),
    ]
}

/// The grammar of the command line, for manual pages and completions.
pub fn command() -> clap::Command {
    Cli::command()
}

async fn run(context: &Context, command: Command) -> Result<Exit, CliError> {
    match command {
        Command::Status(args) => status::status(context, &args).await,
        Command::Top(args) => top::top(context, args).await,
        Command::Drain(take) => hold::take(context, HoldMode::Drain, take).await,
        Command::Maint(take) => hold::take(context, HoldMode::Maint, take).await,
        Command::Ready(args) => ready::ready(context, args).await,
        Command::Wait(args) => wait::wait(context, args).await,
        Command::Holds { calendar } => queries::holds(context, calendar).await,
        Command::Why(servers) => queries::why(context, &servers.all()).await,
        Command::Deploy(args) => deploy::deploy(context, args).await,
        Command::Begin(args) => runs::begin(context, args).await,
        Command::Advance(args) => runs::advance(context, args).await,
        Command::Flip(args) => runs::flip(context, args).await,
        Command::Idle { farm, without_haproxy } => runs::idle(context, &farm, &without_haproxy).await,
        Command::Pause { run } => runs::pause(context, run, "pause").await,
        Command::Resume { run } => runs::pause(context, run, "resume").await,
        Command::Continue { run } => continue_run::continue_run(context, run).await,
        Command::Retry { run } => runs::retry(context, run).await,
        Command::Rollback { run, reason } => runs::rollback(context, run, reason).await,
        Command::Abort { run } => runs::abort(context, run).await,
        Command::Runs => queries::runs(context).await,
        Command::Show { run, follow: true, .. } => follow_run::follow_run(context, run).await,
        Command::Show { run, variables: true, .. } => queries::variables(context, run).await,
        Command::Show { run, .. } => queries::show(context, run).await,
        Command::Report(args) => report::report(context, args).await,
        Command::Verdict(args) => verdict::verdict(context, args).await,
        Command::Doctor => queries::doctor(context).await,
        Command::Events(args) => events::events(context, args).await,
        Command::Forget(args) => store::forget(context, args).await,
        Command::Store(task) => store::store(context, task).await,
        Command::Init(args) => init::init(context, args).await,
        Command::Completions { shell } => {
            print::out(complete::script(shell).trim_end())?;
            Ok(Exit::Done)
        }
    }
}
