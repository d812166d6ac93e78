//! Queries in the path of a request.

use std::fmt::Write as _;

/// A path with an escaped query.
pub fn with_query<'a>(path: &str, pairs: impl IntoIterator<Item = (&'a str, String)>) -> String {
    let mut text = path.to_owned();
    for (index, (key, value)) in pairs.into_iter().enumerate() {
        text.push(if index == 0 { '?' } else { '&' });
        text.push_str(key);
        text.push('=');
        for byte in value.bytes() {
            if byte.is_ascii_alphanumeric() || b"-_.~".contains(&byte) {
                text.push(char::from(byte));
            } else {
                // Writing to a string cannot fail.
                let _ = write!(text, "%{byte:02X}");
            }
        }
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn selectors_are_escaped() {
        let pairs = [("sel", "farm:web/a".to_owned()), ("sel", "*/w[1-2]&x".to_owned())];
        assert_eq!(with_query("/v1/status", pairs), "/v1/status?sel=farm%3Aweb%2Fa&sel=%2A%2Fw%5B1-2%5D%26x");
        assert_eq!(with_query("/v1/status", []), "/v1/status");
    }
}
