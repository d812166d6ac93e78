//! Ports for the lab's listeners.
//!
//! Port 0 would give a port out of the kernel's range for outgoing connections. A server that stops and
//! starts again, or a HAProxy that starts a moment after the port was chosen, could then find its port taken
//! by somebody's outgoing connection; worse, a health check of a stopped server on such a port can connect to
//! itself. So ports are taken from below that range, and only those that can be bound right now.

use std::io;
use std::net::{Ipv4Addr, SocketAddr, TcpListener};
use std::sync::atomic::{AtomicU32, Ordering};

/// Linux hands out 32768 and up to outgoing connections.
const FIRST: u32 = 12_000;
const COUNT: u32 = 20_000;

/// A port on 127.0.0.1 that nobody listens on now, and that this process is not given a second time soon.
pub fn free_port() -> io::Result<u16> {
    static NEXT: AtomicU32 = AtomicU32::new(0);
    // Test processes run side by side: each begins somewhere else.
    let base = std::process::id().wrapping_mul(97);
    for _ in 0..COUNT {
        let step = NEXT.fetch_add(1, Ordering::Relaxed);
        let port = FIRST + base.wrapping_add(step) % COUNT;
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
