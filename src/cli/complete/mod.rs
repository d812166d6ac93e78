//! Completion in the shell: the script of each shell, and the candidates.
//!
//! A script calls `teeter` again with `TEETER_COMPLETE` in its environment. The grammar of the command line gives most
//! candidates, and teeterd the names that exist now.

mod names;
#[cfg(test)]
mod tests;

use std::io;

use clap::CommandFactory as _;
use clap_complete::CompleteEnv;
use clap_complete::env::Shells;

pub(super) use self::names::{active_runs, farms, groups, haproxys, owners, runs, servers, sides};
use super::args::{Cli, Shell};

/// Prints candidates, if a completion script has called this process. Returns whether it has.
pub(super) fn answered() -> bool {
    let args = std::env::args_os();
    // Whatever is wrong, an error message would only disturb the line that the user types.
    let answered = CompleteEnv::with_factory(Cli::command).var(VARIABLE).bin("teeter").try_complete(args, None);
    answered.unwrap_or(std::env::var_os(VARIABLE).is_some_and(|shell| !shell.is_empty()))
}

/// The script that teaches a shell to complete `teeter`.
pub(super) fn script(shell: Shell) -> String {
    let name = match shell {
        // bash divides words at colons, which the script of the library does not allow for.
        Shell::Bash => return include_str!("teeter.bash").to_owned(),
        Shell::Zsh => "zsh",
        Shell::Fish => "fish",
        Shell::Powershell => "powershell",
        Shell::Elvish => "elvish",
    };
    let mut script = Vec::new();
    let shells = Shells::builtins();
    let written: Option<io::Result<()>> = shells
        .completer(name)
        .map(|shell| shell.write_registration(VARIABLE, "teeter", "teeter", "teeter", &mut script));
    debug_assert!(matches!(written, Some(Ok(()))), "{name} is a shell of the library, and memory can be written");
    String::from_utf8_lossy(&script).into_owned()
}

/// The variable by which a script asks for candidates, with the name of the shell as its value.
const VARIABLE: &str = "TEETER_COMPLETE";
