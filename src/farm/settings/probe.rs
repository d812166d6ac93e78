//! The settings of one HTTP request to a server.

use serde::{Deserialize, Serialize};

use crate::farm::settings::trust::{TlsTrust, bool_or_table, is_word};
use crate::farm::settings::version::VersionSource;
use crate::farm::span::Span;

/// The settings of a request to a server's own address.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct HttpProbe {
    /// The path to request.
    pub path: String,
    /// The status of a healthy answer.
    #[serde(default = "default_status")]
    pub expect: u16,
    /// The port; the port to which HAProxy sends traffic where unset.
    #[serde(default)]
    pub port: Option<u16>,
    /// The Host header; the address where unset.
    #[serde(default)]
    pub host: Option<String>,
    /// Whether the request uses TLS, and how teeter verifies the server then.
    #[serde(default, deserialize_with = "bool_or_table", skip_serializing_if = "Option::is_none")]
    pub tls: Option<TlsTrust>,
    /// How long one request may take.
    #[serde(default = "probe_timeout")]
    pub timeout: Span,
    /// Where the answer has the running version.
    #[serde(default)]
    pub version: Option<VersionSource>,
}

/// A setting that contradicts another one or has no effect: its key, and the problem.
pub(in crate::farm) type Problem = (String, String);

impl HttpProbe {
    /// The settings of a request for this path, with the default of every other setting.
    pub fn for_path(path: &str) -> Self {
        let (path, expect, timeout) = (path.to_owned(), default_status(), probe_timeout());
        Self { path, expect, port: None, host: None, tls: None, timeout, version: None }
    }

    pub(in crate::farm) fn check(&self) -> Result<(), Problem> {
        check_path("path", &self.path)?;
        check_server(self.expect, self.port, self.host.as_deref(), self.tls.as_ref())?;
        if self.timeout == Span::default() {
            return Err(("timeout".to_owned(), "the timeout is zero".to_owned()));
        }
        let header = self.version.as_ref().and_then(VersionSource::header).unwrap_or("x");
        let is_name = |byte: u8| byte.is_ascii_alphanumeric() || b"-_".contains(&byte);
        if header.is_empty() || !header.bytes().all(is_name) {
            return Err(("version".to_owned(), format!("{header:?} is not the name of a header")));
        }
        Ok(())
    }
}

/// Checks that a path can be requested.
pub(in crate::farm) fn check_path(key: &str, path: &str) -> Result<(), Problem> {
    match path.starts_with('/') && path.bytes().all(|byte| byte.is_ascii_graphic()) {
        true => Ok(()),
        false => Err((key.to_owned(), format!("{path:?} is not a path: it begins with a slash, without blanks"))),
    }
}

/// Checks the settings that every request has.
pub(in crate::farm) fn check_server(
    expect: u16,
    port: Option<u16>,
    host: Option<&str>,
    tls: Option<&TlsTrust>,
) -> Result<(), Problem> {
    // A status below 200 announces a later answer.
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

pub(in crate::farm) fn default_status() -> u16 {
    200
}

fn probe_timeout() -> Span {
    Span::from_secs(5)
}
