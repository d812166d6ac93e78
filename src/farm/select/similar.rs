//! The name that an operator may have meant.

use crate::farm::natural::natural;

/// The known name that is most like `name`, if one is like it at all; the comparison is that of the command line.
pub fn similar<'a>(name: &str, known: impl IntoIterator<Item = &'a str>) -> Option<&'a str> {
    let (name, mut best) = (name.to_lowercase(), None);
    for candidate in known {
        let alike = likeness(&name, &candidate.to_lowercase());
        let is_better =
            |(most, first): (f64, &str)| alike > most || (alike == most && natural(candidate, first).is_lt());
        if alike > LIKE && best.is_none_or(is_better) {
            best = Some((alike, candidate));
        }
    }
    best.map(|(_, candidate)| candidate)
}

/// How alike two names are, from 0 to 1.
fn likeness(name: &str, candidate: &str) -> f64 {
    let likeness = strsim::jaro_winkler(name, candidate);
    // In a short name, one letter is much.
    if name.len() >= SHORT && strsim::osa_distance(name, candidate) <= 1 { likeness.max(ONE_LETTER) } else { likeness }
}

/// Shorter names are alike only if they are almost the same.
const SHORT: usize = 3;

/// How alike names are that differ in one letter, or in the order of two.
const ONE_LETTER: f64 = 0.9;

/// From here on, names are alike: a letter that is wrong, missing or too much.
const LIKE: f64 = 0.85;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_name_with_one_wrong_letter_is_recognised() {
        let known = ["app/web01", "app/web02", "api/web01", "farm:web", "shop"];
        for (name, meant) in [
            ("app/wbe01", Some("app/web01")),
            ("ap/web02", Some("app/web02")),
            ("APP/web1", Some("app/web01")),
            ("shpo", Some("shop")),
            ("sohp", Some("shop")),
            ("b", None),
            ("database", None),
            ("", None),
        ] {
            assert_eq!(similar(name, known), meant, "{name}");
        }
        assert_eq!(similar("web", ["web10", "web2"]), Some("web2"));
    }
}
