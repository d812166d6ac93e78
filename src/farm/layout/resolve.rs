//! Finds the server lines that a selector names.

use std::collections::{BTreeMap, BTreeSet};

use crate::farm::layout::lines::{Line, Lines};
use crate::farm::names::{Entry, FarmName, GroupName, InstanceName, MemberName};
use crate::farm::seen::in_use::skipped_lines;
use crate::farm::seen::snapshot::Seen;
use crate::farm::select::error::SelectError;
use crate::farm::select::pattern::Pattern;
use crate::farm::select::selector::{Meaning, Selector, Within};
use crate::farm::select::similar::similar;
use crate::farm::settings::farm::Farm;
use crate::haproxy::BackendName;

impl Meaning {
    /// The server lines with this name, and those of a member with this name. Only globs and hosts are compared with
    /// every line.
    fn among<'a>(&self, lines: &Lines<'a>) -> Vec<Line<'a>> {
        match self {
            Self::Line(Pattern::Name(backend), Pattern::Name(server)) => {
                format!("{backend}/{server}").parse().map(|name| lines.of_name(&name)).unwrap_or_default()
            }
            Self::Member(Pattern::Name(name)) => {
                let member: Option<MemberName> = name.parse().ok();
                let members = member.and_then(|member| lines.by_member().get(&member));
                let all = lines.by_server().get(name.as_str()).into_iter().chain(members);
                all.flatten().copied().collect()
            }
            Self::Member(glob) => {
                let servers = lines.by_server().iter().filter(|(name, _)| glob.is_match(name));
                let members = lines.by_member().iter().filter(|(name, _)| glob.is_match(name.as_str()));
                servers.map(|(_, all)| all).chain(members.map(|(_, all)| all)).flatten().copied().collect()
            }
            _ => lines.all().filter(|line| self.picks(line.name, line.server)).collect(),
        }
    }
}

impl Selector {
    /// The HAProxys among `all` that the selector may mean: those that its part before the colon matches, unless a
    /// server has the whole text as its name.
    pub fn within(&self, all: &BTreeSet<InstanceName>, seen: &BTreeMap<InstanceName, &Seen>) -> BTreeSet<InstanceName> {
        let Some(within) = &self.within else { return all.clone() };
        let named: BTreeSet<_> = all.iter().filter(|name| within.haproxy.is_match(name.as_str())).cloned().collect();
        let is_name = || seen.values().flat_map(|seen| seen.servers.keys()).any(|name| self.meaning.matches(name));
        if named.is_empty() || is_name() { all.clone() } else { named }
    }

    /// The backends among `known` that may have servers of this selector; `None` where every backend may.
    pub fn backends<'a>(
        &self,
        farms: &BTreeMap<FarmName, Farm>,
        known: impl Iterator<Item = &'a BackendName>,
    ) -> Option<BTreeSet<BackendName>> {
        let backend_of = |meaning: &'_ Meaning| match meaning {
            Meaning::Line(backend, _) => Some(backend.clone()),
            Meaning::Member(_) | Meaning::Farm(..) | Meaning::Host(_) => None,
        };
        let globs: Vec<Pattern> = match &self.meaning {
            Meaning::Line(..) => self.readings().filter_map(backend_of).collect(),
            Meaning::Member(_) | Meaning::Host(_) => return None,
            Meaning::Farm(farm, _) => {
                let members = farms.get(farm).into_iter().flat_map(|farm| farm.settings.members.iter());
                members.filter_map(|member| backend_of(&member.meaning)).collect()
            }
        };
        Some(known.filter(|backend| globs.iter().any(|glob| glob.is_match(backend.as_str()))).cloned().collect())
    }

    /// Finds every server line that the selector names.
    ///
    /// # Errors
    /// No server line has this name, or the named farm does not fit HAProxy.
    pub fn resolve(
        &self,
        farms: &BTreeMap<FarmName, Farm>,
        seen: &BTreeMap<InstanceName, &Seen>,
    ) -> Result<BTreeSet<Entry>, SelectError> {
        self.find(&Lines::new(farms, seen))
    }

    /// Finds every server line that the selector names in an index, for a request with many selectors.
    ///
    /// # Errors
    /// As [`Selector::resolve`].
    pub fn find(&self, lines: &Lines<'_>) -> Result<BTreeSet<Entry>, SelectError> {
        let (farms, seen) = (lines.farms, lines.seen);
        let no_match = |why: Option<String>, hint: Option<String>| SelectError::NothingMatched {
            text: self.text.clone(),
            why,
            hint,
        };
        if let Meaning::Farm(farm, group) = &self.meaning {
            let known = || farms.keys().map(FarmName::as_str).collect::<Vec<_>>().join(", ");
            let farm = farms.get(farm).ok_or_else(|| match farms.len() {
                0 => no_match(Some("no farm is configured".into()), None),
                _ => {
                    let like = similar(farm.as_str(), farms.keys().map(FarmName::as_str));
                    let in_group = group.iter().map(|group| format!("/{group}")).collect::<String>();
                    let meant = like.map(|like| format!("did you mean farm:{like}{in_group}?"));
                    no_match(Some(format!("the farms are {}", known())), meant)
                }
            })?;
            let layout = farm.layout(seen)?;
            let Some(group) = group else { return Ok(layout.entries()) };
            return layout.group(group).ok_or_else(|| {
                let groups = layout.groups.keys().map(GroupName::as_str).collect::<Vec<_>>();
                let like = similar(group.as_str(), groups.iter().copied());
                let meant = like.map(|like| format!("did you mean farm:{}/{like}?", farm.name));
                no_match(Some(format!("the groups of {} are {}", farm.name, groups.join(", "))), meant)
            });
        }
        let found: BTreeSet<Entry> = self.meaning.among(lines).into_iter().map(Line::entry).collect();
        if !found.is_empty() {
            return Ok(found);
        }
        if let Some(Within { haproxy, meaning }) = &self.within {
            let named: BTreeSet<_> = seen.keys().filter(|name| haproxy.is_match(name.as_str())).collect();
            let found = meaning.among(lines).into_iter().filter(|line| named.contains(line.instance));
            let found: BTreeSet<Entry> = found.map(Line::entry).collect();
            if !found.is_empty() {
                return Ok(found);
            }
        }
        let skipped = skipped_lines(seen, |name, server| self.picks(name, server)).join("; ");
        Err(if skipped.is_empty() {
            match &self.meaning {
                Meaning::Host(_) => no_match(Some("no server of HAProxy has that address".to_owned()), None),
                _ => {
                    let meant = self.meant(lines).map(|meant| format!("did you mean {meant}?"));
                    no_match(None, Some(meant.unwrap_or_else(|| self.hint(farms, seen))))
                }
            }
        } else {
            no_match(Some(format!("all servers of this name accept no commands: {skipped}")), None)
        })
    }

    /// A selector with a name that exists and is similar to the name in this selector; `None` for globs.
    fn meant(&self, lines: &Lines<'_>) -> Option<String> {
        let haproxy = |(name, _): &(&str, &str)| lines.seen.keys().any(|known| known.as_str() == *name);
        let (within, name) = match self.text.split_once(':').filter(haproxy) {
            Some((haproxy, name)) => (format!("{haproxy}:"), name),
            // The mistake is the part before the colon: no HAProxy has this name.
            None if self.text.contains(':') => return None,
            None => (String::new(), self.text.as_str()),
        };
        if name.contains(['*', '?', '[', '{']) || matches!(self.meaning, Meaning::Host(_)) {
            return None;
        }
        let like = if name.contains('/') {
            let names: BTreeSet<String> = lines.all().map(|line| line.name.to_string()).collect();
            similar(name, names.iter().map(String::as_str)).map(str::to_owned)
        } else {
            let members = lines.by_member().keys().map(MemberName::as_str);
            similar(name, lines.by_server().keys().copied().chain(members)).map(str::to_owned)
        };
        like.map(|like| format!("{within}{like}"))
    }

    /// A hint for a selector that names no server.
    fn hint(&self, farms: &BTreeMap<FarmName, Farm>, seen: &BTreeMap<InstanceName, &Seen>) -> String {
        let is_backend = |name: &str| {
            let mut lines = seen.values().flat_map(|seen| seen.servers.keys());
            lines.any(|line| line.backend.as_str() == name)
        };
        let text = self.text.as_str();
        let within = || Some((text.split_once(':')?.1, self.within.as_ref()?));
        match &self.meaning {
            Meaning::Member(_) if is_backend(text) => {
                format!("{text} is a backend, and its servers are {text}/*")
            }
            Meaning::Member(_) if farms.keys().any(|farm| farm.as_str() == text) => {
                format!("{text} is a farm, and its servers are farm:{text}")
            }
            Meaning::Member(_) if seen.keys().any(|name| name.as_str() == text) => {
                format!("{text} is a HAProxy, and its servers are {text}:*")
            }
            _ => match within() {
                Some((rest, within)) if !seen.keys().any(|name| within.haproxy.is_match(name.as_str())) => {
                    let known = seen.keys().map(InstanceName::as_str).collect::<Vec<_>>().join(", ");
                    format!("the HAProxys are {known}, and {rest} alone means all of them")
                }
                Some((rest, _)) if is_backend(rest) => format!("{rest} is a backend, and its servers are {text}/*"),
                _ => "`teeter status` lists every server".to_owned(),
            },
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::farm::SeenServer;

    /// The `HAPROXY:BACKEND/SERVER` lines that a selector means among these.
    fn meant(text: &str, lines: &[&str]) -> Result<Vec<String>, String> {
        let mut seen: BTreeMap<InstanceName, Seen> = BTreeMap::new();
        for line in lines {
            let Entry { instance, server } = line.to_string().try_into().unwrap();
            seen.entry(instance).or_default().servers.insert(server, SeenServer::sample());
        }
        let seen = seen.iter().map(|(name, seen)| (name.clone(), seen)).collect();
        let found = text.parse::<Selector>().unwrap().resolve(&BTreeMap::new(), &seen);
        let found = found.map_err(|error| format!("{error}, hint: {}", error.hint().unwrap_or_default()))?;
        Ok(found.iter().map(ToString::to_string).collect())
    }

    #[test]
    fn a_line_can_be_named_with_its_haproxy() {
        let lines = ["lb1:app/w1", "lb1:api/w1", "lb2:app/w1", "lb3:app/w2"];
        for (text, found) in [
            ("lb1:app/w1", &["lb1:app/w1"][..]),
            ("lb1:w1", &["lb1:api/w1", "lb1:app/w1"]),
            ("*:app/w1", &["lb1:app/w1", "lb2:app/w1"]),
            ("lb[23]:app/*", &["lb2:app/w1", "lb3:app/w2"]),
            ("{lb1,lb3}:w*", &["lb1:api/w1", "lb1:app/w1", "lb3:app/w2"]),
            ("app/w1", &["lb1:app/w1", "lb2:app/w1"]),
        ] {
            assert_eq!(meant(text, &lines).unwrap(), found, "{text}");
        }
        // The reading as a whole name has priority.
        let lines = ["lb1:app/lb2:w1", "lb2:app/w1", "lb2:lb1:app/w1"];
        assert_eq!(meant("lb2:w1", &lines).unwrap(), ["lb1:app/lb2:w1"]);
        assert_eq!(meant("lb1:app/w1", &lines).unwrap(), ["lb2:lb1:app/w1"]);
        assert_eq!(meant("lb1:app/lb2:w1", &lines).unwrap(), ["lb1:app/lb2:w1"]);
    }

    #[test]
    fn a_mistyped_name_gets_the_name_that_was_meant() {
        let meant = |text: &str| {
            let server: Vec<Entry> = ["lb1:app/web01", "lb1:api/web01", "lb2:app/web02"]
                .map(|line| line.to_owned().try_into().unwrap())
                .into();
            let mut seen: BTreeMap<InstanceName, Seen> = BTreeMap::new();
            for Entry { instance, server } in server {
                seen.entry(instance).or_default().servers.insert(server, SeenServer::sample());
            }
            let seen = seen.iter().map(|(name, seen)| (name.clone(), seen)).collect();
            match text.parse::<Selector>().unwrap().resolve(&BTreeMap::new(), &seen) {
                Err(SelectError::NothingMatched { hint, .. }) => hint,
                other => panic!("{text}: {other:?}"),
            }
        };
        for (text, name) in [
            ("wbe02", Some("web02")),
            ("app/wbe01", Some("app/web01")),
            ("lb2:app/web2", Some("lb2:app/web02")),
            ("database", None),
            ("wbe*", None),
        ] {
            let hint = meant(text).unwrap_or_default();
            assert_eq!(
                hint.strip_prefix("did you mean ").and_then(|name| name.strip_suffix('?')),
                name,
                "{text}: {hint}"
            );
        }
    }

    #[test]
    fn a_selector_without_servers_gets_a_hint() {
        let lines = ["lb1:app/w1", "lb2:app/w1"];
        for (text, says) in [
            ("app", "app is a backend, and its servers are app/*"),
            ("lb2:app", "app is a backend, and its servers are lb2:app/*"),
            ("lb1", "lb1 is a HAProxy, and its servers are lb1:*"),
            ("lb9:app/w1", "the HAProxys are lb1, lb2"),
            ("lb1:app/database", "`teeter status` lists every server"),
            ("lb1:app/w9", "did you mean lb1:app/w1?"),
            ("database", "`teeter status` lists every server"),
        ] {
            let error = meant(text, &lines).unwrap_err();
            assert!(error.starts_with(&format!("nothing matches {text:?}")) && error.contains(says), "{error}");
        }
    }
}
