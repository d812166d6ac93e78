//! The natural order of names: `web2` before `web10`.
//!
//! No maintained crate has this order: names that differ only in leading zeros must differ, or one would replace the
//! other in a set.

use std::cmp::Ordering;

/// Compares names as people count: digits in a row as a number, everything else byte by byte. Names that are equal in
/// this order, such as `web1` and `web01`, are compared byte by byte.
pub fn natural(first: &str, second: &str) -> Ordering {
    let (mut left, mut right) = (first.as_bytes(), second.as_bytes());
    while let ([a, ..], [b, ..]) = (left, right) {
        let order = if a.is_ascii_digit() && b.is_ascii_digit() {
            let (number_of_left, number_of_right);
            (number_of_left, left) = split_number(left);
            (number_of_right, right) = split_number(right);
            // Without leading zeros, the longer number is the larger one.
            number_of_left.len().cmp(&number_of_right.len()).then_with(|| number_of_left.cmp(number_of_right))
        } else {
            (left, right) = (&left[1..], &right[1..]);
            a.cmp(b)
        };
        if order.is_ne() {
            return order;
        }
    }
    left.len().cmp(&right.len()).then_with(|| first.cmp(second))
}

/// The number at the start, without leading zeros, and the rest.
fn split_number(text: &[u8]) -> (&[u8], &[u8]) {
    let end = text.iter().position(|byte| !byte.is_ascii_digit()).unwrap_or(text.len());
    let (digits, rest) = text.split_at(end);
    let zeros = digits.iter().take_while(|digit| **digit == b'0').count();
    (&digits[zeros..], rest)
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn numbers_in_names_count_as_numbers() {
        let mut names =
            ["web10", "web2", "web1", "api-2-b10", "api-2-b9", "web02", "web", "web1a", "app/10", "app/9", ""];
        names.sort_by(|left, right| natural(left, right));
        let sorted = ["", "api-2-b9", "api-2-b10", "app/9", "app/10", "web", "web1", "web1a", "web02", "web2", "web10"];
        assert_eq!(names, sorted);
        let mut names = ["web10", "web2", "web1", "web02", "api", "web", "web2-b", "web2-a"];
        names.sort_by(|left, right| natural(left, right));
        assert_eq!(names, ["api", "web", "web1", "web02", "web2", "web2-a", "web2-b", "web10"]);
        assert_eq!(natural("n18446744073709551616", "n18446744073709551615"), Ordering::Greater);
    }

    proptest! {
        #[test]
        fn the_natural_order_is_total(names in proptest::collection::vec("[a0-2/é]{0,6}", 3)) {
            let [a, b, c] = [&names[0], &names[1], &names[2]];
            prop_assert_eq!(natural(a, b), natural(b, a).reverse());
            prop_assert_eq!(natural(a, b).is_eq(), a == b);
            if natural(a, b).is_le() && natural(b, c).is_le() {
                prop_assert!(natural(a, c).is_le());
            }
        }
    }
}
