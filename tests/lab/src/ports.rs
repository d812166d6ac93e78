//! Ports for the lab's listeners.
//!
//! Port 0 would give a port out of the kernel's range for outgoing connections. A server that stops and
//! starts again, or a HAProxy that starts a moment after the port was chosen, could then find its port taken
//! by an outgoing connection; worse, a health check of a stopped server on such a port can connect to
//! itself. So ports are taken from below that range, and only those that can be bound right now.
//!
//! Test programs run side by side, so each takes a block of ports that no other program uses while it runs.

use std::io;
use std::net::{Ipv4Addr, SocketAddr, TcpListener};
use std::os::linux::net::SocketAddrExt as _;
use std::os::unix::net::{SocketAddr as UnixAddr, UnixListener};
use std::sync::OnceLock;
use std::sync::atomic::{AtomicU32, Ordering};

/// Linux hands out 32768 and up to outgoing connections.
const FIRST: u32 = 12_000;
const BLOCK: u32 = 1_000;
const BLOCKS: u32 = 20;

/// The block of ports of this process, and the socket whose name says that it is taken: it goes with the process.
struct Block {
    first: u32,
    _taken: Option<UnixListener>,
}

impl Block {
    /// The first free one, or that which the number of the process falls on, where all are taken.
    fn take() -> Self {
        let taken = |block: &u32| {
            let name = UnixAddr::from_abstract_name(format!("teeter-lab-ports-{block}")).ok()?;
            UnixListener::bind_addr(&name).ok()
        };
        let found = (0..BLOCKS).find_map(|block| Some((block, taken(&block)?)));
        let (block, taken) =
            found.map_or_else(|| (std::process::id() % BLOCKS, None), |(block, taken)| (block, Some(taken)));
        Self { first: FIRST + block * BLOCK, _taken: taken }
    }
}

/// A port on 127.0.0.1 that nothing listens on now, and that this process is not given a second time soon.
pub fn free_port() -> io::Result<u16> {
    static NEXT: AtomicU32 = AtomicU32::new(0);
    static OURS: OnceLock<Block> = OnceLock::new();
    let first = OURS.get_or_init(Block::take).first;
    for _ in 0..BLOCK {
        let port = first + NEXT.fetch_add(1, Ordering::Relaxed) % BLOCK;
        let port = u16::try_from(port).map_err(io::Error::other)?;
        if TcpListener::bind((Ipv4Addr::LOCALHOST, port)).is_ok() {
            return Ok(port);
        }
    }
    Err(io::Error::new(io::ErrorKind::AddrNotAvailable, "no free port"))
}

/// A free address on 127.0.0.1.
pub(crate) fn free_addr() -> io::Result<SocketAddr> {
    Ok(SocketAddr::from((Ipv4Addr::LOCALHOST, free_port()?)))
}
