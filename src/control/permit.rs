//! What each request needs, and whether whoever sends it has that.

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

/// Every route, and the role that it needs. What is not here needs the highest; a test keeps it complete.
pub(super) const ROUTES: &[(Method, &str, Role)] = &[
    (Method::GET, "/v1/status", Viewer),
    (Method::GET, "/v1/holds", Viewer),
    (Method::GET, "/v1/holds/{id}", Viewer),
    (Method::GET, "/v1/sessions", Viewer),
    (Method::GET, "/v1/runs", Viewer),
    (Method::GET, "/v1/runs/{id}", Viewer),
    (Method::GET, "/v1/farms/{farm}/idle", Viewer),
    (Method::GET, "/v1/doctor", Viewer),
    (Method::GET, "/v1/events", Viewer),
    (Method::GET, "/v1/events/stream", Viewer),
    (Method::GET, "/v1/openapi.json", Viewer),
    (Method::GET, "/v1/store", Viewer),
    // Everything that is recorded, of everybody.
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
    // Its end says that the caller has gone, and a policy may act on that.
    (Method::GET, "/v1/runs/{id}/attend", Deployer),
];

/// What in a request needs more than its route does.
#[derive(Debug, Clone, Copy)]
pub(super) struct Beyond {
    what: &'static str,
    role: Role,
}

/// To go on where a guard refuses.
pub(super) const OUTAGE: Beyond = Beyond { what: "allow_outage", role: Admin };
/// To end the hold of somebody else.
pub(super) const OTHERS_HOLD: Beyond = Beyond { what: "the hold of somebody else", role: Admin };

/// What the configuration says of who may do what.
#[derive(Debug, Clone)]
pub struct Access {
    /// `[control.roles]`; where it is not there, whoever may open the socket may do everything.
    pub roles: Option<Roles>,
    /// The file that says so, for those who are refused.
    pub config: PathBuf,
}

/// Who sends a request, and what they may do.
#[derive(Debug, Clone)]
pub(super) struct Asker {
    pub(super) by: Requester,
    role: Option<Role>,
    config: Arc<Path>,
}

impl Asker {
    /// As of now: the configuration and the system's groups are asked anew for each request.
    pub(super) async fn of(peer: &Peer, access: &watch::Receiver<Access>) -> Result<Self, Failure> {
        let Access { roles, config } = access.borrow().clone();
        let caller = peer.caller.clone();
        let role = match roles {
            None => Some(Admin),
            Some(_) if caller.uid == 0 || caller.uid == rustix::process::geteuid().as_raw() => Some(Admin),
            Some(roles) => {
                let account = peer.account().await.ok_or_else(|| Failure::no_account(caller.uid))?;
                roles.of((caller.uid, &account.name), &account.groups)
            }
        };
        Ok(Self { by: Requester::new(caller), role, config: config.into() })
    }

    /// That this request may be sent: by the route that it matches, or to a path that matches none.
    pub(super) fn may_send(&self, method: &Method, path: Result<&str, &str>) -> Result<(), Failure> {
        // Not even that there is no such path is told to somebody who may not look.
        let needed = path.map_or(Viewer, |route| needed(method, route));
        let path = path.unwrap_or_else(|path| path);
        self.must_be(needed, &format!("{method} {path}"))
    }

    /// That this may be done, too.
    pub(super) fn may(&self, beyond: Beyond) -> Result<(), Failure> {
        self.must_be(beyond.role, beyond.what)
    }

    fn must_be(&self, needed: Role, what: &str) -> Result<(), Failure> {
        if self.role >= Some(needed) {
            return Ok(());
        }
        let Caller { user, uid, .. } = &self.by.caller;
        let has = self.role.map_or_else(|| "no role".to_owned(), |role| format!("the role {role}"));
        refusals::log(&self.by.caller, &format!("{what} needs the role {needed}, and {user} has {has}"));
        Err(Failure::role(format!(
            "{what} needs the role {needed}, and {user} (uid {uid}) has {has}. Whoever may change {} can grant it: \
             {needed} = [\"user:{user}\"] under [control.roles], then `systemctl reload teeterd`",
            self.config.display(),
        )))
    }
}

/// Is ready once the sender of a stream no longer has the role for it. Asked whenever the configuration has been read
/// again, and every [`ASKED_AGAIN`]; where the system does not answer, the stream goes on until it does.
pub(super) async fn lost(peer: Peer, mut access: watch::Receiver<Access>, method: Method, path: String) {
    loop {
        tokio::select! {
            Ok(()) = access.changed() => {}
            () = tokio::time::sleep(ASKED_AGAIN) => {}
        }
        if Asker::of(&peer, &access).await.is_ok_and(|asker| asker.may_send(&method, Ok(&path)).is_err()) {
            return;
        }
    }
}

/// How long a stream may go on after the system has taken a group from its user.
const ASKED_AGAIN: Duration = Duration::from_secs(10);

fn needed(method: &Method, path: &str) -> Role {
    let method = if method == Method::HEAD { &Method::GET } else { method };
    let line = ROUTES.iter().find(|(known, at, _)| known == method && *at == path);
    line.map_or(Admin, |(_, _, role)| *role)
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use super::*;

    /// The routes in the text of the sources, as `.route("PATH", get(one).post(other))`.
    fn in_the_sources() -> BTreeSet<(String, String)> {
        let mut found = BTreeSet::new();
        for file in std::fs::read_dir("src/control").unwrap() {
            let text = std::fs::read_to_string(file.unwrap().path()).unwrap();
            // But for those of tests.
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
    fn every_route_has_its_line_and_every_line_its_route() {
        let lines: BTreeSet<_> =
            ROUTES.iter().map(|(method, path, _)| (method.to_string(), (*path).to_owned())).collect();
        assert_eq!(lines.len(), ROUTES.len(), "a route has two lines");
        assert_eq!(lines, in_the_sources());
    }

    #[test]
    fn whoever_may_only_look_changes_nothing() {
        for (method, path, role) in ROUTES.iter().filter(|(_, _, role)| *role == Viewer) {
            assert_eq!(method, Method::GET, "{path} {role}");
        }
        assert_eq!(needed(&Method::HEAD, "/v1/holds"), Viewer);
        assert_eq!(needed(&Method::DELETE, "/v1/holds"), Admin);
        assert_eq!(needed(&Method::GET, "/v1/new"), Admin);
    }
}
