//! The members of lines whose server name differs from the member's name.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

use crate::farm::names::{Entry, FarmName, MemberName};
use crate::farm::settings::farm::Farm;
use crate::farm::settings::members::Members;
use crate::haproxy::ServerRef;

/// The members of lines whose server name differs from the member's name, such as `ws/web1-ws` of the member web1.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(transparent)]
pub struct LineNames(BTreeMap<ServerRef, MemberName>);

impl LineNames {
    /// The names from the `members` tables of farms.
    pub fn from_farms<'a>(lines: impl IntoIterator<Item = &'a ServerRef>, farms: &BTreeMap<FarmName, Farm>) -> Self {
        let tables: Vec<&Members> =
            farms.values().map(|farm| &farm.settings.members).filter(|members| members.is_table()).collect();
        if tables.is_empty() {
            return Self::default();
        }
        let named = lines.into_iter().filter_map(|line| {
            let member = tables.iter().find_map(|members| members.member_of(line))?;
            (member != line.server).then(|| (line.clone(), member))
        });
        Self(named.collect())
    }

    /// The member of a line whose server name differs from the member's name; `None` where the names agree.
    pub fn other(&self, line: &ServerRef) -> Option<&MemberName> {
        self.0.get(line)
    }

    /// All names of both. A name in `more` has priority.
    #[must_use]
    pub fn and(mut self, more: Self) -> Self {
        self.0.extend(more.0);
        self
    }

    /// Whether every server has the name of its member.
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// The member of a line.
    pub fn member<'a>(&'a self, line: &'a Entry) -> &'a MemberName {
        self.of_line(&line.server)
    }

    /// The member of a line, in any HAProxy.
    pub fn of_line<'a>(&'a self, line: &'a ServerRef) -> &'a MemberName {
        self.other(line).unwrap_or(&line.server)
    }
}
