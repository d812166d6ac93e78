//! Ports for the lab's listeners.
//!
//! Port 0 would give a port of the kernel's range for outgoing connections. Then an outgoing connection could have
//! the port of a server that stops and starts again, or of a HAProxy that starts a moment after the port was chosen.
//! A health check of a stopped server on such a port could even connect to itself. So ports are taken from below that
//! range, and only if they can be bound at the moment.
//!
//! Test programs run side by side, so each takes a block of ports that no other program uses while it runs.

use std::io;
use std::net::{Ipv4Addr, SocketAddr, TcpListener};
use std::os::linux::net::SocketAddrExt as _;
use std::os::unix::net::{SocketAddr as UnixAddr, UnixListener};
use std::sync::OnceLock;
use std::sync::atomic::{AtomicU32, Ordering};

/// Linux uses 32768 and up for outgoing connections.
const FIRST: u32 = 12_000;
const BLOCK: u32 = 1_000;
const BLOCKS: u32 = 20;

/// The block of ports of this process. The name of the socket marks it as taken until the process ends.
struct Block {
    first: u32,
    _taken: Option<UnixListener>,
}

impl Block {
    /// The first free block. If all are taken, the process id chooses one.
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

/// A port on 127.0.0.1 without a listener. It is not given to this process again soon.
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
