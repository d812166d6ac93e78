//! How teeter verifies a server over TLS.

use std::fmt;
use std::path::PathBuf;

use serde::de::value::MapAccessDeserializer;
use serde::de::{Error, MapAccess, Unexpected, Visitor};
use serde::{Deserialize, Deserializer, Serialize};

/// How teeter verifies a server over TLS.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct TlsTrust {
    /// The file with certificates of authorities. One of them must have signed the server's certificate.
    pub ca: Option<PathBuf>,
    /// The name that teeter requests and that the server's certificate must have.
    pub server_name: Option<String>,
    /// Whether teeter accepts any certificate.
    pub insecure: bool,
}

impl TlsTrust {
    pub(in crate::farm) fn check(&self) -> Result<(), &'static str> {
        let problem = match self {
            TlsTrust { ca: None, insecure: false, .. } => {
                "tls has no certificate authority: write tls = { ca = \"/PATH/OF/CA.pem\" }, or \
                 tls = { insecure = true } to accept any certificate"
            }
            TlsTrust { ca: Some(_), insecure: true, .. } => "insecure accepts any certificate: remove ca",
            TlsTrust { ca: Some(ca), .. } if !ca.is_absolute() => "ca is not an absolute path",
            TlsTrust { server_name: Some(name), .. } if !is_word(name) => "server_name is not a name",
            _ => return Ok(()),
        };
        Err(problem)
    }
}

/// Deserializes `true`, `false`, or a table with the details.
pub(in crate::farm) fn bool_or_table<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Option<TlsTrust>, D::Error> {
    struct BoolOrTable;

    impl<'de> Visitor<'de> for BoolOrTable {
        type Value = Option<TlsTrust>;

        fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
            f.write_str("true, false, or a table such as { ca = \"/PATH/OF/CA.pem\" }")
        }

        fn visit_bool<E: Error>(self, yes: bool) -> Result<Self::Value, E> {
            Ok(yes.then(TlsTrust::default))
        }

        /// A variable of the environment has only text.
        fn visit_str<E: Error>(self, text: &str) -> Result<Self::Value, E> {
            let yes: bool = text.parse().map_err(|_| E::invalid_type(Unexpected::Str(text), &self))?;
            self.visit_bool(yes)
        }

        fn visit_map<A: MapAccess<'de>>(self, map: A) -> Result<Self::Value, A::Error> {
            TlsTrust::deserialize(MapAccessDeserializer::new(map)).map(Some)
        }
    }

    deserializer.deserialize_any(BoolOrTable)
}

/// Whether a text can stand in a header or a certificate.
pub(in crate::farm) fn is_word(text: &str) -> bool {
    !text.is_empty() && text.bytes().all(|byte| byte.is_ascii_graphic())
}

#[cfg(test)]
mod tests {
    use crate::farm::VerifySettings;

    #[test]
    fn tls_settings_without_an_authority_are_refused_with_a_hint() {
        let check = |tls: &str| {
            let settings: VerifySettings = toml::from_str(&format!("http = {{ path = \"/\", tls = {tls} }}")).unwrap();
            settings.check().map_err(|(key, problem)| format!("{key}: {problem}"))
        };
        for (tls, says) in [
            ("true", "insecure = true"),
            ("{}", "insecure = true"),
            ("{ server_name = \"shop\" }", "insecure = true"),
            ("{ ca = \"ca.pem\" }", "not an absolute path"),
            ("{ ca = \"/ca.pem\", insecure = true }", "remove ca"),
            ("{ insecure = true, server_name = \"\" }", "not a name"),
        ] {
            let error = check(tls).unwrap_err();
            assert!(error.starts_with("http.tls: ") && error.contains(says), "{tls} gave {error}");
        }
        for tls in ["false", "{ insecure = true }", "{ ca = \"/ca.pem\" }"] {
            assert_eq!(check(tls), Ok(()));
        }
    }
}
