//! Names that may stand in a command. Their types allow HAProxy's alphabets and refuse every other text.
//!
//! On HAProxy's CLI `;` and a newline begin another command, `<<` begins a payload, `\` escapes and a blank ends an
//! argument. No name contains one of them, so a written name can never produce a second command.

use std::fmt;
use std::str::FromStr;

use serde::{Deserialize, Serialize};
use thiserror::Error;

/// The error for a text that is not a valid name.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
#[error("{kind} name {shown:?} {problem}")]
pub struct NameError {
    kind: &'static str,
    shown: String,
    problem: &'static str,
}

impl NameError {
    pub(crate) fn new(kind: &'static str, text: &str, problem: &'static str) -> Self {
        let mut shown: String = text.chars().take(SHOWN).collect();
        if shown.len() < text.len() {
            shown.push('…');
        }
        Self { kind, shown, problem }
    }
}

/// Defines a type of names by its kind for errors, the allowed bytes, the greatest length in bytes, and the error for
/// another byte.
///
/// HAProxy limits a name only by the length of a configuration line, 2048 bytes. A command line must have room for two
/// names.
macro_rules! name_type {
    ($(#[$doc:meta])* $type:ident, $kind:literal, $allowed:expr, $longest:literal, $problem:literal) => {
        $(#[$doc])*
        #[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
        #[serde(try_from = "String", into = "String")]
        pub struct $type(std::sync::Arc<str>);

        impl $type {
            /// The name as text.
            pub fn as_str(&self) -> &str {
                &self.0
            }
        }

        impl FromStr for $type {
            type Err = NameError;

            fn from_str(text: &str) -> Result<Self, NameError> {
                if text.is_empty() {
                    return Err(NameError::new($kind, text, "is empty"));
                }
                if text.len() > $longest {
                    return Err(NameError::new($kind, text, concat!("is longer than ", $longest, " bytes")));
                }
                let allowed: fn(u8) -> bool = $allowed;
                if !text.bytes().all(allowed) {
                    return Err(NameError::new($kind, text, $problem));
                }
                Ok(Self(text.into()))
            }
        }

        impl TryFrom<String> for $type {
            type Error = NameError;

            fn try_from(text: String) -> Result<Self, NameError> {
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

pub(crate) use name_type;

name_type!(
    /// The name of a backend: letters, digits and `_ : . -` (configuration manual, "proxies").
    BackendName, "backend", in_config_name, 1024, "has a character other than letters, digits and _ : . -"
);
name_type!(
    /// The name of a server inside its backend, with the alphabet of a backend's name.
    ServerName, "server", in_config_name, 1024, "has a character other than letters, digits and _ : . -"
);
name_type!(
    /// A map by the path of its file, as HAProxy lists it.
    MapName, "map", in_word, 1024, "has a blank, quote, backslash, semicolon, < or a character that is not printable ASCII"
);
name_type!(
    /// A stick table: the name of its proxy, or the name of its peers section, a slash and its own name.
    TableName, "table", in_word, 2048, "has a blank, quote, backslash, semicolon, < or a character that is not printable ASCII"
);
name_type!(
    /// A key of a map.
    MapKey, "map key", in_word, 1024, "has a blank, quote, backslash, semicolon, < or a character that is not printable ASCII"
);
name_type!(
    /// A value in a map: the name of a backend or of a version.
    MapValue, "map value", in_word, 1024, "has a blank, quote, backslash, semicolon, < or a character that is not printable ASCII"
);

impl From<BackendName> for MapValue {
    fn from(name: BackendName) -> Self {
        Self(name.0)
    }
}

/// One server line (`backend/server`) of one HAProxy.
#[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct ServerRef {
    /// The backend of the server.
    pub backend: BackendName,
    /// The server's own name.
    pub server: ServerName,
}

impl FromStr for ServerRef {
    type Err = NameError;

    fn from_str(text: &str) -> Result<Self, NameError> {
        let Some((backend, server)) = text.split_once('/') else {
            return Err(NameError::new("backend/server", text, "has no slash"));
        };
        Ok(Self { backend: backend.parse()?, server: server.parse()? })
    }
}

impl TryFrom<String> for ServerRef {
    type Error = NameError;

    fn try_from(text: String) -> Result<Self, NameError> {
        text.parse()
    }
}

impl From<ServerRef> for String {
    fn from(name: ServerRef) -> String {
        name.to_string()
    }
}

impl fmt::Display for ServerRef {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}/{}", self.backend, self.server)
    }
}

impl fmt::Debug for ServerRef {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "\"{self}\"")
    }
}

fn in_config_name(byte: u8) -> bool {
    byte.is_ascii_alphanumeric() || matches!(byte, b'_' | b':' | b'.' | b'-')
}

/// Whether an argument of a command may have this byte, where no stricter alphabet applies.
fn in_word(byte: u8) -> bool {
    byte.is_ascii_graphic() && !matches!(byte, b';' | b'\\' | b'<' | b'"' | b'\'')
}

/// How many characters of a refused text an error repeats.
const SHOWN: usize = 40;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn configuration_names_pass() {
        for text in ["web01", "a", "App_1.eu-west:443", "0"] {
            assert_eq!(text.parse::<ServerName>().unwrap().as_str(), text);
        }
        assert_eq!("app/web01".parse::<ServerRef>().unwrap().to_string(), "app/web01");
    }

    #[test]
    fn names_that_could_carry_a_command_are_refused() {
        let long = "a".repeat(10_000);
        for text in ["", "web01;shutdown sessions", "a b", "a\nb", "a<<b", "a\\", "wéb", "a/b", "*", &long] {
            assert!(text.parse::<ServerName>().is_err(), "{text:?}");
        }
        for text in ["a b", "a;b", "a\\b", "<<", "a\tb", "\"a\""] {
            assert!(text.parse::<MapKey>().is_err(), "{text:?}");
        }
    }

    #[test]
    fn an_error_repeats_only_the_beginning() {
        let error = ";".repeat(10_000).parse::<ServerName>().unwrap_err();
        assert!(error.to_string().len() < 200);
    }
}
