//! How a farm's servers are verified: by the request of their health check.

use super::cfg::HttpCheck;
use super::farms::Draft;
use super::site::Site;
use crate::farm::{HttpProbe, SeenServer, TlsTrust};
use crate::haproxy::ServerRef;

/// The verification of a farm.
#[derive(Debug, Clone, PartialEq)]
pub(super) struct Verify {
    /// The request; otherwise why there is none.
    pub(super) http: Result<HttpProbe, String>,
    /// The request that a server did not answer as it should.
    pub(super) unanswered: Option<HttpProbe>,
    /// Whether haproxy.cfg names the status that passes. HAProxy accepts 200 to 399 otherwise.
    pub(super) names_status: bool,
    /// What HAProxy's check requires beyond it.
    pub(super) beyond: Option<String>,
    /// The address of a server in service that can be asked.
    pub(super) ask: Option<String>,
}

/// Works out the request from haproxy.cfg.
pub(super) fn of(site: &Site, draft: &Draft) -> Verify {
    if site.cfg.is_none() {
        return Verify::none("only haproxy.cfg has the path of the health check: name the file by --cfg");
    }
    if draft.leader {
        return Verify::none("the health check asks for the role of a server, and not for its health");
    }
    let lines: Vec<&ServerRef> = draft.members.iter().flat_map(|(_, lines)| lines).collect();
    let checked = lines.iter().map(|line| site.checked(line)).find_map(|line| {
        // A check for the role of a server passes on one of them only.
        let backend = site.cfg_backend(&line.backend).filter(|backend| !backend.checks_role)?;
        let check = backend.http_check.as_ref()?;
        site.line(line)?.check.is_configured().then_some((line, check))
    });
    let Some((line, check)) = checked else { return Verify::none("its health check requests no path by HTTP") };
    match probe(site, line, check) {
        Ok(http) => Verify {
            http: Ok(http),
            unanswered: None,
            names_status: check.status.is_some(),
            beyond: check.other_condition.clone(),
            ask: lines
                .iter()
                .filter_map(|line| site.line(line))
                .find(|line| can_be_asked(line))
                .map(SeenServer::endpoint),
        },
        Err(why) => Verify::none(&why),
    }
}

fn probe(site: &Site, line: &ServerRef, check: &HttpCheck) -> Result<HttpProbe, String> {
    let path = check.path.as_deref().ok_or("its health check is a plain `option httpchk` without a path")?;
    let is_path = path.starts_with('/') && path.bytes().all(|byte| byte.is_ascii_graphic());
    if !is_path || path.contains(['$', '%']) {
        return Err(format!("its health check requests {path:?}, which is no fixed path"));
    }
    let mut probe = HttpProbe::for_path(path);
    probe.expect = check.status.unwrap_or(probe.expect);
    probe.host = check.host.clone().filter(|host| is_plain(host));
    if let Some(server) = site.cfg_server(line) {
        probe.port = server.check_port.filter(|port| *port > 0);
        if server.tls {
            let ca = server.ca.clone().filter(|ca| ca.starts_with('/')).map(Into::into);
            if ca.is_none() && !server.verify_none {
                return Err(format!(
                    "{line} speaks TLS: write tls = {{ ca = \"FILE\" }} with the authority of its certificate"
                ));
            }
            let insecure = ca.is_none();
            probe.tls = Some(TlsTrust { ca, insecure, server_name: None });
        }
    }
    Ok(probe)
}

/// Whether the text has no variables and nothing that would have to be escaped.
fn is_plain(text: &str) -> bool {
    !text.is_empty() && text.bytes().all(|byte| byte.is_ascii_graphic() && !b"$%\"\\".contains(&byte))
}

fn can_be_asked(line: &SeenServer) -> bool {
    line.is_usable() && !line.address.is_empty() && line.port > 0
}

impl Verify {
    /// A verification without a request.
    pub(super) fn none(why: &str) -> Self {
        Self { http: Err(why.to_owned()), unanswered: None, names_status: false, beyond: None, ask: None }
    }

    /// Takes over what a server has answered: its status, or why it has not answered.
    pub(super) fn learn(&mut self, server: &str, answer: Result<u16, String>) {
        let Ok(probe) = &mut self.http else { return };
        let problem = match answer {
            Ok(status) if status == probe.expect => return,
            // HAProxy accepts this status as well.
            Ok(status @ 200..=399) if !self.names_status && self.beyond.is_none() => return probe.expect = status,
            Ok(status) => format!("{server} answers {} with {status} and not {}", probe.path, probe.expect),
            Err(why) => format!("{server} does not answer teeter: {why}"),
        };
        self.unanswered = Some(probe.clone());
        self.http = Err(problem);
    }
}
