//! Serves the metrics on sockets of their own, and writes them to a file.

use std::error::Error;
use std::io::{self, Write as _};
use std::os::unix::fs::OpenOptionsExt as _;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use tokio::net::TcpListener;

use crate::config::MetricsSettings;
use crate::control::{MetricsListener, metrics_text, serve_metrics, socket};
use crate::engine::Engine;
use crate::metrics::Format;

/// Begins to serve and to write the metrics as configured.
///
/// # Errors
/// A socket cannot be created.
pub(super) async fn start(engine: &Arc<Engine>, settings: &MetricsSettings) -> Result<(), Box<dyn Error>> {
    if let Some(path) = &settings.socket {
        let socket_settings =
            socket::SocketSettings { path, mode: settings.mode, group: settings.group.as_deref(), shared: false };
        let bound = socket::bind(socket_settings).await;
        let listener =
            bound.map_err(|error| format!("cannot create the socket {} of [metrics]: {error}", path.display()))?;
        tokio::spawn(serve_metrics(Arc::clone(engine), MetricsListener::Unix(listener)));
    }
    if let Some(address) = settings.listen {
        let listener = TcpListener::bind(address).await;
        let listener = listener.map_err(|error| format!("cannot listen on {address} for [metrics]: {error}"))?;
        tokio::spawn(serve_metrics(Arc::clone(engine), MetricsListener::Tcp(listener)));
    }
    if let Some(file) = settings.textfile.clone() {
        tokio::spawn(keep_file(Arc::clone(engine), file, settings.interval.duration()));
    }
    Ok(())
}

/// Writes the file at each interval. A failure is reported until the next success.
async fn keep_file(engine: Arc<Engine>, file: PathBuf, every: Duration) {
    loop {
        let text = metrics_text(&engine, Format::Prometheus).map_err(io::Error::other);
        let target = file.clone();
        let written = tokio::task::spawn_blocking(move || replace(&target, &text?)).await;
        let trouble = written.unwrap_or_else(|error| Err(io::Error::other(error))).err().map(|error| {
            format!(
                "{} cannot be written ({error}), so its metrics are old or missing. To do: let teeterd write to the \
                 directory of the file",
                file.display()
            )
        });
        engine.set_trouble(TEXTFILE, trouble);
        tokio::time::sleep(every).await;
    }
}

/// Replaces a file at once: a reader sees the old text or the new one, never a part.
fn replace(file: &Path, text: &str) -> io::Result<()> {
    let mut name = file.as_os_str().to_owned();
    // The collector reads files that end in `.prom` only.
    name.push(format!(".{}", std::process::id()));
    let part = PathBuf::from(name);
    let written = write_new(&part, text).and_then(|()| std::fs::rename(&part, file));
    if written.is_err() {
        // Remove an incomplete file.
        let _ = std::fs::remove_file(&part);
    }
    written
}

fn write_new(part: &Path, text: &str) -> io::Result<()> {
    match std::fs::remove_file(part) {
        // Left behind by an earlier process with the same id.
        Err(error) if error.kind() != io::ErrorKind::NotFound => return Err(error),
        _ => {}
    }
    let mut file = std::fs::OpenOptions::new().write(true).create_new(true).mode(0o644).open(part)?;
    file.write_all(text.as_bytes())
}

/// The name under which a problem with the file is reported.
const TEXTFILE: &str = "the textfile of [metrics]";
