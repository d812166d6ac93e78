//! Watches the name of the control socket in the file system: without this name, no client reaches teeterd.

use std::io;
use std::os::unix::fs::MetadataExt as _;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use tokio::net::UnixListener;
use tokio::sync::mpsc;

use crate::config::ControlSettings;
use crate::control::socket;
use crate::engine::Engine;

/// Creates the control socket of a configuration.
pub(super) async fn create(control: &ControlSettings) -> io::Result<UnixListener> {
    let ControlSettings { socket: path, mode, group, shared_directory, .. } = control;
    socket::bind(socket::SocketSettings { path, mode: *mode, group: group.as_deref(), shared: *shared_directory }).await
}

/// Watches the name of a socket. If the name is gone, creates another socket and sends its listener to the channel, or
/// reports the error. `own` has the settings of a socket that teeterd has created; with `None` systemd has created the
/// socket, and a missing name is only reported.
pub(super) fn watch(
    engine: &Arc<Engine>,
    listener: &UnixListener,
    own: Option<ControlSettings>,
) -> mpsc::Receiver<UnixListener> {
    let (sender, listeners) = mpsc::channel(1);
    let bound = || listener.local_addr().ok()?.as_pathname().map(Path::to_owned);
    // teeterd binds its own socket at another path and then renames it.
    let path = own.as_ref().map(|control| control.socket.clone()).or_else(bound);
    if let Some(path) = path {
        tokio::spawn(keep_name(Arc::clone(engine), path, own, sender));
    }
    listeners
}

async fn keep_name(
    engine: Arc<Engine>,
    path: PathBuf,
    own: Option<ControlSettings>,
    listeners: mpsc::Sender<UnixListener>,
) {
    let mut known = identity(&path);
    loop {
        tokio::time::sleep(INTERVAL).await;
        let found = identity(&path);
        if found.is_some() && found == known {
            engine.set_trouble(SOCKET, None);
            continue;
        }
        let problem = if found.is_none() { "is gone" } else { "is another file" };
        let shown = path.display();
        let Some(control) = &own else {
            let text = format!(
                "{shown} {problem}, and no client reaches teeterd there. To do: `systemctl restart teeterd.socket \
                 teeterd.service`"
            );
            engine.set_trouble(SOCKET, Some(text));
            continue;
        };
        match create(control).await {
            Ok(listener) => {
                tracing::warn!("the control socket {shown} was gone, and was created again");
                known = identity(&path);
                engine.set_trouble(SOCKET, None);
                if listeners.send(listener).await.is_err() {
                    return;
                }
            }
            Err(error) => {
                let text = format!(
                    "{shown} {problem} and cannot be created again ({error}): no client reaches teeterd there. To do: \
                     remove the cause; teeterd tries again every {INTERVAL:?}"
                );
                engine.set_trouble(SOCKET, Some(text));
            }
        }
    }
}

/// The device and inode of the file at a path; `None` if there is no file.
fn identity(path: &Path) -> Option<(u64, u64)> {
    std::fs::symlink_metadata(path).ok().map(|metadata| (metadata.dev(), metadata.ino()))
}

/// The name under which a problem with the socket is reported.
const SOCKET: &str = "the control socket";

/// The time between two looks at the name.
const INTERVAL: Duration = Duration::from_secs(2);
