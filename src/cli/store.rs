//! `teeter store`: writes a copy of teeterd's store to a file, and verifies a store.

use std::fs::{File, OpenOptions};
use std::io::{self, Write as _};
use std::os::unix::fs::OpenOptionsExt as _;
use std::path::{Path, PathBuf};

use rustix::fs::CWD;

use super::args::{Forget, StoreTask};
use super::error::CliError;
use super::{Context, print};
use crate::api::{Exit, ForgetRequest, ForgottenView, StoreView};
use crate::store::{rename_new, verify_file};

/// `teeter store`.
pub(super) async fn store(context: &Context, task: StoreTask) -> Result<Exit, CliError> {
    match task {
        StoreTask::Backup { file } => tell(context, &backup(context, &file).await?),
        StoreTask::Verify { file: Some(file) } => tell(context, &verify(&file)?),
        StoreTask::Verify { file: None } => tell(context, &context.client.get("/v1/store").await?.0),
    }
}

/// `teeter forget`.
pub(super) async fn forget(context: &Context, Forget { farm, haproxy }: Forget) -> Result<Exit, CliError> {
    let view: ForgottenView = context.client.post("/v1/forget", &ForgetRequest { farm, haproxy }).await?;
    if context.json {
        print::json(&view)?;
    } else {
        print::out(&format!("forgotten: {}", view.forgotten))?;
    }
    Ok(Exit::Done)
}

/// Writes the copy to a temporary file, verifies it, and only then renames it, unless a file of that name exists by
/// then. The caller's process writes the file, with its own rights: teeterd may write to its own directories only.
async fn backup(context: &Context, file: &Path) -> Result<StoreView, CliError> {
    let failed = |source| CliError::File { attempt: "write the backup", path: file.to_owned(), source };
    let there = || failed(io::Error::new(io::ErrorKind::AlreadyExists, "it is there already, and stays as it is"));
    if file.symlink_metadata().is_ok() {
        return Err(there());
    }
    let part = part_of(file);
    // The store has reasons, addresses and hook output: only the caller may read the copy.
    let to = OpenOptions::new().write(true).create_new(true).mode(0o600).open(&part);
    let to = to.map_err(|source| CliError::File { attempt: "write the backup", path: part.clone(), source })?;
    let written = write(context, to, file, &part).await;
    let named = written.and_then(|found| match rename_new(CWD, &part, CWD, file) {
        Err(error) if error.kind() == io::ErrorKind::AlreadyExists => Err(there()),
        renamed => renamed.map(|()| found).map_err(failed),
    });
    let Ok(found) = named else {
        // Remove an incomplete copy.
        let _ = std::fs::remove_file(&part);
        return named;
    };
    let folder = file.parent().filter(|folder| !folder.as_os_str().is_empty()).unwrap_or(Path::new("."));
    File::open(folder).and_then(|folder| folder.sync_all()).map_err(failed)?;
    Ok(StoreView { path: Some(file.display().to_string()), ..found })
}

async fn write(context: &Context, mut to: File, file: &Path, part: &Path) -> Result<StoreView, CliError> {
    let failed = |source| CliError::File { attempt: "write the backup", path: file.to_owned(), source };
    let mut body = context.client.download("/v1/store/backup").await?;
    while let Some(piece) = body.next().await? {
        to.write_all(&piece).map_err(failed)?;
    }
    to.sync_all().map_err(failed)?;
    verify(part)
}

fn verify(file: &Path) -> Result<StoreView, CliError> {
    let found = verify_file(file).map_err(|error| CliError::Store { path: file.to_owned(), source: error })?;
    Ok(StoreView { path: Some(file.display().to_string()), ..found.into() })
}

fn tell(context: &Context, found: &StoreView) -> Result<Exit, CliError> {
    if context.json {
        print::json(found)?;
    } else {
        print::out(&text(found))?;
    }
    Ok(if found.problems.is_empty() { Exit::Done } else { Exit::Failed })
}

fn text(found: &StoreView) -> String {
    let name = found.path.as_deref().unwrap_or("the store of teeterd");
    let StoreView { schema, revision, holds, baselines, routes, runs, events, .. } = found;
    let mut text = format!(
        "{name}: schema {schema}, revision {revision}; holds: {holds}, lines held: {baselines}, routes: {routes}, \
         runs: {runs}, events: {events}"
    );
    for problem in &found.problems {
        text.push_str(&format!("\nproblem: {problem}"));
    }
    text.push_str(if found.problems.is_empty() { "\nwell" } else { "\nnot well" });
    text
}

fn part_of(file: &Path) -> PathBuf {
    let mut part = file.as_os_str().to_owned();
    part.push(format!(".part-{}", std::process::id()));
    part.into()
}
