//! The server lines of a farm, and the member of each line: as a list of patterns, or as a table of members.

use std::collections::BTreeMap;

use serde::Deserialize;

use crate::farm::names::MemberName;
use crate::farm::select::selector::Selector;
use crate::haproxy::ServerRef;

/// `members` of a farm. A list has patterns of `backend/server`, and each server name is a member. In a table, each key
/// is a member, and its value has the patterns of the member's lines, with any server names.
#[derive(Debug, Clone, PartialEq, Deserialize)]
#[serde(try_from = "ListOrTable")]
pub struct Members(Vec<(Option<MemberName>, Selector)>);

#[derive(Deserialize)]
#[serde(untagged)]
enum ListOrTable {
    List(Vec<Selector>),
    Table(BTreeMap<MemberName, Vec<Selector>>),
}

impl TryFrom<ListOrTable> for Members {
    type Error = String;

    fn try_from(text: ListOrTable) -> Result<Self, String> {
        Ok(Self(match text {
            ListOrTable::List(list) => list.into_iter().map(|pattern| (None, pattern)).collect(),
            ListOrTable::Table(table) => {
                if let Some((name, _)) = table.iter().find(|(_, lines)| lines.is_empty()) {
                    return Err(format!("member {name} has no lines"));
                }
                let lines = |(name, patterns): (MemberName, Vec<Selector>)| {
                    patterns.into_iter().map(move |pattern| (Some(name.clone()), pattern))
                };
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

    /// Whether there are no patterns.
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// Whether `members` is a table, which names the member of each line.
    pub(in crate::farm) fn is_table(&self) -> bool {
        self.0.iter().any(|(name, _)| name.is_some())
    }

    /// The member that a line belongs to; `None` where the line does not belong to the farm.
    pub fn member_of(&self, server: &ServerRef) -> Option<MemberName> {
        let (name, _) = self.0.iter().find(|(_, pattern)| pattern.matches(server))?;
        Some(name.clone().unwrap_or_else(|| server.server.clone()))
    }

    /// Two members whose patterns match one line; `None` if there are no two.
    pub fn claimed_twice(&self, server: &ServerRef) -> Option<(&MemberName, &MemberName)> {
        let mut named =
            self.0.iter().filter(|(_, pattern)| pattern.matches(server)).filter_map(|(name, _)| name.as_ref());
        let first = named.next()?;
        Some((first, named.find(|name| *name != first)?))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[derive(Deserialize)]
    struct FarmTable {
        members: Members,
    }

    fn members(toml: &str) -> Members {
        toml::from_str::<FarmTable>(toml).unwrap().members
    }

    #[test]
    fn a_line_belongs_to_the_member_of_its_name_or_of_its_table() {
        let member =
            |members: &Members, line: &str| members.member_of(&line.parse().unwrap()).map(|name| name.to_string());
        let list = members("members = [\"app/web*\"]");
        assert_eq!((member(&list, "app/web1").as_deref(), member(&list, "ws/web1")), (Some("web1"), None));
        let table = members("members = { web1 = [\"app/web1\", \"ws/web1-*\"], web2 = [\"app/web2\"] }");
        for (line, name) in [("app/web1", "web1"), ("ws/web1-ws", "web1"), ("app/web2", "web2")] {
            assert_eq!(member(&table, line).as_deref(), Some(name), "{line}");
        }
        assert_eq!(table.claimed_twice(&"app/web1".parse().unwrap()), None);
        let empty = toml::from_str::<FarmTable>("members = { web1 = [] }");
        assert!(empty.is_err_and(|error| error.to_string().contains("member web1 has no lines")));
        let overlapping = members("members = { web1 = [\"app/*\"], web2 = [\"app/web2\"] }");
        assert!(overlapping.claimed_twice(&"app/web2".parse().unwrap()).is_some());
    }
}
