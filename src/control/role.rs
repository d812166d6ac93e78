//! Roles, which the configuration grants to users and groups.

use std::fmt;
use std::str::FromStr;

use serde::de::Error as _;
use serde::{Deserialize, Deserializer};

use crate::haproxy::controls_terminal;

/// A role: the requests that a user may send. Each role includes the roles before it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Role {
    /// May read.
    Viewer,
    /// May take servers out by hand and bring them back.
    Operator,
    /// May deploy and switch the traffic.
    Deployer,
    /// May do everything, including overriding guards and ending other users' holds.
    Admin,
}

/// `[control.roles]`: the users and groups that each role is granted to.
#[derive(Debug, Clone, Default, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct Roles {
    /// Users and groups that may read.
    pub viewer: Vec<Grantee>,
    /// Users and groups that may also take servers out.
    pub operator: Vec<Grantee>,
    /// Users and groups that may also deploy.
    pub deployer: Vec<Grantee>,
    /// Users and groups that may do everything.
    pub admin: Vec<Grantee>,
}

/// A user or group that a role is granted to: `user:NAME` or `group:NAME`, or either with a number.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Grantee {
    /// One user.
    User(Id),
    /// Every user who is a member of the group when the request arrives, whatever groups the process has.
    Group(Id),
}

/// A user or group, by name or by number.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Id {
    /// The name of the user or group.
    Name(String),
    /// The number of the user or group.
    Number(u32),
}

impl Roles {
    /// The highest role of a user with these groups, each with its number and name.
    pub(super) fn highest(&self, uid: u32, user: &str, groups: &[(u32, String)]) -> Option<Role> {
        let is_granted = |grantee: &Grantee| match grantee {
            Grantee::User(id) => id.matches(uid, user),
            Grantee::Group(id) => groups.iter().any(|(number, name)| id.matches(*number, name)),
        };
        let granted = self.all().into_iter().filter(|(_, to)| to.iter().any(is_granted));
        granted.map(|(role, _)| role).max()
    }

    /// Grants to users and groups that this machine does not know, for example because of a typing error.
    pub fn unknown(&self) -> impl Iterator<Item = (Role, &Grantee)> {
        let grants = self.all().into_iter().flat_map(|(role, to)| to.iter().map(move |grantee| (role, grantee)));
        grants.filter(|(_, grantee)| match grantee {
            Grantee::User(Id::Name(name)) => uzers::get_user_by_name(name).is_none(),
            Grantee::Group(Id::Name(name)) => uzers::get_group_by_name(name).is_none(),
            Grantee::User(Id::Number(_)) | Grantee::Group(Id::Number(_)) => false,
        })
    }

    fn all(&self) -> [(Role, &[Grantee]); 4] {
        [
            (Role::Viewer, &self.viewer),
            (Role::Operator, &self.operator),
            (Role::Deployer, &self.deployer),
            (Role::Admin, &self.admin),
        ]
    }
}

impl Id {
    fn matches(&self, number: u32, name: &str) -> bool {
        match self {
            Self::Name(granted) => granted == name,
            Self::Number(granted) => *granted == number,
        }
    }
}

impl fmt::Display for Role {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(match self {
            Self::Viewer => "viewer",
            Self::Operator => "operator",
            Self::Deployer => "deployer",
            Self::Admin => "admin",
        })
    }
}

impl fmt::Display for Grantee {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let (kind, id) = match self {
            Self::User(id) => ("user", id),
            Self::Group(id) => ("group", id),
        };
        match id {
            Id::Name(name) => write!(f, "{kind}:{name}"),
            Id::Number(number) => write!(f, "{kind}:{number}"),
        }
    }
}

impl FromStr for Grantee {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let malformed = || format!("{text:?} is neither user:NAME nor group:NAME");
        let (kind, id) = text.split_once(':').ok_or_else(malformed)?;
        // No tool creates a user name that is a number or contains blanks or a colon.
        let id = match id.parse() {
            Ok(number) => Id::Number(number),
            Err(_) if id.is_empty() || id.contains(|c: char| c == ':' || c.is_whitespace() || controls_terminal(c)) => {
                return Err(malformed());
            }
            Err(_) => Id::Name(id.to_owned()),
        };
        match kind {
            "user" => Ok(Self::User(id)),
            "group" => Ok(Self::Group(id)),
            _ => Err(malformed()),
        }
    }
}

impl<'de> Deserialize<'de> for Grantee {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        String::deserialize(deserializer)?.parse().map_err(D::Error::custom)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn roles(text: &str) -> Roles {
        toml::from_str(text).unwrap()
    }

    #[test]
    fn the_highest_role_counts_by_name_number_and_group() {
        let roles = roles(
            "viewer = ['user:grafana', 'group:staff']\noperator = ['group:50']\ndeployer = ['user:7']\nadmin = \
             ['user:ann']",
        );
        let staff = [(50, "staff".to_owned())];
        for (uid, user, groups, role) in [
            (5, "grafana", &[][..], Some(Role::Viewer)),
            (5, "bob", &[], None),
            (5, "bob", &staff, Some(Role::Operator)),
            (7, "7", &[], Some(Role::Deployer)),
            (5, "ann", &staff, Some(Role::Admin)),
            // A name is not a number, and a user is not a group.
            (5, "50", &[], None),
            (5, "staff", &[], None),
        ] {
            assert_eq!(roles.highest(uid, user, groups), role, "{user} {groups:?}");
        }
    }

    #[test]
    fn malformed_grantees_are_refused() {
        for text in ["grafana", "user:", "role:ann", "user:a b", "user:a:b", ":ann", "user:a\n", ""] {
            assert!(text.parse::<Grantee>().is_err(), "{text:?}");
        }
        assert_eq!("group:27".parse::<Grantee>().unwrap().to_string(), "group:27");
        assert!(toml::from_str::<Roles>("superuser = []").is_err());
    }

    #[test]
    fn unknown_users_and_groups_are_listed() {
        let roles = roles("viewer = ['user:root', 'user:no-such-user', 'user:4000000000']\nadmin = ['group:no-such']");
        let unknown: Vec<String> = roles.unknown().map(|(role, to)| format!("{role} {to}")).collect();
        assert_eq!(unknown, ["viewer user:no-such-user", "admin group:no-such"]);
    }
}
