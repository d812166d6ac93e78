//! A request to a server, as it is configured.

use serde::{Deserialize, Serialize};

use crate::farm::settings::trust::{TlsTrust, is_word, yes_or_how};
use crate::farm::settings::version::VersionSource;
use crate::farm::span::Span;

/// A request to a server's own address.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct HttpProbe {
    /// What to ask for.
    pub path: String,
    /// The status that is well.
    #[serde(default = "ok")]
    pub expect: u16,
    /// Another port than the one HAProxy sends traffic to.
    #[serde(default)]
    pub port: Option<u16>,
    /// The Host header; the address where unset.
    #[serde(default)]
    pub host: Option<String>,
    /// Whether it is asked over TLS, and how it is known then.
    #[serde(default, deserialize_with = "yes_or_how", skip_serializing_if = "Option::is_none")]
    pub tls: Option<TlsTrust>,
    /// How long one request may take.
    #[serde(default = "probe_timeout")]
    pub timeout: Span,
    /// Where the answer says which version is running.
    #[serde(default)]
    pub version: Option<VersionSource>,
}

/// What cannot be meant: the key, and why.
pub(in crate::farm) type Problem = (String, String);

impl HttpProbe {
    /// A request for this path, with everything else as it is where nothing is configured.
    pub fn of(path: &str) -> Self {
        let (path, expect, timeout) = (path.to_owned(), ok(), probe_timeout());
        Self { path, expect, port: None, host: None, tls: None, timeout, version: None }
    }

    pub(in crate::farm) fn check(&self) -> Result<(), Problem> {
        check_path("path", &self.path)?;
        check_server(self.expect, self.port, self.host.as_deref(), self.tls.as_ref())?;
        if self.timeout == Span::default() {
            return Err(("timeout".to_owned(), "no answer comes in no time".to_owned()));
        }
        let header = self.version.as_ref().and_then(VersionSource::header).unwrap_or("x");
        let is_name = |byte: u8| byte.is_ascii_alphanumeric() || b"-_".contains(&byte);
        if header.is_empty() || !header.bytes().all(is_name) {
            return Err(("version".to_owned(), format!("{header:?} is not the name of a header")));
        }
        Ok(())
    }
}

/// Whether this can be asked for.
pub(in crate::farm) fn check_path(key: &str, path: &str) -> Result<(), Problem> {
    match path.starts_with('/') && path.bytes().all(|byte| byte.is_ascii_graphic()) {
        true => Ok(()),
        false => Err((key.to_owned(), format!("{path:?} is not a path: it begins with a slash, without blanks"))),
    }
}

/// Whether a server can be asked like this.
pub(in crate::farm) fn check_server(
    expect: u16,
    port: Option<u16>,
    host: Option<&str>,
    tls: Option<&TlsTrust>,
) -> Result<(), Problem> {
    // Those below 200 come before an answer and are none.
    if !(200..600).contains(&expect) {
        return Err(("expect".to_owned(), format!("{expect} is not the HTTP status of an answer")));
    }
    if port == Some(0) {
        return Err(("port".to_owned(), "nothing listens on port 0: ports are 1 to 65535".to_owned()));
    }
    if let Some(host) = host.filter(|host| !is_word(host)) {
        return Err(("host".to_owned(), format!("{host:?} is not a host")));
    }
    tls.map_or(Ok(()), TlsTrust::check).map_err(|problem| ("tls".to_owned(), problem.to_owned()))
}

pub(in crate::farm) fn ok() -> u16 {
    200
}

fn probe_timeout() -> Span {
    Span::from_secs(5)
}
