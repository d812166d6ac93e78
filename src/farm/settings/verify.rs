//! The settings of a verification, which servers must pass before they come back.

use serde::{Deserialize, Serialize};

use crate::farm::settings::probe::{HttpProbe, Problem};
use crate::farm::settings::version::VersionSource;
use crate::farm::settings::warm_up::WarmUp;
use crate::farm::span::Span;

/// `[farm.NAME.verify]`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct VerifySettings {
    /// A request to which each server must give a healthy answer.
    pub http: Option<HttpProbe>,
    /// Requests that each server must answer fast.
    pub warm_up: Option<WarmUp>,
    /// The time for a server to pass its verification.
    pub deadline: Span,
}

impl Default for VerifySettings {
    fn default() -> Self {
        Self { http: None, warm_up: None, deadline: Span::from_secs(60) }
    }
}

impl VerifySettings {
    /// Whether servers report the name of the version that they run.
    pub fn names_version(&self) -> bool {
        self.http.as_ref().and_then(|http| http.version.as_ref()).is_some_and(VersionSource::names)
    }

    /// Whether servers report the time of their build instead of a version.
    pub fn reports_build(&self) -> bool {
        matches!(&self.http, Some(HttpProbe { version: Some(VersionSource::Built(_)), .. }))
    }

    /// Checks the settings as far as possible without a server.
    pub(in crate::farm) fn check(&self) -> Result<(), Problem> {
        if self.deadline == Span::default() {
            return Err(("deadline".to_owned(), "verify.deadline is zero: give servers time to answer".to_owned()));
        }
        self.http.as_ref().map_or(Ok(()), |http| http.check().map_err(in_table("http")))?;
        self.warm_up.as_ref().map_or(Ok(()), |warm_up| warm_up.check().map_err(in_table("warm_up")))
    }
}

fn in_table(table: &str) -> impl Fn(Problem) -> Problem {
    move |(key, problem)| (format!("{table}.{key}"), format!("verify.{table}.{key}: {problem}"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn settings_in_earlier_stores_are_read() {
        let stored = r#"{"http":{"path":"/_status","expect":200,"port":null,"host":null,"timeout":"5s",
            "version":{"header":"x-version"}},"deadline":"1m"}"#;
        let settings: VerifySettings = serde_json::from_str(stored).unwrap();
        let http = settings.http.unwrap();
        assert_eq!(http.version, Some(VersionSource::Header("x-version".to_owned())));
        assert_eq!((http.tls, settings.warm_up), (None, None));
    }

    #[test]
    fn settings_in_a_plan_survive_the_store() {
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
