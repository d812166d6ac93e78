//! A HAProxy with many servers that nobody asks anything: each has an address of its own, and there need be nobody at it.

use std::fmt::Write as _;
use std::io;
use std::path::Path;

use teeter_lab::Haproxy;
use tempfile::TempDir;

/// The server that is drained.
pub(crate) const TARGET: &str = "b0001/s01";

/// Servers of each backend.
pub(crate) const EACH: usize = 20;

/// A HAProxy with many servers.
pub(crate) struct Bed {
    pub(crate) haproxy: Haproxy,
    dir: TempDir,
}

impl Bed {
    pub(crate) async fn start(backends: usize) -> io::Result<Self> {
        let dir = tempfile::Builder::new().prefix("lab-readers-").tempdir()?;
        let mut text = HEAD.replace("@DIR@", &dir.path().display().to_string());
        for backend in 1..=backends {
            let _ = writeln!(text, "\nbackend b{backend:04}");
            for server in 1..=EACH {
                let (high, low) = (backend / 250, backend % 250);
                let _ = writeln!(text, "    server s{server:02} 127.{high}.{low}.{server}:9");
            }
        }
        Ok(Self { haproxy: Haproxy::start(dir.path(), &text).await?, dir })
    }

    pub(crate) fn dir(&self) -> &Path {
        self.dir.path()
    }
}

const HEAD: &str = "global
    nbthread 2
    maxconn 4000
    stats socket @DIR@/admin.sock mode 600 level admin expose-fd listeners
    stats timeout 30s

defaults
    mode http
    timeout connect 2s
    timeout client 30s
    timeout server 30s
";
