//! Two servers for each kind of sessions behind one HAProxy, and a teeterd with a farm for each.
//!
//! Every process that is started here is stopped when it is dropped.

use std::collections::BTreeMap;
use std::fmt::Write as _;
use std::io;
use std::net::{Ipv4Addr, SocketAddr};
use std::path::Path;
use std::sync::Arc;

use teeter_lab::{App, Haproxy, config_head, free_port};
use tempfile::TempDir;

use super::traffic::Kind;
use crate::teeterd::Teeter;

/// All processes. Clones share them.
#[derive(Clone)]
pub(crate) struct Bed(Arc<Processes>);

/// They are dropped in this order: the daemon before HAProxy, and the directory last.
pub(crate) struct Processes {
    pub(crate) teeter: Teeter,
    _haproxy: Haproxy,
    _apps: Vec<App>,
    fronts: BTreeMap<Kind, SocketAddr>,
    _dir: TempDir,
}

impl std::ops::Deref for Bed {
    type Target = Processes;

    fn deref(&self) -> &Processes {
        &self.0
    }
}

impl Bed {
    pub(crate) async fn start(bin_dir: &Path) -> io::Result<Self> {
        let dir = tempfile::Builder::new().prefix("lab-estimates-").tempdir()?;
        let (mut apps, mut fronts, mut farms) = (Vec::new(), BTreeMap::new(), String::new());
        let mut text = config_head(dir.path(), &[], &["timeout tunnel 1h"]);
        for kind in Kind::ALL {
            let (name, front) = (kind.name(), SocketAddr::from((Ipv4Addr::LOCALHOST, free_port()?)));
            fronts.insert(kind, front);
            let _ = writeln!(text, "\nfrontend to-{name}\n    bind {front}\n    default_backend {name}");
            let _ = writeln!(text, "\nbackend {name}\n    balance roundrobin");
            for server in ["s1", "s2"] {
                let app = App::start(server, "v1").await?;
                let _ = writeln!(text, "    server {server} {}", app.addr());
                apps.push(app);
            }
            let _ =
                writeln!(farms, "[farm.{name}]\nmembers = [\"{name}/*\"]\ngroups = {{ a = [\"s1\"], b = [\"s2\"] }}\n");
        }
        let haproxy = Haproxy::start(dir.path(), &text).await?;
        let teeter = Teeter::start(bin_dir, dir.path(), &farms).await?;
        Ok(Self(Arc::new(Processes { teeter, _haproxy: haproxy, _apps: apps, fronts, _dir: dir })))
    }
}

impl Processes {
    /// The address for the clients of a kind.
    pub(crate) fn front(&self, kind: Kind) -> SocketAddr {
        self.fronts.get(&kind).copied().unwrap_or_else(|| SocketAddr::from((Ipv4Addr::LOCALHOST, 0)))
    }
}
