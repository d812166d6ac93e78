//! Names from the configuration, and the numbers of holds and runs.

use std::fmt;
use std::str::FromStr;

use serde::{Deserialize, Serialize};

use crate::haproxy::{NameError, ServerName, ServerRef, name_type};

name_type!(
    /// The name of one HAProxy.
    InstanceName, "HAProxy", in_label, 64, "has a character other than letters, digits, - and _"
);
name_type!(
    /// The name of a farm.
    FarmName, "farm", in_label, 64, "has a character other than letters, digits, - and _"
);
name_type!(
    /// The name of a group of a farm.
    GroupName, "group", in_label, 64, "has a character other than letters, digits, - and _"
);

fn in_label(byte: u8) -> bool {
    byte.is_ascii_alphanumeric() || matches!(byte, b'-' | b'_')
}

/// The name of one application server. Its server lines have this name, unless the farm has a table of `members`: see
/// `Members`.
pub type MemberName = ServerName;

/// One server line (`backend/server`) of one HAProxy.
#[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct Entry {
    /// The HAProxy that has the line.
    pub instance: InstanceName,
    /// The backend and the server of the line.
    pub server: ServerRef,
}

impl fmt::Display for Entry {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}:{}", self.instance, self.server)
    }
}

impl fmt::Debug for Entry {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "\"{self}\"")
    }
}

impl TryFrom<String> for Entry {
    type Error = String;

    fn try_from(text: String) -> Result<Self, String> {
        let (instance, server) = text.split_once(':').ok_or("a server line is HAPROXY:BACKEND/SERVER")?;
        Ok(Self {
            instance: instance.parse().map_err(|error: NameError| error.to_string())?,
            server: server.parse().map_err(|error: NameError| error.to_string())?,
        })
    }
}

impl From<Entry> for String {
    fn from(entry: Entry) -> String {
        entry.to_string()
    }
}

macro_rules! identity {
    ($(#[$doc:meta])* $type:ident) => {
        $(#[$doc])*
        #[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
        #[serde(transparent)]
        pub struct $type(pub u64);

        impl fmt::Display for $type {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                fmt::Display::fmt(&self.0, f)
            }
        }
    };
}

identity!(
    /// The number of a hold. It is never used again.
    HoldId
);
identity!(
    /// The number of a run. It is never used again.
    RunId
);
