//! The selectors of a request, bounded in number and length.

use std::collections::BTreeSet;

use serde::{Deserialize, Serialize};

use crate::farm::Selector;

/// Selectors, each once. The bounds are checked before any selector is built: a glob is expensive to build, and more
/// expensive to compare with thousands of servers.
#[derive(Debug, Clone, Default, Serialize, Deserialize)]
#[serde(try_from = "Vec<String>", into = "Vec<String>")]
pub struct Selectors(Vec<Selector>);

impl Selectors {
    /// Reads the texts of selectors.
    ///
    /// # Errors
    /// There are more than one request may have, or one is malformed.
    pub fn read<'a>(texts: impl IntoIterator<Item = &'a String>) -> Result<Self, String> {
        let mut seen = BTreeSet::new();
        let texts: Vec<&String> = texts.into_iter().filter(|text| seen.insert(*text)).collect();
        let wide = || texts.iter().filter(|text| Selector::is_wide(text));
        let wide_characters = wide().map(|text| text.len()).sum::<usize>();
        if texts.len() > MOST_SELECTORS || wide().count() > MOST_WIDE || wide_characters > LONGEST_WIDE {
            return Err(format!(
                "more selectors than one request may have: {MOST_SELECTORS}, of which at most {MOST_WIDE} may be \
                 globs, farms or hosts, with {LONGEST_WIDE} characters together; give the other servers by name, or in \
                 another request"
            ));
        }
        let selectors =
            texts.into_iter().map(|text| text.parse().map_err(|error: crate::farm::SelectError| error.to_string()));
        selectors.collect::<Result<_, _>>().map(Self)
    }

    /// Each selector.
    pub fn into_vec(self) -> Vec<Selector> {
        self.0
    }

    /// Whether there are none.
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }
}

impl TryFrom<Vec<String>> for Selectors {
    type Error = String;

    fn try_from(texts: Vec<String>) -> Result<Self, String> {
        Self::read(&texts)
    }
}

impl From<Vec<Selector>> for Selectors {
    fn from(selectors: Vec<Selector>) -> Self {
        Self(selectors)
    }
}

impl From<Selectors> for Vec<String> {
    fn from(selectors: Selectors) -> Self {
        selectors.0.iter().map(ToString::to_string).collect()
    }
}

/// The most selectors in a request.
const MOST_SELECTORS: usize = 1000;
/// The most selectors in a request that are globs, farms or hosts.
const MOST_WIDE: usize = 50;
/// The most characters of those together.
const LONGEST_WIDE: usize = 4096;
