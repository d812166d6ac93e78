//! A farm of the configuration.

use std::collections::BTreeSet;

use crate::farm::error::FarmError;
use crate::farm::names::{FarmName, GroupName};
use crate::farm::select::selector::Selector;
use crate::farm::settings::bake::BakeSettings;
use crate::farm::settings::farm_settings::FarmSettings;
use crate::haproxy::ServerRef;

/// A farm of the configuration.
#[derive(Debug, Clone, PartialEq)]
pub struct Farm {
    /// The name of the farm.
    pub name: FarmName,
    /// The farm's table in the configuration.
    pub settings: FarmSettings,
}

impl Farm {
    /// Whether this server line belongs to a member of the farm.
    pub fn has(&self, server: &ServerRef) -> bool {
        self.settings.members.iter().any(|pattern| pattern.matches(server))
    }

    /// Checks the settings as far as possible without HAProxy.
    ///
    /// # Errors
    /// The first setting that contradicts another one or has no effect.
    pub fn check(&self) -> Result<(), FarmError> {
        let settings = &self.settings;
        if settings.members.is_empty() {
            return Err(self.error("members", "has no members".into()));
        }
        if !settings.groups.is_empty() && settings.halves.is_some() {
            return Err(self.error("halves", "has both groups and halves: give one of them".into()));
        }
        let is_line = |selector: &&Selector| selector.is_pattern() && selector.as_str().contains('/');
        if let Some(other) = settings.members.iter().find(|member| !is_line(member)) {
            return Err(self.error("members", format!("{:?} is not BACKEND/SERVER", other.as_str())));
        }
        let is_name = |selector: &&Selector| selector.is_pattern() && !selector.as_str().contains('/');
        if let Some(other) = settings.groups.values().flatten().find(|name| !is_name(name)) {
            let problem = format!("{:?} must be a server's name, without its backend", other.as_str());
            return Err(self.error("groups", problem));
        }
        if let Err((key, problem)) = settings.verify.check() {
            return Err(self.error(&format!("verify.{key}"), problem));
        }
        let halves = ["a", "b"].into_iter().filter(|_| settings.halves.is_some());
        let groups: BTreeSet<&str> = settings.groups.keys().map(GroupName::as_str).chain(halves).collect();
        if let Err((key, problem)) = settings.flip.check(&groups) {
            return Err(self.error(&format!("flip.{key}"), problem));
        }
        if let Some(Err(problem)) = settings.bake.as_ref().map(BakeSettings::check) {
            return Err(self.error("bake", problem));
        }
        if settings.drain.grace > settings.drain.deadline {
            return Err(self.error("drain", "the grace is longer than the deadline".into()));
        }
        Ok(())
    }

    pub(in crate::farm) fn error(&self, key: &str, problem: String) -> FarmError {
        FarmError { farm: self.name.clone(), key: key.to_owned(), problem }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn contradictory_settings_are_refused_with_their_key() {
        for (toml, key) in [
            ("members = []", "members"),
            ("members = [\"web01\"]", "members"),
            ("members = [\"host:10.0.0.7\"]", "members"),
            ("members = [\"a/b\"]\ngroups = { a = [\"host:10.0.0.7\"] }", "groups"),
            ("members = [\"a/b\"]\nhalves = \"auto\"\ngroups = { a = [\"b\"] }", "halves"),
            ("members = [\"a/b\"]\n[drain]\ngrace = \"10m\"", "drain"),
            ("members = [\"a/b\"]\n[verify]\nhttp = { path = \"status\" }", "verify.http.path"),
        ] {
            assert_eq!(
                Farm { name: "web".parse().unwrap(), settings: toml::from_str(toml).unwrap() }.check().unwrap_err().key,
                key,
                "{toml}"
            );
        }
    }
}
