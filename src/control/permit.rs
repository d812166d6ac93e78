//! The role that each request needs, and whether its sender has that role.

use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use axum::http::Method;
use tokio::sync::watch;

use super::peer::Peer;
use super::problem::Failure;
use super::refusals;
use super::role::Role::{self, Admin, Deployer, Operator, Viewer};
use super::role::Roles;
use crate::engine::Requester;
use crate::state::Caller;

/// Every route, and the role that it needs. A missing route would need the highest role; a test finds missing routes.
pub(super) const ROUTES: &[(Method, &str, Role)] = &[
    (Method::GET, "/v1/status", Viewer),
    (Method::GET, "/v1/holds", Viewer),
    (Method::GET, "/v1/holds/{id}", Viewer),
    (Method::GET, "/v1/names", Viewer),
    (Method::GET, "/v1/sessions", Viewer),
    (Method::GET, "/v1/runs", Viewer),
    (Method::GET, "/v1/runs/{id}", Viewer),
    (Method::GET, "/v1/farms/{farm}/idle", Viewer),
    (Method::GET, "/v1/farms/{farm}/runs", Viewer),
    (Method::GET, "/v1/doctor", Viewer),
    (Method::GET, "/v1/events", Viewer),
    (Method::GET, "/v1/events/stream", Viewer),
    (Method::GET, "/v1/openapi.json", Viewer),
    (Method::GET, "/v1/store", Viewer),
    (Method::GET, "/metrics", Viewer),
    // All records of all users.
    (Method::GET, "/v1/store/backup", Admin),
    (Method::POST, "/v1/holds", Operator),
    (Method::POST, "/v1/release", Operator),
    (Method::POST, "/v1/runs", Deployer),
    (Method::POST, "/v1/runs/{id}/advance", Deployer),
    (Method::POST, "/v1/runs/{id}/abort", Deployer),
    (Method::POST, "/v1/runs/{id}/rollback", Deployer),
    (Method::POST, "/v1/runs/{id}/pause", Deployer),
    (Method::POST, "/v1/runs/{id}/resume", Deployer),
    (Method::POST, "/v1/runs/{id}/retry", Deployer),
    (Method::POST, "/v1/runs/{id}/output", Deployer),
    (Method::POST, "/v1/forget", Deployer),
    // The end of the stream means that the caller has disconnected, and a policy may act on that.
    (Method::GET, "/v1/runs/{id}/attend", Deployer),
];

/// A part of a request that needs a higher role than its route.
#[derive(Debug, Clone, Copy)]
pub(super) struct ExtraRole {
    action: &'static str,
    role: Role,
}

/// The role to override a guard.
pub(super) const OUTAGE: ExtraRole = ExtraRole { action: "allow_outage", role: Admin };
/// The role to end another user's hold.
pub(super) const OTHERS_HOLD: ExtraRole = ExtraRole { action: "ending another user's hold", role: Admin };

/// The access rules of the configuration.
#[derive(Debug, Clone)]
pub struct Access {
    /// `[control.roles]`; without it, every user who may open the socket may do everything.
    pub roles: Option<Roles>,
    /// The configuration file, named in refusals.
    pub config: PathBuf,
}

/// The sender of a request, and the sender's role.
#[derive(Debug, Clone)]
pub(super) struct AuthorizedCaller {
    pub(super) by: Requester,
    role: Option<Role>,
    config: Arc<Path>,
}

impl AuthorizedCaller {
    /// Looks up the sender's current role. The configuration and the system's groups are read again for each request.
    pub(super) async fn authorize(peer: &Peer, access: &watch::Receiver<Access>) -> Result<Self, Failure> {
        let Access { roles, config } = access.borrow().clone();
        let caller = peer.caller.clone();
        let role = match roles {
            None => Some(Admin),
            Some(_) if caller.uid == 0 || caller.uid == rustix::process::geteuid().as_raw() => Some(Admin),
            Some(roles) => {
                let account = peer.account().await.ok_or_else(|| Failure::no_account(caller.uid))?;
                roles.highest(caller.uid, &account.name, &account.groups)
            }
        };
        Ok(Self { by: Requester::new(caller), role, config: config.into() })
    }

    /// Checks that the sender may send this request. `path` is the route of the request; an unknown path is an error.
    pub(super) fn may_send(&self, method: &Method, path: Result<&str, &str>) -> Result<(), Failure> {
        // A sender without the right to read does not learn whether a path exists.
        let needed = path.map_or(Viewer, |route| needed(method, route));
        let path = path.unwrap_or_else(|path| path);
        self.must_be(needed, &format!("{method} {path}"))
    }

    /// Checks that the sender may use this part of a request.
    pub(super) fn may(&self, extra: ExtraRole) -> Result<(), Failure> {
        self.must_be(extra.role, extra.action)
    }

    fn must_be(&self, needed: Role, action: &str) -> Result<(), Failure> {
        if self.role >= Some(needed) {
            return Ok(());
        }
        let Caller { user, uid, .. } = &self.by.caller;
        let has = self.role.map_or_else(|| "no role".to_owned(), |role| format!("the role {role}"));
        refusals::log(&self.by.caller, &format!("{action} needs the role {needed}, and {user} has {has}"));
        let detail = format!("{action} needs the role {needed}, and {user} (uid {uid}) has {has}");
        let hint = format!(
            "an administrator can grant it in {}: {needed} = [\"user:{user}\"] under [control.roles], then \
             `systemctl reload teeterd`",
            self.config.display(),
        );
        Err(Failure::role(detail, hint))
    }
}

/// Returns once the sender of a stream no longer has the role for it. Checks whenever the configuration is read again,
/// and every [`RECHECK`]. While the system does not answer a check, the stream goes on.
pub(super) async fn role_lost(peer: Peer, mut access: watch::Receiver<Access>, method: Method, path: String) {
    loop {
        tokio::select! {
            Ok(()) = access.changed() => {}
            () = tokio::time::sleep(RECHECK) => {}
        }
        if AuthorizedCaller::authorize(&peer, &access)
            .await
            .is_ok_and(|caller| caller.may_send(&method, Ok(&path)).is_err())
        {
            return;
        }
    }
}

/// The interval of the checks: a stream may go on for this long after its user has lost a group.
const RECHECK: Duration = Duration::from_secs(10);

fn needed(method: &Method, path: &str) -> Role {
    let method = if method == Method::HEAD { &Method::GET } else { method };
    let line = ROUTES.iter().find(|(known, at, _)| known == method && *at == path);
    line.map_or(Admin, |(_, _, role)| *role)
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use super::*;

    /// The routes in the sources, written as `.route("PATH", get(one).post(other))`.
    fn routes_in_the_sources() -> BTreeSet<(String, String)> {
        let mut found = BTreeSet::new();
        let paths = std::fs::read_dir("src/control").unwrap().map(|entry| entry.unwrap().path());
        for path in paths.filter(|path| path.is_file()) {
            let text = std::fs::read_to_string(path).unwrap();
            // Except the routes of tests.
            let text = text.split("#[cfg(test)]").next().unwrap_or_default();
            for line in text.split(".route(\"").skip(1) {
                let (path, rest) = line.split_once('"').unwrap();
                let handlers = rest.split(".route(").next().unwrap().split(".merge(").next().unwrap();
                for (method, call) in [("GET", "get("), ("POST", "post("), ("PUT", "put("), ("DELETE", "delete(")] {
                    if [",", "."].iter().any(|before| handlers.replace(' ', "").contains(&format!("{before}{call}"))) {
                        found.insert((method.to_owned(), path.to_owned()));
                    }
                }
            }
        }
        found
    }

    #[test]
    fn every_route_has_a_role_and_every_role_has_a_route() {
        let lines: BTreeSet<_> =
            ROUTES.iter().map(|(method, path, _)| (method.to_string(), (*path).to_owned())).collect();
        assert_eq!(lines.len(), ROUTES.len(), "a route has two lines");
        assert_eq!(lines, routes_in_the_sources());
    }

    #[test]
    fn viewers_can_only_read() {
        for (method, path, role) in ROUTES.iter().filter(|(_, _, role)| *role == Viewer) {
            assert_eq!(method, Method::GET, "{path} {role}");
        }
        assert_eq!(needed(&Method::HEAD, "/v1/holds"), Viewer);
        assert_eq!(needed(&Method::DELETE, "/v1/holds"), Admin);
        assert_eq!(needed(&Method::GET, "/v1/new"), Admin);
    }
}
