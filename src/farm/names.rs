//! Names that teeter's users give, and the identities that teeter gives.

use std::fmt;
use std::str::FromStr;
use std::sync::Arc;

use serde::{Deserialize, Serialize};
use thiserror::Error;

use crate::haproxy::{ServerName, ServerRef};

/// A text that cannot be a name in teeter's configuration.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
#[error("{0:?} is not a name: use 1 to 64 letters, digits, - and _")]
pub struct LabelError(String);

macro_rules! label {
    ($(#[$doc:meta])* $type:ident) => {
        $(#[$doc])*
        #[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
        #[serde(try_from = "String", into = "String")]
        pub struct $type(Arc<str>);

        impl $type {
            /// The name as text.
            pub fn as_str(&self) -> &str {
                &self.0
            }
        }

        impl FromStr for $type {
            type Err = LabelError;

            fn from_str(text: &str) -> Result<Self, LabelError> {
                let allowed = |byte: u8| byte.is_ascii_alphanumeric() || matches!(byte, b'-' | b'_');
                if text.is_empty() || text.len() > 64 || !text.bytes().all(allowed) {
                    return Err(LabelError(text.chars().take(40).collect()));
                }
                Ok(Self(text.into()))
            }
        }

        impl TryFrom<String> for $type {
            type Error = LabelError;

            fn try_from(text: String) -> Result<Self, LabelError> {
                text.parse()
            }
        }

        impl From<$type> for String {
            fn from(name: $type) -> String {
                name.0.as_ref().to_owned()
            }
        }

        impl fmt::Display for $type {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.pad(&self.0)
            }
        }

        impl fmt::Debug for $type {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                fmt::Debug::fmt(&self.0, f)
            }
        }
    };
}

label!(
    /// The name of one HAProxy.
    InstanceName
);
label!(
    /// The name of a farm.
    FarmName
);
label!(
    /// The name of a group of a farm.
    GroupName
);

/// One application server. Its entries all carry its name.
pub type MemberName = ServerName;

/// One `backend/server` line of one instance.
#[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct Entry {
    /// The HAProxy that it stands in.
    pub instance: InstanceName,
    /// Its line there.
    pub server: ServerRef,
}

impl Entry {
    /// The application server behind it.
    pub fn member(&self) -> &MemberName {
        &self.server.server
    }
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
        let (instance, server) = text.split_once(':').ok_or("an entry is INSTANCE:BACKEND/SERVER")?;
        Ok(Self {
            instance: instance.parse().map_err(|error: LabelError| error.to_string())?,
            server: server.parse().map_err(|error: crate::haproxy::NameError| error.to_string())?,
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
    /// The number of a hold, never used again.
    HoldId
);
identity!(
    /// The number of a run, never used again.
    RunId
);
