//! The configuration: reads TOML and `TEETER_*` variables, and returns typed settings.
//!
//! An unknown key or an invalid value is an error with its place: file, line and column, or the variable. This module
//! knows the settings of farms, but not their use.

mod environment;
mod metrics;
mod place;
mod retention;
mod settings;

use std::collections::{BTreeMap, BTreeSet};
use std::io;
use std::path::{Path, PathBuf};

use serde::Deserialize;
use thiserror::Error;

use self::environment::Environment;
use crate::farm::{Farm, FarmError, FarmName, FarmSettings, HoldsSettings, InstanceName, Selector};
use crate::haproxy::{Address, MapKey, MapName};

pub use self::metrics::MetricsSettings;
pub use self::retention::RetentionSettings;
pub use self::settings::{ControlSettings, InstanceSettings, LogLevel, LogSettings, LogTo, StoreSettings};

/// All settings.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct Config {
    /// `[control]`.
    pub control: ControlSettings,
    /// `[store]`.
    pub store: StoreSettings,
    /// `[retention]`.
    pub retention: RetentionSettings,
    /// `[[haproxy]]`. If empty, [`usual_sockets`](crate::haproxy::usual_sockets) lists the sockets to try.
    pub haproxy: Vec<InstanceSettings>,
    /// `[log]`.
    pub log: LogSettings,
    /// `[holds]`.
    pub holds: HoldsSettings,
    /// `[metrics]`.
    pub metrics: MetricsSettings,
    /// `[farm.NAME]`, each checked as far as possible without HAProxy.
    pub farms: BTreeMap<FarmName, Farm>,
}

/// The error for a configuration that cannot be used.
#[derive(Debug, Error)]
pub enum ConfigError {
    /// The file cannot be read.
    #[error("cannot read the configuration {}", path.display())]
    Read {
        /// The path of the file.
        path: PathBuf,
        /// The error of the operating system.
        source: io::Error,
    },
    /// The file has a mistake.
    #[error("{}:{line}:{column}: {problem}", path.display())]
    File {
        /// The path of the file.
        path: PathBuf,
        /// The line, from 1.
        line: usize,
        /// The column, from 1, in characters.
        column: usize,
        /// The mistake, for people.
        problem: String,
    },
    /// The environment has a mistake, or contradicts the file.
    #[error("{variable} in the environment: {problem}")]
    Environment {
        /// The name of the variable.
        variable: String,
        /// The mistake, for people.
        problem: String,
    },
}

impl Config {
    /// Reads the file, replaces settings by the variables `TEETER_SECTION__KEY` and checks the result. Without a path,
    /// the file is [`DEFAULT_PATH`], which need not exist.
    ///
    /// # Errors
    /// The first mistake, with its place.
    pub fn load(path: Option<&Path>, env: impl Iterator<Item = (String, String)>) -> Result<Self, ConfigError> {
        let file = path.unwrap_or(Path::new(DEFAULT_PATH));
        let text = match std::fs::read_to_string(file) {
            Ok(text) => text,
            Err(error) if path.is_none() && error.kind() == io::ErrorKind::NotFound => String::new(),
            Err(source) => return Err(ConfigError::Read { path: file.to_owned(), source }),
        };
        Self::from_text(&text, file, env)
    }

    /// Reads the settings from a text. Errors name `file` as the file of the text.
    ///
    /// # Errors
    /// As [`Config::load`].
    pub fn from_text(
        text: &str,
        file: &Path,
        env: impl Iterator<Item = (String, String)>,
    ) -> Result<Self, ConfigError> {
        let environment = Environment::new(env);
        // The file is first read without the environment: after the merge with variables, lines and columns are lost.
        toml::from_str::<Sections>(text).map_err(|error| {
            let (line, column) = place::of_byte(text, error.span().map_or(0, |span| span.start));
            ConfigError::File { path: file.to_owned(), line, column, problem: error.message().to_owned() }
        })?;
        Self::merged(text, &environment).map_err(|Problem { key, problem }| {
            match environment.cause(&problem, |others| Some(Self::merged(text, others).err()?.problem)) {
                Some(variable) => ConfigError::Environment { variable, problem },
                None => {
                    let (line, column) = place::of_key(text, &key);
                    ConfigError::File { path: file.to_owned(), line, column, problem }
                }
            }
        })
    }

    fn merged(file: &str, environment: &Environment) -> Result<Self, Problem> {
        let sections = environment
            .merged_over::<Sections>(file)
            .map_err(|error| Problem { key: Vec::new(), problem: error.to_string() })?;
        let config = Self::from(sections);
        config.problem().map_or(Ok(config), Err)
    }

    /// Finds a setting that is valid by itself and contradicts another one.
    fn problem(&self) -> Option<Problem> {
        if let Some((key, problem)) = self.retention.problem() {
            return Some(Problem { key: vec!["retention".into(), key.into()], problem });
        }
        if let Some((key, problem)) = self.metrics.problem(&self.control.socket) {
            return Some(Problem { key: vec!["metrics".into(), key.into()], problem });
        }
        let (mut names, mut sockets) = (BTreeSet::new(), BTreeSet::new());
        for (index, instance) in self.haproxy.iter().enumerate() {
            let at = |key: &str, problem: String| {
                Some(Problem { key: vec!["haproxy".into(), index.to_string(), key.into()], problem })
            };
            if !names.insert(&instance.name) {
                return at("name", format!("there is another HAProxy named {}", instance.name));
            }
            if !sockets.insert(instance.socket.to_string()) {
                return at("socket", format!("there is another HAProxy at {}", instance.socket));
            }
            if let Address::Unix(path) = &instance.socket
                && path == &self.control.socket
            {
                return at("socket", format!("{} is teeterd's own control socket", path.display()));
            }
            if let Some((key, problem)) = tls_problem(instance) {
                return at(key, problem);
            }
        }
        let mut routes = BTreeMap::new();
        let mut checked = self
            .farms
            .values()
            .map(|farm| farm.check().and_then(|()| groups_apart(farm)).and_then(|()| routes_apart(farm, &mut routes)));
        checked.find_map(Result::err).map(Problem::from)
    }
}

impl Config {
    /// The HAProxy instances with `may_be_away`.
    pub fn may_be_away(&self) -> BTreeSet<InstanceName> {
        self.haproxy.iter().filter(|haproxy| haproxy.may_be_away).map(|haproxy| haproxy.name.clone()).collect()
    }
}

/// The path of the configuration without `--config`.
pub const DEFAULT_PATH: &str = "/etc/teeter/teeter.toml";

/// The content of the file, by section.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct Sections {
    #[serde(default)]
    control: ControlSettings,
    #[serde(default)]
    store: StoreSettings,
    #[serde(default)]
    retention: RetentionSettings,
    #[serde(default)]
    haproxy: Vec<InstanceSettings>,
    #[serde(default)]
    log: LogSettings,
    #[serde(default)]
    holds: HoldsSettings,
    #[serde(default)]
    metrics: MetricsSettings,
    #[serde(default)]
    farm: BTreeMap<FarmName, FarmSettings>,
}

impl From<Sections> for Config {
    fn from(sections: Sections) -> Self {
        let Sections { control, store, retention, haproxy, log, holds, metrics, farm } = sections;
        let farms = farm.into_iter().map(|(name, settings)| (name.clone(), Farm { name, settings })).collect();
        Self { control, store, retention, haproxy, log, holds, metrics, farms }
    }
}

/// A mistake, and the key that the operator has to change.
struct Problem {
    key: Vec<String>,
    problem: String,
}

impl From<FarmError> for Problem {
    fn from(error: FarmError) -> Self {
        let key = ["farm".to_owned(), error.farm.to_string()].into_iter();
        Self { key: key.chain(error.key.split('.').map(str::to_owned)).collect(), problem: error.to_string() }
    }
}

/// The mistake in the TLS settings of a socket, and its key; `None` where there is none.
fn tls_problem(instance: &InstanceSettings) -> Option<(&'static str, String)> {
    let Some(tls) = &instance.tls else {
        let is_tls = matches!(instance.socket, Address::Tls(_));
        return is_tls
            .then(|| ("socket", "a tls:// socket needs tls = { ca = \"PATH\" } to verify HAProxy".to_owned()));
    };
    let files = [Some(&tls.ca), tls.certificate.as_ref(), tls.key.as_ref()];
    let problem = if !matches!(instance.socket, Address::Tls(_)) {
        format!("{} does not speak TLS: remove tls, or use a socket tls://HOST:PORT", instance.socket)
    } else if tls.key.is_some() && tls.certificate.is_none() {
        "key needs a certificate: set certificate, too".to_owned()
    } else {
        let relative = files.into_iter().flatten().find(|path| !path.is_absolute())?;
        format!("{relative:?} is not an absolute path")
    };
    Some(("tls", problem))
}

/// Checks that no pattern is in two groups: each matching server would be in both.
fn groups_apart(farm: &Farm) -> Result<(), FarmError> {
    let mut seen = BTreeMap::new();
    for (group, pattern) in
        farm.settings.groups.iter().flat_map(|(group, members)| members.iter().map(move |pattern| (group, pattern)))
    {
        match seen.insert(Selector::as_str(pattern), group) {
            Some(other) if other != group => {
                let problem = format!("{:?} is in more than one group: {other}, {group}", pattern.as_str());
                return Err(FarmError { farm: farm.name.clone(), key: "groups".to_owned(), problem });
            }
            _ => {}
        }
    }
    Ok(())
}

/// Checks that no key of a map is in the routes of two farms: each farm would reverse the other's switches.
fn routes_apart<'a>(
    farm: &'a Farm,
    seen: &mut BTreeMap<(&'a MapName, &'a MapKey), &'a FarmName>,
) -> Result<(), FarmError> {
    for route in &farm.settings.flip.route {
        if let Some(other) = seen.insert((&route.map, &route.key), &farm.name) {
            let problem = format!("key {} in map {} belongs to farm {other} already", route.key, route.map);
            return Err(FarmError { farm: farm.name.clone(), key: "flip.route".to_owned(), problem });
        }
    }
    Ok(())
}

#[cfg(test)]
mod verify_tests;
#[cfg(test)]
mod tests;
