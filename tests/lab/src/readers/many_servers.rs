//! An HAProxy with many servers that get no requests. Each has an address of its own, without a listener.

use std::fmt::Write as _;
use std::io;
use std::path::Path;

use teeter_lab::{Haproxy, config_head};
use tempfile::TempDir;

/// The server that is drained.
pub(crate) const TARGET: &str = "b0001/s01";

/// The number of servers of each backend.
pub(crate) const EACH: usize = 20;

/// A HAProxy with many servers.
pub(crate) struct ManyServers {
    pub(crate) haproxy: Haproxy,
    dir: TempDir,
}

impl ManyServers {
    pub(crate) async fn start(backends: usize) -> io::Result<Self> {
        let dir = tempfile::Builder::new().prefix("lab-readers-").tempdir()?;
        let mut text = config_head(dir.path(), &[], &[]);
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
