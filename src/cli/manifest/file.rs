//! The manifest file: builds, how to deploy them, and where. Unknown keys and values are errors.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt;
use std::num::NonZeroU16;
use std::path::Path;

use serde::de::{Deserializer, MapAccess, Visitor};
use serde::{Deserialize, de::Error as _};

use crate::cli::error::CliError;
use crate::farm::{BatchSize, FarmName, FlipOrder, OnDeadline, Span, StallAction, Steps};
use crate::plan::Strategy;

/// The whole file.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Manifest {
    pub(super) builds: Vec<Build>,
}

/// One build, and how to deploy it.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Build {
    #[serde(deserialize_with = "some_text")]
    pub(super) name: String,
    pub(super) version: Option<String>,
    #[serde(default, deserialize_with = "strategy")]
    pub(super) strategy: Option<Strategy>,
    pub(super) order: Option<FlipOrder>,
    pub(super) steps: Option<Steps>,
    pub(super) pause: Option<Span>,
    pub(super) on_stall: Option<StallAction>,
    pub(super) stall_after: Option<Span>,
    pub(super) batch: Option<BatchSize>,
    pub(super) settle: Option<Span>,
    pub(super) max_failed: Option<usize>,
    #[serde(default)]
    pub(super) allow_outage: bool,
    pub(super) grace: Option<Span>,
    pub(super) deadline: Option<Span>,
    pub(super) on_deadline: Option<OnDeadline>,
    #[serde(deserialize_with = "words")]
    pub(super) hook: Vec<String>,
    pub(super) before_out: Option<String>,
    pub(super) after_out: Option<String>,
    pub(super) after_in: Option<String>,
    #[serde(default)]
    pub(super) per_server: bool,
    pub(super) parallel: Option<NonZeroU16>,
    #[serde(default, deserialize_with = "some_time")]
    pub(super) hook_timeout: Option<Span>,
    pub(super) environments: Environments,
}

/// The environments that a build is deployed to, by name.
#[derive(Debug)]
pub(super) struct Environments(pub(super) BTreeMap<String, Environment>);

/// The farms of one environment, and its deviating settings.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Environment {
    #[serde(deserialize_with = "farms")]
    pub(super) farms: Vec<FarmName>,
    pub(super) version: Option<String>,
    #[serde(default, deserialize_with = "strategy")]
    pub(super) strategy: Option<Strategy>,
    pub(super) batch: Option<BatchSize>,
}

impl Manifest {
    /// Reads a file.
    ///
    /// # Errors
    /// The file cannot be read or understood; the error names line and column.
    pub(super) fn read(path: &Path) -> Result<Self, CliError> {
        let usage = |text: String| CliError::Usage { text };
        let shown = path.display();
        let text = std::fs::read_to_string(path).map_err(|error| usage(format!("cannot read {shown}: {error}")))?;
        Self::parse(&text).map_err(|problem| usage(format!("{shown}:{problem}")))
    }

    fn parse(text: &str) -> Result<Self, String> {
        let manifest: Self = serde_json::from_str(text).map_err(|error| {
            let (line, column) = (error.line(), error.column());
            let words = error.to_string();
            let words = words.strip_suffix(&format!(" at line {line} column {column}")).unwrap_or(&words);
            format!("{line}:{column}: {words}")
        })?;
        let without_per_server = manifest.builds.iter().find(|build| build.parallel.is_some() && !build.per_server);
        match without_per_server {
            Some(build) => Err(format!(" {}: `parallel` needs `per_server`", build.name)),
            None => Ok(manifest),
        }
    }

    /// The names of all environments.
    pub(super) fn environments(&self) -> BTreeSet<&str> {
        self.builds.iter().flat_map(|build| build.environments.0.keys()).map(String::as_str).collect()
    }
}

impl<'de> Deserialize<'de> for Environments {
    fn deserialize<D: Deserializer<'de>>(from: D) -> Result<Self, D::Error> {
        struct ByName;
        impl<'de> Visitor<'de> for ByName {
            type Value = BTreeMap<String, Environment>;

            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("environments by their names")
            }

            // Of two environments with the same name, a map would keep only the last, and silently skip the others.
            fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Self::Value, A::Error> {
                let mut environments = BTreeMap::new();
                while let Some(name) = map.next_key::<String>()? {
                    if environments.contains_key(&name) {
                        return Err(A::Error::custom(format!("environment {name:?} is there twice")));
                    }
                    environments.insert(name, map.next_value()?);
                }
                Ok(environments)
            }
        }
        from.deserialize_map(ByName).map(Self)
    }
}

fn some_text<'de, D: Deserializer<'de>>(from: D) -> Result<String, D::Error> {
    let text = String::deserialize(from)?;
    if text.trim().is_empty() { Err(D::Error::custom("a text is empty")) } else { Ok(text) }
}

fn words<'de, D: Deserializer<'de>>(from: D) -> Result<Vec<String>, D::Error> {
    let words = Vec::<String>::deserialize(from)?;
    if words.is_empty() { Err(D::Error::custom("a hook has at least one word")) } else { Ok(words) }
}

fn farms<'de, D: Deserializer<'de>>(from: D) -> Result<Vec<FarmName>, D::Error> {
    let farms = Vec::<FarmName>::deserialize(from)?;
    let mut seen = BTreeSet::new();
    match farms.iter().find(|farm| !seen.insert(*farm)) {
        Some(farm) => Err(D::Error::custom(format!("farm {farm} is there twice"))),
        None if farms.is_empty() => Err(D::Error::custom("an environment has at least one farm")),
        None => Ok(farms),
    }
}

fn some_time<'de, D: Deserializer<'de>>(from: D) -> Result<Option<Span>, D::Error> {
    let text = Option::<String>::deserialize(from)?;
    text.map(|text| crate::cli::args::some_time(&text).map_err(D::Error::custom)).transpose()
}

/// A flip is no deploy.
fn strategy<'de, D: Deserializer<'de>>(from: D) -> Result<Option<Strategy>, D::Error> {
    match Option::<Strategy>::deserialize(from)? {
        Some(Strategy::Flip) => Err(D::Error::unknown_variant("flip", &["see-saw", "rolling", "blue-green", "canary"])),
        strategy => Ok(strategy),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_manifest_is_read() {
        let text = r#"{"builds": [{"name": "shop", "version": "4.2", "strategy": "rolling", "batch": "25%",
            "hook": ["./install.sh", "-v"], "per_server": true, "parallel": 2, "hook_timeout": "5m",
            "environments": {"QA": {"farms": ["web"], "version": "4.2-qa", "batch": 1}, "PROD": {"farms": ["web", "api"]}}}]}"#;
        let manifest = Manifest::parse(text).unwrap();
        assert_eq!(manifest.environments().into_iter().collect::<Vec<_>>(), ["PROD", "QA"]);
        let build = &manifest.builds[0];
        assert_eq!((build.hook.len(), build.parallel.map(u16::from)), (2, Some(2)));
        assert_eq!(build.environments.0["QA"].version.as_deref(), Some("4.2-qa"));
    }

    #[test]
    fn errors_name_line_and_column() {
        let build = |more: &str, environments: &str| {
            format!(
                "{{\"builds\": [\n{{\"name\": \"x\", \"hook\": [\"true\"]{more},\n\"environments\": {environments}}}]}}"
            )
        };
        let qa = r#"{"QA": {"farms": ["web"]}}"#;
        for (text, place, says) in [
            ("{".to_owned(), "1:1: ", "EOF"),
            ("{\"builds\": [],\n \"x\": 1}".to_owned(), "2:4: ", "unknown field `x`"),
            (build(", \"colour\": 1", qa), "2:", "unknown field `colour`"),
            (build(", \"strategy\": \"bang\"", qa), "2:", "unknown variant `bang`, expected one of"),
            (build(", \"settle\": \"30\"", qa), "2:", "is not a length of time"),
            (build(", \"batch\": \"150%\"", qa), "2:", "neither a number of members"),
            (build(", \"hook_timeout\": \"0s\"", qa), "2:", "longer than zero"),
            (build(", \"parallel\": 0", qa), "2:", "nonzero"),
            (build(", \"parallel\": 2", qa), " x: ", "`parallel` needs `per_server`"),
            (build("", r#"{"QA": {}}"#), "3:", "missing field `farms`"),
            (build("", r#"{"QA": {"farms": []}}"#), "3:", "at least one farm"),
            (build("", r#"{"QA": {"farms": ["a", "a"]}}"#), "3:", "farm a is there twice"),
            (build("", r#"{"QA": {"farms": ["a"]}, "QA": {"farms": ["b"]}}"#), "3:", "\"QA\" is there twice"),
            (r#"{"builds": [{"name": "x", "hook": [], "environments": {}}]}"#.to_owned(), "1:", "at least one word"),
        ] {
            let problem = Manifest::parse(&text).unwrap_err();
            assert!(problem.starts_with(place) && problem.contains(says), "{text}: {problem}");
        }
    }
}
