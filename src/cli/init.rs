//! `teeter init`: writes a configuration for teeterd from a running HAProxy.

use std::fs::OpenOptions;
use std::io::{self, Write as _};
use std::os::unix::fs::OpenOptionsExt as _;
use std::path::Path;

use serde::Serialize;

use super::args::Init;
use super::error::CliError;
use super::{Context, print};
use crate::api::Exit;
use crate::haproxy::{Address, Endpoint, TlsSettings, usual_sockets};
use crate::init::{InitError, Request, Written, init as write_configuration};
use crate::platform::Clock;
use crate::probe::NetworkProber;

/// The result, for `--json`.
#[derive(Serialize)]
struct View<'a> {
    /// The text of teeter.toml.
    text: &'a str,
    farms: Vec<String>,
    notes: &'a [String],
}

/// `teeter init`.
pub(super) async fn init(context: &Context, args: Init) -> Result<Exit, CliError> {
    let file = args.output.clone();
    // Before HAProxy is asked: the answer of a large one takes a moment.
    if let Some(file) = file.as_deref().filter(|file| file.symlink_metadata().is_ok()) {
        return Err(exists(file));
    }
    let request = request(args)?;
    let written = write_configuration(&request, &NetworkProber::new(Clock::new())).await?;
    if let Some(file) = &file {
        create(file, &written.text)?;
    }
    if context.json {
        let farms = written.farms.iter().map(ToString::to_string).collect();
        print::json(&View { text: &written.text, farms, notes: &written.notes })?;
    } else if file.is_none() {
        print::out(written.text.trim_end())?;
    }
    print::err(&summary(&written, file.as_deref()));
    Ok(Exit::Done)
}

fn request(args: Init) -> Result<Request, CliError> {
    let usual = || usual_sockets().into_iter().next().map(Address::Unix);
    let address = args.haproxy.or_else(usual).ok_or(InitError::NoSocket)?;
    let is_tls = matches!(address, Address::Tls(_));
    let tls = match args.ca {
        None if is_tls => {
            let text = "a tls:// socket needs --ca FILE to verify HAProxy".to_owned();
            return Err(CliError::Usage { text });
        }
        Some(_) if !is_tls => {
            let text = format!("--ca is for tls://HOST:PORT, and {address} does not speak TLS");
            return Err(CliError::Usage { text });
        }
        Some(ca) => {
            // teeterd runs in another directory.
            let ca = std::path::absolute(&ca).map_err(|source| CliError::File {
                attempt: "find",
                path: ca.clone(),
                source,
            })?;
            Some(TlsSettings { ca, certificate: None, key: None, server_name: None })
        }
        None => None,
    };
    Ok(Request { name: args.name, endpoint: Endpoint { address, tls }, cfg: args.cfg })
}

/// Creates a file with the caller's rights. A file that exists stays as it is.
pub(super) fn create(file: &Path, text: &str) -> Result<(), CliError> {
    let failed = |source: io::Error| match source.kind() {
        io::ErrorKind::AlreadyExists => exists(file),
        _ => CliError::File { attempt: "write", path: file.to_owned(), source },
    };
    let mut to = OpenOptions::new().write(true).create_new(true).mode(0o644).open(file).map_err(failed)?;
    to.write_all(text.as_bytes()).and_then(|()| to.sync_all()).map_err(failed)
}

fn exists(file: &Path) -> CliError {
    CliError::Exists { path: file.to_owned() }
}

/// The farms, what would be refused, and the next commands.
fn summary(written: &Written, file: Option<&Path>) -> String {
    let mut lines: Vec<String> = written.notes.iter().map(|note| format!("note: {note}")).collect();
    if !written.cfg_to_name.is_empty() {
        let cfg: Vec<String> = written.cfg_to_name.iter().map(|path| format!("--cfg {path}")).collect();
        lines.push(format!("hint: {} adds the paths of health checks and the maps", cfg.join(" ")));
    }
    let farms: Vec<&str> = written.farms.iter().map(|farm| farm.as_str()).collect();
    lines.push(format!("farms: {}", farms.join(", ")));
    let first = &written.first;
    let (write, file) = match file {
        Some(file) => (String::new(), file.display().to_string()),
        None => ("write it to a file with -o FILE, then: ".to_owned(), "FILE".to_owned()),
    };
    lines.push(format!(
        "next: {write}teeterd --check --config {file}\n      \
         start teeterd with it, then: teeter deploy {first} --dry-run"
    ));
    lines.join("\n")
}
