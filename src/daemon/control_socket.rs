//! Watches the control socket's name in the file system: without it, no client reaches teeterd.

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
pub(super) async fn make(control: &ControlSettings) -> io::Result<UnixListener> {
    let ControlSettings { socket: path, mode, group, shared_directory, .. } = control;
    socket::bind(socket::Place { path, mode: *mode, group: group.as_deref(), shared: *shared_directory }).await
}

/// Watches the name of a socket. If it is gone, creates a socket again and sends it to the channel, or reports that it
/// cannot. `made` is `None` if systemd has created the socket: then a missing name is only reported.
pub(super) fn watch(
    engine: &Arc<Engine>,
    listener: &UnixListener,
    made: Option<ControlSettings>,
) -> mpsc::Receiver<UnixListener> {
    let (sender, again) = mpsc::channel(1);
    let bound = || listener.local_addr().ok()?.as_pathname().map(Path::to_owned);
    // A socket is bound elsewhere and then renamed.
    let path = made.as_ref().map(|control| control.socket.clone()).or_else(bound);
    if let Some(path) = path {
        tokio::spawn(look(Arc::clone(engine), path, made, sender));
    }
    again
}

async fn look(engine: Arc<Engine>, path: PathBuf, made: Option<ControlSettings>, again: mpsc::Sender<UnixListener>) {
    let mut known = identity(&path);
    loop {
        tokio::time::sleep(LOOKS).await;
        let now = identity(&path);
        if now.is_some() && now == known {
            engine.set_trouble(SOCKET, None);
            continue;
        }
        let what = if now.is_none() { "is gone" } else { "is another file" };
        let shown = path.display();
        let Some(control) = &made else {
            let words = format!(
                "{shown} {what}, and no client reaches teeterd there. To do: `systemctl restart teeterd.socket \
                 teeterd.service`"
            );
            engine.set_trouble(SOCKET, Some(words));
            continue;
        };
        match make(control).await {
            Ok(listener) => {
                tracing::warn!("the control socket {shown} was gone, and was created again");
                known = identity(&path);
                engine.set_trouble(SOCKET, None);
                if again.send(listener).await.is_err() {
                    return;
                }
            }
            Err(error) => {
                let words = format!(
                    "{shown} {what}, and it cannot be made again ({error}): no client reaches teeterd there. It is \
                     made by itself as soon as its directory allows it"
                );
                engine.set_trouble(SOCKET, Some(words));
            }
        }
    }
}

fn identity(path: &Path) -> Option<(u64, u64)> {
    std::fs::symlink_metadata(path).ok().map(|metadata| (metadata.dev(), metadata.ino()))
}

const SOCKET: &str = "the control socket";

const LOOKS: Duration = Duration::from_secs(2);
