//! The sides of a farm that a route can lead to.

use std::fmt;
use std::str::FromStr;

use serde::{Deserialize, Serialize};

use crate::farm::names::GroupName;
use crate::haproxy::NameError;

/// A side of a farm: all members, or one group.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub enum Side {
    /// All members.
    All,
    /// The members of one group.
    Group(GroupName),
}

impl Side {
    /// `all`, or the name of the group.
    pub fn as_str(&self) -> &str {
        match self {
            Self::All => ALL,
            Self::Group(group) => group.as_str(),
        }
    }
}

impl FromStr for Side {
    type Err = NameError;

    fn from_str(text: &str) -> Result<Self, NameError> {
        if text == ALL { Ok(Self::All) } else { Ok(Self::Group(text.parse()?)) }
    }
}

impl TryFrom<String> for Side {
    type Error = NameError;

    fn try_from(text: String) -> Result<Self, NameError> {
        text.parse()
    }
}

impl From<Side> for String {
    fn from(side: Side) -> String {
        side.as_str().to_owned()
    }
}

impl fmt::Display for Side {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(self.as_str())
    }
}

/// The name of the side with all members. A farm with a route may have no group of this name.
const ALL: &str = "all";
