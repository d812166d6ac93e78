//! `manual DIR`: writes the manual pages and the completions of both commands into that directory, from the grammar
//! that reads their command lines and from the documentation. A separate program keeps this code out of both commands.

mod markdown;
mod page;
mod roff;
mod sections;

use std::env;
use std::fs::{self, File};
use std::io::{self, Write as _};
use std::path::{Path, PathBuf};

use clap::Command;
use clap_complete::Shell;

fn main() -> io::Result<()> {
    let Some(dir) = env::args_os().nth(1).map(PathBuf::from) else {
        return Err(io::Error::other("usage: manual DIR"));
    };
    // The directory may have pages of a command that has been renamed.
    match fs::remove_dir_all(&dir) {
        Err(error) if error.kind() != io::ErrorKind::NotFound => return Err(error),
        _ => fs::create_dir_all(&dir)?,
    }
    for (name, text) in page::all()? {
        File::create(dir.join(name))?.write_all(text.as_bytes())?;
    }
    for (path, script) in teeter::cli::completions() {
        write(&dir.join(path), script.as_bytes())?;
    }
    completions(teeter::daemon::command(), &dir)
}

/// The completions of a command whose names are all in its grammar, named as each shell looks for them.
fn completions(mut command: Command, dir: &Path) -> io::Result<()> {
    let name = command.get_name().to_owned();
    for (shell, path) in [
        (Shell::Bash, format!("bash/{name}")),
        (Shell::Zsh, format!("zsh/_{name}")),
        (Shell::Fish, format!("fish/{name}.fish")),
    ] {
        let mut script = Vec::new();
        clap_complete::generate(shell, &mut command, &name, &mut script);
        write(&dir.join(path), &script)?;
    }
    Ok(())
}

fn write(path: &Path, text: &[u8]) -> io::Result<()> {
    fs::create_dir_all(path.parent().unwrap_or(path))?;
    fs::write(path, text)
}
