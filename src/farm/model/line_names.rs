//! The members of lines that have another name than their member.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

use crate::farm::names::{Entry, FarmName, MemberName};
use crate::farm::settings::farm::Farm;
use crate::farm::settings::members::Members;
use crate::haproxy::ServerRef;

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
