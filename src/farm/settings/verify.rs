//! What servers must show before they come back, as it is configured.

use serde::{Deserialize, Serialize};

use crate::farm::settings::trust::{TlsTrust, is_word, yes_or_how};
use crate::farm::settings::version::VersionSource;
use crate::farm::settings::warm_up::WarmUp;
use crate::farm::span::Span;

/// `[farm.NAME.verify]`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct VerifySettings {
    /// A request that each server must answer well.
    pub http: Option<HttpProbe>,
    /// Requests that each server must answer fast.
    pub warm_up: Option<WarmUp>,
    /// How long a server has to show that it is well.
    pub deadline: Span,
}

impl Default for VerifySettings {
    fn default() -> Self {
        Self { http: None, warm_up: None, deadline: Span::from_secs(60) }
    }
}

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

impl VerifySettings {
    /// Whether servers tell by name which version they run.
    pub fn names_version(&self) -> bool {
        self.http.as_ref().and_then(|http| http.version.as_ref()).is_some_and(VersionSource::names)
    }

    /// Whether servers tell when they were built instead.
    pub fn tells_build(&self) -> bool {
        matches!(&self.http, Some(HttpProbe { version: Some(VersionSource::Built(_)), .. }))
    }

    /// Checks what can be known without a server.
    pub(in crate::farm) fn check(&self) -> Result<(), Problem> {
        if self.deadline == Span::default() {
            return Err(("deadline".to_owned(), "verify.deadline: no server shows anything in no time".to_owned()));
        }
        self.http.as_ref().map_or(Ok(()), |http| http.check().map_err(under("http")))?;
        self.warm_up.as_ref().map_or(Ok(()), |warm_up| warm_up.check().map_err(under("warm_up")))
    }
}

impl HttpProbe {
    /// A request for this path, with everything else as it is where nothing is configured.
    pub fn of(path: &str) -> Self {
        let (path, expect, timeout) = (path.to_owned(), ok(), probe_timeout());
        Self { path, expect, port: None, host: None, tls: None, timeout, version: None }
    }

    fn check(&self) -> Result<(), Problem> {
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

fn under(table: &str) -> impl Fn(Problem) -> Problem {
    move |(key, problem)| (format!("{table}.{key}"), format!("verify.{table}.{key}: {problem}"))
}

pub(in crate::farm) fn ok() -> u16 {
    200
}

fn probe_timeout() -> Span {
    Span::from_secs(5)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_earlier_stores_have_is_read() {
        let stored = r#"{"http":{"path":"/_status","expect":200,"port":null,"host":null,"timeout":"5s",
            "version":{"header":"x-version"}},"deadline":"1m"}"#;
        let settings: VerifySettings = serde_json::from_str(stored).unwrap();
        let http = settings.http.unwrap();
        assert_eq!(http.version, Some(VersionSource::Header("x-version".to_owned())));
        assert_eq!((http.tls, settings.warm_up), (None, None));
    }

    #[test]
    fn what_a_plan_has_is_read_from_its_store() {
        let settings: VerifySettings = toml::from_str(
            "http = { path = \"/\", tls = { ca = \"/ca.pem\", server_name = \"shop\" } }\n\
             warm_up = { paths = [\"/\"], below = \"200ms\", on_deadline = \"proceed\", tls = { insecure = true } }",
        )
        .unwrap();
        assert_eq!(settings.check(), Ok(()));
        let stored = serde_json::to_string(&settings).unwrap();
        assert_eq!(serde_json::from_str::<VerifySettings>(&stored).unwrap(), settings);
    }
}
