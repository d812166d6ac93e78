//! Reads the running version, or the time of its build, from an answer.

use http::HeaderMap;
use serde_json::Value;

use crate::farm::{BuiltAt, BuiltSource, JsonPointer, VersionSource};
use crate::haproxy::controls_terminal;

/// Reads the version, or the time of the build, from an answer. An error describes the answer.
pub(super) fn read(source: &VersionSource, headers: &HeaderMap, body: &[u8]) -> Result<String, String> {
    let text = match source {
        VersionSource::Header(name) => header(name, headers, "should have the version"),
        VersionSource::Json(pointer) => json(pointer, body),
        VersionSource::Regex(pattern) => {
            let text = String::from_utf8_lossy(body);
            let found = pattern.find(&text).map(str::to_owned);
            found.ok_or_else(|| format!("with a body in which {:?} finds nothing: {}", pattern.as_str(), excerpt(body)))
        }
        VersionSource::Built(BuiltSource::Header(name)) => header(name, headers, "should have the time of the build"),
        VersionSource::Built(BuiltSource::Json(pointer)) => json(pointer, body),
    }?;
    let text = text.trim();
    if text.is_empty() {
        return Err("with an empty version".to_owned());
    }
    // The version is stored and shown with its server, so its size is limited and it has one line.
    if text.len() > LONGEST || text.chars().any(controls_terminal) {
        return Err(format!(
            "with the version {}, which is not one line of {LONGEST} characters at most",
            excerpt(text.as_bytes())
        ));
    }
    if matches!(source, VersionSource::Built(_)) && BuiltAt::read(text).is_none() {
        return Err(format!(
            "with the build time {}, which is neither RFC 3339, nor a date of HTTP, nor seconds since 1970",
            excerpt(text.as_bytes())
        ));
    }
    Ok(text.to_owned())
}

fn header(name: &str, headers: &HeaderMap, purpose: &str) -> Result<String, String> {
    let value = headers.get(name).and_then(|value| value.to_str().ok());
    value.map(str::to_owned).ok_or_else(|| format!("without the header {name} that {purpose}"))
}

fn json(pointer: &JsonPointer, body: &[u8]) -> Result<String, String> {
    let pointer = pointer.as_str();
    let document: Value = serde_json::from_slice(body)
        .map_err(|_| format!("with a body that is not JSON, so {pointer:?} is missing: {}", excerpt(body)))?;
    match document.pointer(pointer) {
        Some(Value::String(text)) => Ok(text.clone()),
        Some(Value::Number(number)) => Ok(number.to_string()),
        Some(_) => Err(format!("with neither text nor number at {pointer:?}: {}", excerpt(body))),
        None => Err(format!("with nothing at {pointer:?}: {}", excerpt(body))),
    }
}

/// The beginning of an untrusted text, quoted for a log line.
fn excerpt(bytes: &[u8]) -> String {
    let text = String::from_utf8_lossy(bytes.get(..EXCERPT * 4).unwrap_or(bytes)).into_owned();
    match text.char_indices().nth(EXCERPT) {
        Some((end, _)) => format!("{:?}…", text.get(..end).unwrap_or_default()),
        None => format!("{text:?}"),
    }
}

/// The greatest length of a version, as for the version of a deploy.
const LONGEST: usize = 200;

/// The length of an excerpt in characters: enough to recognise the answer.
const EXCERPT: usize = 80;

#[cfg(test)]
mod tests {
    use super::*;

    fn ask(source: &str, body: &str) -> Result<String, String> {
        let mut headers = HeaderMap::new();
        headers.insert("x-version", "v2 ".parse().unwrap());
        headers.insert("x-built", "Sat, 21 Nov 2026 07:30:00 GMT".parse().unwrap());
        read(&serde_json::from_str(source).unwrap(), &headers, body.as_bytes())
    }

    #[test]
    fn a_version_is_read_from_each_source() {
        let body = r#"{"app": {"version": "v2", "build": 1712, "a/b": "slash"}, "built": 1795246200}"#;
        for (source, version) in [
            (r#"{"header": "x-version"}"#, "v2"),
            (r#"{"json": "/app/version"}"#, "v2"),
            (r#"{"json": "/app/build"}"#, "1712"),
            (r#"{"json": "/app/a~1b"}"#, "slash"),
            (r#"{"regex": "\"build\": ([0-9]+)"}"#, "1712"),
            (r#"{"built": {"header": "x-built"}}"#, "Sat, 21 Nov 2026 07:30:00 GMT"),
            (r#"{"built": {"json": "/built"}}"#, "1795246200"),
        ] {
            assert_eq!(ask(source, body).as_deref(), Ok(version), "{source}");
        }
    }

    #[test]
    fn an_error_shows_the_answer() {
        let long = format!("<html>{}", "ä".repeat(1000));
        for (source, body, says) in [
            (r#"{"header": "x-other"}"#, "", "without the header x-other"),
            (r#"{"json": "/v"}"#, "<html>\nno", r#"not JSON, so "/v" is missing: "<html>\nno""#),
            (r#"{"json": "/v"}"#, &*long, "ä\"…"),
            (r#"{"json": "/v"}"#, r#"{"w": 1}"#, r#"nothing at "/v": "{\"w\": 1}""#),
            (r#"{"json": "/v"}"#, r#"{"v": [1]}"#, "neither text nor number"),
            (r#"{"json": "/v"}"#, r#"{"v": " "}"#, "an empty version"),
            (
                r#"{"json": "/v"}"#,
                &*format!(r#"{{"v": "{}"}}"#, "9".repeat(3_000_000)),
                "99\"…, which is not one line of 200",
            ),
            (r#"{"json": "/v"}"#, r#"{"v": "v2\n\u001b[2J"}"#, r#"the version "v2\n\u{1b}[2J", which is not one line"#),
            (r#"{"regex": "build ([0-9]+)"}"#, "no such", r#"in which "build ([0-9]+)" finds nothing: "no such""#),
            (r#"{"built": {"json": "/built"}}"#, r#"{"built": "today"}"#, r#"the build time "today""#),
            (r#"{"built": {"header": "x-version"}}"#, "", r#"the build time "v2""#),
        ] {
            let why = ask(source, body).unwrap_err();
            assert!(why.contains(says) && why.len() < 300, "{source} gave {why}");
        }
    }
}
