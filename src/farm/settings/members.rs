//! Which lines are a farm's, and to which member each belongs: as patterns, or member by member.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

use crate::farm::layout::Farm;
use crate::farm::names::{Entry, FarmName, MemberName};
use crate::farm::select::selector::Selector;
use crate::haproxy::ServerRef;

/// `members` of a farm: a list of patterns of `backend/server`, where each server name is a member; or a table, where each
/// key is a member and has the patterns of its lines, whatever they are called.
#[derive(Debug, Clone, PartialEq, Deserialize)]
#[serde(try_from = "Text")]
pub struct Members(Vec<(Option<MemberName>, Selector)>);

#[derive(Deserialize)]
#[serde(untagged)]
enum Text {
    List(Vec<Selector>),
    Table(BTreeMap<MemberName, Vec<Selector>>),
}

impl TryFrom<Text> for Members {
    type Error = String;

    fn try_from(text: Text) -> Result<Self, String> {
        Ok(Self(match text {
            Text::List(list) => list.into_iter().map(|pattern| (None, pattern)).collect(),
            Text::Table(table) => {
                if let Some((name, _)) = table.iter().find(|(_, lines)| lines.is_empty()) {
                    return Err(format!("member {name} has no lines"));
                }
                let lines =
                    |(name, of): (MemberName, Vec<Selector>)| of.into_iter().map(move |it| (Some(name.clone()), it));
                table.into_iter().flat_map(lines).collect()
            }
        }))
    }
}

impl Members {
    /// The patterns, in their order.
    pub fn iter(&self) -> impl Iterator<Item = &Selector> {
        self.0.iter().map(|(_, pattern)| pattern)
    }

    /// Whether there is none.
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// Whether it says for any line which member it belongs to.
    fn is_table(&self) -> bool {
        self.0.iter().any(|(name, _)| name.is_some())
    }

    /// The member that a line belongs to.
    pub fn of(&self, server: &ServerRef) -> Option<MemberName> {
        let (name, _) = self.0.iter().find(|(_, pattern)| pattern.matches(server))?;
        Some(name.clone().unwrap_or_else(|| server.server.clone()))
    }

    /// Two members of different names that one line belongs to.
    pub fn in_two(&self, server: &ServerRef) -> Option<(&MemberName, &MemberName)> {
        let mut named =
            self.0.iter().filter(|(_, pattern)| pattern.matches(server)).filter_map(|(name, _)| name.as_ref());
        let first = named.next()?;
        Some((first, named.find(|name| *name != first)?))
    }
}

/// The members of those lines that have another name than their member: `ws/web1-ws` of web1.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(transparent)]
pub struct LineNames(BTreeMap<ServerRef, MemberName>);

impl LineNames {
    /// As the tables of farms give them.
    pub fn of<'a>(lines: impl IntoIterator<Item = &'a ServerRef>, farms: &BTreeMap<FarmName, Farm>) -> Self {
        let tables: Vec<&Members> =
            farms.values().map(|farm| &farm.settings.members).filter(|it| it.is_table()).collect();
        if tables.is_empty() {
            return Self::default();
        }
        let named = lines.into_iter().filter_map(|line| {
            let member = tables.iter().find_map(|members| members.of(line))?;
            (member != line.server).then(|| (line.clone(), member))
        });
        Self(named.collect())
    }

    /// The member of a line that has another name.
    pub fn other(&self, line: &ServerRef) -> Option<&MemberName> {
        self.0.get(line)
    }

    /// The same with what is known of more lines.
    #[must_use]
    pub fn and(mut self, more: Self) -> Self {
        self.0.extend(more.0);
        self
    }

    /// Whether every line has the name of its member.
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// The member of a line.
    pub fn member<'a>(&'a self, line: &'a Entry) -> &'a MemberName {
        self.of_line(&line.server)
    }

    /// The member of a line, in whichever HAProxy.
    pub fn of_line<'a>(&'a self, line: &'a ServerRef) -> &'a MemberName {
        self.other(line).unwrap_or(&line.server)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[derive(Deserialize)]
    struct Has {
        members: Members,
    }

    fn members(toml: &str) -> Members {
        toml::from_str::<Has>(toml).unwrap().members
    }

    #[test]
    fn a_member_has_lines_of_its_name_or_those_that_are_named() {
        let member = |of: &Members, line: &str| of.of(&line.parse().unwrap()).map(|name| name.to_string());
        let list = members("members = [\"app/web*\"]");
        assert_eq!((member(&list, "app/web1").as_deref(), member(&list, "ws/web1")), (Some("web1"), None));
        let table = members("members = { web1 = [\"app/web1\", \"ws/web1-*\"], web2 = [\"app/web2\"] }");
        for (line, name) in [("app/web1", "web1"), ("ws/web1-ws", "web1"), ("app/web2", "web2")] {
            assert_eq!(member(&table, line).as_deref(), Some(name), "{line}");
        }
        assert_eq!(table.in_two(&"app/web1".parse().unwrap()), None);
        let empty = toml::from_str::<Has>("members = { web1 = [] }");
        assert!(empty.is_err_and(|error| error.to_string().contains("member web1 has no lines")));
        let both = members("members = { web1 = [\"app/*\"], web2 = [\"app/web2\"] }");
        assert!(both.in_two(&"app/web2".parse().unwrap()).is_some());
    }
}
