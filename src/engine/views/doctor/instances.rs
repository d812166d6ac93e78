//! HAProxys and their masters: whether their sockets answer, with which level, and which processes reloads have left.

use super::{error, ok, unreachable, warning};
use crate::api::FindingView;
use crate::farm::InstanceName;
use crate::haproxy::Master;
use crate::haproxy::commands::Level;
use crate::reconcile::Look;

/// The finding about a HAProxy that answers.
pub(super) fn stats_socket(name: &InstanceName, address: &str, look: &Look) -> FindingView {
    let about = format!("HAProxy {name}");
    match look.level {
        Some(level) if level < Level::Admin => {
            let text = format!(
                "its socket {address} has level {level}, and changing a server needs admin: write `level admin` on its \
                 `stats socket` line in haproxy.cfg and reload HAProxy"
            );
            error(about, text)
        }
        _ => {
            let (version, pid, servers) = (&look.info.version, look.info.pid, look.servers.len());
            ok(about, format!("{version}, process {pid}, {servers} servers, at {address}"))
        }
    }
}

/// The findings about the master of a HAProxy. `serving` is the process that answers on its stats socket: after a
/// failed reload the master may list it among the old processes.
pub(super) async fn master_socket(
    name: &InstanceName,
    master: Option<&Master>,
    serving: Option<u32>,
) -> Vec<FindingView> {
    let about = format!("HAProxy {name}");
    let Some(master) = master else {
        return vec![ok(
            about,
            "no master socket is configured: teeter does not see the processes that reloads leave behind".to_owned(),
        )];
    };
    match master.workers().await {
        Ok(workers) => {
            let old = workers.iter().filter(|worker| worker.old && Some(worker.pid) != serving).count();
            let at = master.path().display();
            let left = ok(about.clone(), format!("{old} processes left behind by reloads, says the master at {at}"));
            [left].into_iter().chain(last_reload(about, master).await).collect()
        }
        Err(trouble) if serving.is_none() => vec![unreachable(about, format!("its master socket: {trouble}"))],
        Err(trouble) => vec![error(about, format!("its master socket: {trouble}"))],
    }
}

/// The finding that HAProxy has refused its configuration on disk: then the next reload or restart fails, too.
async fn last_reload(about: String, master: &Master) -> Option<FindingView> {
    let failed = master.last_reload_failed().await.ok()?;
    failed.then(|| {
        let text = "its last reload failed: the process from before it still serves, and the configuration on disk is \
            not the one in service: `haproxy -c -f /etc/haproxy/haproxy.cfg` says what is wrong with it; then reload \
            HAProxy";
        warning(about, text.to_owned())
    })
}
