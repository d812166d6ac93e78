//! `manual DIR`: writes the manual pages and the completions of both commands into that directory, from the same
//! grammar that reads their command lines. A separate program keeps this code out of both commands.

use std::env;
use std::fs::{self, File};
use std::io;
use std::path::{Path, PathBuf};

use clap::Command;
use clap_complete::Shell;
use clap_mangen::Man;

fn main() -> io::Result<()> {
    let Some(dir) = env::args_os().nth(1).map(PathBuf::from) else {
        return Err(io::Error::other("usage: manual DIR"));
    };
    // The directory may have pages of a command that has been renamed.
    match fs::remove_dir_all(&dir) {
        Err(error) if error.kind() != io::ErrorKind::NotFound => return Err(error),
        _ => fs::create_dir_all(&dir)?,
    }
    // The help of a subcommand is its page.
    let teeter = teeter::cli::command().disable_help_subcommand(true);
    let teeterd = teeter::daemon::command();
    clap_mangen::generate_to(teeter.clone(), &dir)?;
    Man::new(teeterd.clone()).section("8").generate_to(&dir)?;
    for command in [teeter, teeterd] {
        completions(command, &dir)?;
    }
    Ok(())
}

/// Named as each shell looks for them.
fn completions(mut command: Command, dir: &Path) -> io::Result<()> {
    let name = command.get_name().to_owned();
    for (shell, path) in [
        (Shell::Bash, format!("bash/{name}")),
        (Shell::Zsh, format!("zsh/_{name}")),
        (Shell::Fish, format!("fish/{name}.fish")),
    ] {
        let path = dir.join(path);
        fs::create_dir_all(path.parent().unwrap_or(dir))?;
        clap_complete::generate(shell, &mut command, &name, &mut File::create(path)?);
    }
    Ok(())
}
