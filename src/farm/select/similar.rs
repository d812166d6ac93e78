//! The name that an operator may have meant.

use crate::farm::natural::natural;

/// The known name that is most similar to `name`; `None` if no known name is similar. The command line's parser
/// compares its options in the same way.
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

/// The similarity of two names, from 0 to 1.
fn likeness(name: &str, candidate: &str) -> f64 {
    let likeness = strsim::jaro_winkler(name, candidate);
    // One letter is a large part of a short name.
    if name.len() >= SHORT && strsim::osa_distance(name, candidate) <= 1 { likeness.max(ONE_LETTER) } else { likeness }
}

/// The length from which names that differ in one letter are similar.
const SHORT: usize = 3;

/// The least similarity of names that differ in one letter, or in the order of two letters.
const ONE_LETTER: f64 = 0.9;

/// The similarity above which a name is suggested: one letter is wrong, missing or superfluous.
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
