//! An error with its causes, for people.

use std::error::Error;

/// An error and, behind it, each of its causes that it has not said itself.
pub fn chain(error: &dyn Error) -> String {
    let (mut text, mut source) = (error.to_string(), error.source());
    while let Some(next) = source {
        let words = next.to_string();
        if !text.contains(&words) {
            text = format!("{text}: {words}");
        }
        source = next.source();
    }
    text
}

#[cfg(test)]
mod tests {
    use std::io;

    use super::*;
    use crate::store::StoreError;

    #[test]
    fn no_cause_is_said_twice_and_none_is_left_out() {
        let source = io::Error::from_raw_os_error(2);
        let words = source.to_string();
        let file = StoreError::File { path: "/nowhere.db".to_owned(), source };
        assert_eq!(chain(&file), format!("the store /nowhere.db: {words}"));
        let refused = io::Error::other(StoreError::InUse { path: "/a.db".to_owned() });
        assert_eq!(chain(&refused), "the store /a.db is in use by another teeterd");
    }
}
