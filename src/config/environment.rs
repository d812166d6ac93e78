//! Settings in the environment: `TEETER_STORE__PATH` is `path` in `[store]`.
//!
//! Only names with a double underscore are settings. `TEETER_SOCKET`, `TEETER_RUN` and similar names belong to the
//! command line and to hooks, and may also be in the daemon's environment.

use std::collections::BTreeMap;

use config::{File, FileFormat, Map, Source, Value};
use serde::de::DeserializeOwned;

/// The variables that are settings, by name.
#[derive(Debug, Clone)]
pub(super) struct Environment(BTreeMap<String, Setting>);

#[derive(Debug, Clone)]
struct Setting {
    /// The key of the setting, from the top of the file.
    key: Vec<String>,
    text: String,
}

impl Environment {
    pub(super) fn new(variables: impl Iterator<Item = (String, String)>) -> Self {
        let setting = |(name, text): (String, String)| {
            let key = key(name.strip_prefix("TEETER_").filter(|rest| rest.contains("__"))?);
            Some((name, Setting { key, text }))
        };
        Self(variables.filter_map(setting).collect())
    }

    /// The settings of the file, replaced by the variables where both have a setting.
    pub(super) fn merged_over<T: DeserializeOwned>(&self, file: &str) -> Result<T, config::ConfigError> {
        let sources =
            config::Config::builder().add_source(File::from_str(file, FileFormat::Toml)).add_source(self.clone());
        sources.build()?.try_deserialize()
    }

    /// The variable that causes a mistake: without this variable there is no mistake, or another one.
    pub(super) fn cause(&self, problem: &str, problem_without: impl Fn(&Self) -> Option<String>) -> Option<String> {
        let is_cause = |name: &&String| {
            let mut others = self.clone();
            others.0.remove(*name);
            problem_without(&others).is_none_or(|other| other != problem)
        };
        self.0.keys().find(is_cause).cloned()
    }
}

impl Source for Environment {
    fn clone_into_box(&self) -> Box<dyn Source + Send + Sync> {
        Box::new(self.clone())
    }

    fn collect(&self) -> Result<Map<String, Value>, config::ConfigError> {
        self.0.iter().map(|(name, setting)| Ok((path(&setting.key), value(name, &setting.text)?))).collect()
    }
}

/// The key of a variable. Names of sections and settings are in lower case in the file, and usually in upper case in a
/// variable. The names of farms and groups keep their case.
fn key(name: &str) -> Vec<String> {
    let mut key: Vec<String> = Vec::new();
    for part in name.split("__") {
        let keeps_case = match &key[..] {
            [section] => section == "farm",
            [section, _, setting] => section == "farm" && setting == "groups",
            _ => false,
        };
        key.push(if keeps_case { part.to_owned() } else { part.to_ascii_lowercase() });
    }
    key
}

/// Writes a key like the `config` crate: `farm.web.halves`, `haproxy[0].name`.
fn path(key: &[String]) -> String {
    let mut path = String::new();
    for (index, part) in key.iter().enumerate() {
        // At most two digits, because the `config` crate fills the list up to this index.
        let is_index = index == 1 && key[0] == "haproxy" && part.len() <= 2 && part.parse::<u8>().is_ok();
        match is_index {
            true => path.push_str(&format!("[{part}]")),
            false if index == 0 => path.push_str(part),
            false => path.push_str(&format!(".{part}")),
        }
    }
    path
}

/// The value of a variable: a list or a table as in TOML, or a plain text.
fn value(name: &str, text: &str) -> Result<Value, config::ConfigError> {
    let origin = Some(name.to_owned());
    if !text.starts_with(['[', '{']) {
        return Ok(Value::new(origin.as_ref(), text));
    }
    let mut table: BTreeMap<String, Value> = toml::from_str(&format!("value = {text}")).map_err(|error| {
        config::ConfigError::Message(format!("not a list or table as in TOML: {}", error.message()))
    })?;
    table.remove("value").ok_or_else(|| config::ConfigError::Message("no value".to_owned()))
}
