//! Detects another teeterd on this machine that works with the same HAProxy: each would undo the changes of the other.
//!
//! Each teeterd binds a socket in Linux's abstract namespace, named after the stats socket. Such a socket ends with its
//! process and needs no directory. A teeterd that finds the name taken reports that and goes on: any program can take
//! the name, so it only causes a message.

use std::io;
use std::os::linux::net::SocketAddrExt as _;
use std::os::unix::net::{SocketAddr, UnixListener as Listener, UnixStream as Stream};
use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use tokio::net::{UnixListener, UnixStream};

use crate::engine::Engine;
use crate::farm::InstanceName;
use crate::haproxy::Address;

/// Takes the name of each HAProxy, or reports its owner, until the daemon ends.
pub(super) fn watch(engine: &Arc<Engine>, haproxies: Vec<(InstanceName, Address)>) {
    for (name, address) in haproxies {
        tokio::spawn(hold(Arc::clone(engine), name, taken_as(&address)));
    }
}

async fn hold(engine: Arc<Engine>, name: InstanceName, taken_as: Vec<u8>) {
    loop {
        match take(&taken_as) {
            Ok(listener) => {
                engine.set_rival(&name, None);
                // Another teeterd learns the owner of the name from the connection.
                while listener.accept().await.is_ok() {}
            }
            Err(error) if error.kind() == io::ErrorKind::AddrInUse => {
                let rival = owner(&taken_as).unwrap_or_else(|_| "an unknown process".to_owned());
                engine.set_rival(&name, Some(rival));
            }
            Err(error) => tracing::debug!("cannot tell whether another teeterd works with HAProxy {name}: {error}"),
        }
        tokio::time::sleep(AGAIN).await;
    }
}

fn take(taken_as: &[u8]) -> io::Result<UnixListener> {
    let listener = Listener::bind_addr(&SocketAddr::from_abstract_name(taken_as)?)?;
    listener.set_nonblocking(true)?;
    UnixListener::from_std(listener)
}

/// The process that owns the name.
fn owner(taken_as: &[u8]) -> io::Result<String> {
    let stream = Stream::connect_addr(&SocketAddr::from_abstract_name(taken_as)?)?;
    stream.set_nonblocking(true)?;
    let peer = UnixStream::from_std(stream)?.peer_cred()?;
    Ok(match peer.pid() {
        Some(pid) => format!("process {pid} of user {}", peer.uid()),
        None => format!("a process of user {}", peer.uid()),
    })
}

/// The abstract name of a stats socket, from its resolved path; only the end of a long path.
fn taken_as(address: &Address) -> Vec<u8> {
    let text = match address {
        Address::Unix(path) => real(path),
        other => other.to_string(),
    };
    let end = &text.as_bytes()[text.len().saturating_sub(LONGEST)..];
    [b"teeter/haproxy/", end].concat()
}

/// The resolved path. The directory exists before HAProxy creates the socket.
fn real(path: &Path) -> String {
    let whole = path.canonicalize().or_else(|_| {
        let folder = path.parent().map_or_else(|| Ok(path.to_owned()), Path::canonicalize)?;
        Ok::<_, io::Error>(folder.join(path.file_name().unwrap_or_default()))
    });
    whole.unwrap_or_else(|_| path.to_owned()).display().to_string()
}

/// The kernel takes 107 bytes in all.
const LONGEST: usize = 90;

/// The pause between two attempts to take a name.
const AGAIN: Duration = Duration::from_secs(5);
