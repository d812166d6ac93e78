//! Where a server's answer has the running version, or the time of its build.

use regex::Regex;
use serde::{Deserialize, Serialize};

/// Where an answer has the running version.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase", try_from = "SourceTable")]
pub enum VersionSource {
    /// In this header.
    Header(String),
    /// At this place of the JSON body.
    Json(JsonPointer),
    /// In the part of the body that this expression matches.
    Regex(Pattern),
    /// The answer has no version, but the time of the build.
    Built(BuiltSource),
}

/// Where an answer has the time of the build.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase", try_from = "BuiltTable")]
pub enum BuiltSource {
    /// In this header.
    Header(String),
    /// At this place of the JSON body.
    Json(JsonPointer),
}

impl VersionSource {
    /// Whether the source has the name of the version, which teeter can compare with the version of a deploy.
    pub fn names(&self) -> bool {
        !matches!(self, Self::Built(_))
    }

    /// The name of the header; `None` for a source in the body.
    pub(in crate::farm) fn header(&self) -> Option<&str> {
        match self {
            Self::Header(name) | Self::Built(BuiltSource::Header(name)) => Some(name),
            _ => None,
        }
    }
}

/// A source as written in the configuration, with one key of several. The error of a table is clearer than the error of
/// an enum.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct SourceTable {
    header: Option<String>,
    json: Option<JsonPointer>,
    regex: Option<Pattern>,
    built: Option<BuiltSource>,
}

impl TryFrom<SourceTable> for VersionSource {
    type Error = &'static str;

    fn try_from(table: SourceTable) -> Result<Self, Self::Error> {
        match table {
            SourceTable { header: Some(header), json: None, regex: None, built: None } => Ok(Self::Header(header)),
            SourceTable { header: None, json: Some(json), regex: None, built: None } => Ok(Self::Json(json)),
            SourceTable { header: None, json: None, regex: Some(regex), built: None } => Ok(Self::Regex(regex)),
            SourceTable { header: None, json: None, regex: None, built: Some(built) } => Ok(Self::Built(built)),
            _ => Err("a version is read from one place: give exactly one of header, json, regex and built"),
        }
    }
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct BuiltTable {
    header: Option<String>,
    json: Option<JsonPointer>,
}

impl TryFrom<BuiltTable> for BuiltSource {
    type Error = &'static str;

    fn try_from(table: BuiltTable) -> Result<Self, Self::Error> {
        match table {
            BuiltTable { header: Some(header), json: None } => Ok(Self::Header(header)),
            BuiltTable { header: None, json: Some(json) } => Ok(Self::Json(json)),
            _ => Err("the time of a build is read from one place: give exactly one of header and json"),
        }
    }
}

/// A place in a JSON document, as in RFC 6901.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct JsonPointer(String);

impl JsonPointer {
    /// The text of the pointer.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl TryFrom<String> for JsonPointer {
    type Error = String;

    fn try_from(text: String) -> Result<Self, String> {
        let rooted = text.is_empty() || text.starts_with('/');
        let escaped = text.split('~').skip(1).all(|rest| rest.starts_with(['0', '1']));
        match (rooted, escaped) {
            (true, true) => Ok(Self(text)),
            (false, _) => {
                Err(format!("{text:?} is not a JSON pointer: it begins with a slash, as in \"/app/version\""))
            }
            (_, false) => Err(format!("{text:?} is not a JSON pointer: a tilde in a name is written ~0, a slash ~1")),
        }
    }
}

impl From<JsonPointer> for String {
    fn from(pointer: JsonPointer) -> String {
        pointer.0
    }
}

/// A regular expression, which finds the text of its first group, or its whole match where it has no group.
#[derive(Debug, Clone, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct Pattern(Regex);

impl Pattern {
    /// The text of the expression.
    pub fn as_str(&self) -> &str {
        self.0.as_str()
    }

    /// The first text that the expression finds.
    pub fn find<'a>(&self, text: &'a str) -> Option<&'a str> {
        let group = usize::from(self.0.captures_len() > 1);
        self.0.captures(text)?.get(group).map(|found| found.as_str())
    }
}

impl PartialEq for Pattern {
    fn eq(&self, other: &Self) -> bool {
        self.as_str() == other.as_str()
    }
}

impl Eq for Pattern {}

impl TryFrom<String> for Pattern {
    type Error = String;

    fn try_from(text: String) -> Result<Self, String> {
        // The error has several lines that mark the place; the last line has the reason.
        let short = |error: regex::Error| error.to_string().lines().last().unwrap_or_default().trim().to_owned();
        let error = |error| format!("{text:?} is not a regular expression: {}", short(error));
        Regex::new(&text).map(Self).map_err(error)
    }
}

impl From<Pattern> for String {
    fn from(pattern: Pattern) -> String {
        pattern.as_str().to_owned()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_source_survives_the_store() {
        for text in [
            r#"{"header":"x-version"}"#,
            r#"{"json":"/app/version"}"#,
            r#"{"regex":"build ([0-9.]+)"}"#,
            r#"{"built":{"header":"x-built"}}"#,
            r#"{"built":{"json":"/built"}}"#,
        ] {
            let source: VersionSource = serde_json::from_str(text).unwrap();
            assert_eq!(serde_json::to_string(&source).unwrap(), text);
        }
    }

    #[test]
    fn a_wrong_source_is_refused_with_its_reason() {
        for (text, says) in [
            (r#"{}"#, "exactly one of header, json, regex and built"),
            (r#"{"header":"x","json":"/v"}"#, "exactly one of header, json, regex and built"),
            (r#"{"built":{"header":"x","json":"/v"}}"#, "exactly one of header and json"),
            (r#"{"built":{"regex":"x"}}"#, "unknown field `regex`"),
            (r#"{"json":"version"}"#, "begins with a slash"),
            (r#"{"json":"/a~2b"}"#, "a tilde"),
            (r#"{"json":"/a~"}"#, "a tilde"),
            (r#"{"regex":"build (["}"#, "unclosed character class"),
        ] {
            let error = serde_json::from_str::<VersionSource>(text).unwrap_err().to_string();
            assert!(error.contains(says), "{text} gave {error}");
        }
    }

    #[test]
    fn a_pattern_finds_its_first_group_or_its_whole_match() {
        let find = |pattern: &str, text| Pattern::try_from(pattern.to_owned()).unwrap().find(text).map(str::to_owned);
        assert_eq!(find("build ([0-9.]+)", "shop build 1.2.3 of today").as_deref(), Some("1.2.3"));
        assert_eq!(find("v[0-9]+", "web01 v12").as_deref(), Some("v12"));
        assert_eq!(find("v[0-9]+", "nothing"), None);
        // A group that took no part in the match gives nothing.
        assert_eq!(find("v([0-9]+)?", "v"), None);
    }
}
