//! A name, or a shell glob over names.

use globset::{Glob, GlobMatcher};

/// A name or glob as an operator typed it.
#[derive(Debug, Clone)]
pub(in crate::farm) enum Pattern {
    /// A plain name. It is compared without a glob matcher, because a request may have thousands of names.
    Name(String),
    Glob(Box<GlobMatcher>),
}

impl Pattern {
    /// Parses a name or a glob.
    ///
    /// # Errors
    /// The text is neither a name nor a glob; the error has the reason.
    pub(in crate::farm) fn new(text: &str) -> Result<Self, String> {
        let allowed = |c: char| c.is_ascii_alphanumeric() || "_:.-*?[]!^{},".contains(c);
        if text.is_empty() || !text.chars().all(allowed) {
            return Err(USAGE.to_owned());
        }
        if !text.contains(['*', '?', '[', ']', '{', '}']) {
            return Ok(Self::Name(text.to_owned()));
        }
        let glob = Glob::new(text).map_err(|error| error.kind().to_string())?;
        Ok(Self::Glob(Box::new(glob.compile_matcher())))
    }

    pub(in crate::farm) fn is_match(&self, name: &str) -> bool {
        match self {
            Self::Name(text) => text == name,
            Self::Glob(glob) => glob.is_match(name),
        }
    }
}

/// The forms of a selector, for an error.
const USAGE: &str = "use BACKEND/SERVER or SERVER, with shell globs, farm:FARM, farm:FARM/GROUP or host:ADDRESS; \
    HAPROXY: before BACKEND/SERVER or SERVER selects lines of this HAProxy only";
