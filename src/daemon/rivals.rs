//! Detects another teeterd on this machine that drives the same HAProxy: each would undo the changes of the other.
//!
//! Each teeterd binds a socket in Linux's abstract namespace, named after the stats socket. Such a socket ends with its
//! process and needs no directory. If the name is taken, teeterd reports its owner and goes on: any program can take
//! the name, so it must not stop teeterd.

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
        tokio::spawn(keep_name(Arc::clone(engine), name, abstract_name(&address)));
    }
}

async fn keep_name(engine: Arc<Engine>, name: InstanceName, socket: Vec<u8>) {
    loop {
        match bind(&socket) {
            Ok(listener) => {
                engine.set_rival(&name, None);
                // Another teeterd learns the owner of the name from the connection.
                while listener.accept().await.is_ok() {}
            }
            Err(error) if error.kind() == io::ErrorKind::AddrInUse => {
                let rival = owner(&socket).unwrap_or_else(|_| "an unknown process".to_owned());
                engine.set_rival(&name, Some(rival));
            }
            Err(error) => tracing::debug!("cannot find out whether another teeterd drives HAProxy {name}: {error}"),
        }
        tokio::time::sleep(RETRY_INTERVAL).await;
    }
}

fn bind(socket: &[u8]) -> io::Result<UnixListener> {
    let listener = Listener::bind_addr(&SocketAddr::from_abstract_name(socket)?)?;
    listener.set_nonblocking(true)?;
    UnixListener::from_std(listener)
}

/// The process that owns the name of this socket.
fn owner(socket: &[u8]) -> io::Result<String> {
    let stream = Stream::connect_addr(&SocketAddr::from_abstract_name(socket)?)?;
    stream.set_nonblocking(true)?;
    let peer = UnixStream::from_std(stream)?.peer_cred()?;
    Ok(match peer.pid() {
        Some(pid) => format!("process {pid} of user {}", peer.uid()),
        None => format!("a process of user {}", peer.uid()),
    })
}

/// The abstract name for a stats socket: from its resolved path, or from the end of a long path.
fn abstract_name(address: &Address) -> Vec<u8> {
    let text = match address {
        Address::Unix(path) => real(path),
        other => other.to_string(),
    };
    let end = &text.as_bytes()[text.len().saturating_sub(LONGEST)..];
    [b"teeter/haproxy/", end].concat()
}

/// The resolved path. The directory exists before HAProxy creates the socket.
fn real(path: &Path) -> String {
    let resolved = path.canonicalize().or_else(|_| {
        let folder = path.parent().map_or_else(|| Ok(path.to_owned()), Path::canonicalize)?;
        Ok::<_, io::Error>(folder.join(path.file_name().unwrap_or_default()))
    });
    resolved.unwrap_or_else(|_| path.to_owned()).display().to_string()
}

/// The greatest part of a path in a name, in bytes: the kernel takes 107 bytes in all.
const LONGEST: usize = 90;

/// The pause between two attempts to take a name.
const RETRY_INTERVAL: Duration = Duration::from_secs(5);
