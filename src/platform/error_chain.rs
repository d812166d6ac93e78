//! The text of an error with its causes.

use std::error::Error;

/// The text of an error, followed by the text of each of its causes, for people. The `Display` of an error does not
/// repeat its cause.
pub fn chain(error: &dyn Error) -> String {
    let causes = std::iter::successors(error.source(), |cause| (*cause).source());
    causes.fold(error.to_string(), |text, cause| format!("{text}: {cause}"))
}

#[cfg(test)]
mod tests {
    use std::io;

    use super::*;
    use crate::haproxy::{Address, CommandError, FrameError};
    use crate::store::StoreError;

    #[test]
    fn every_cause_is_printed_once() {
        let missing = || io::Error::from_raw_os_error(2);
        let file = StoreError::File { path: "/nowhere.db".to_owned(), source: missing() };
        assert_eq!(chain(&file), format!("cannot use the store /nowhere.db: {}", missing()));
        let wrapped = io::Error::other(StoreError::InUse { path: "/a.db".to_owned() });
        assert_eq!(chain(&wrapped), "the store /a.db is in use by another teeterd");
        let address: Address = "/run/haproxy.sock".parse().unwrap();
        let broken = crate::haproxy::Error::Frame { address: address.clone(), source: FrameError::Io(missing()) };
        let expected = format!("the connection to HAProxy at {address} failed: {}", missing());
        assert_eq!(chain(&broken), expected);
        let refused = CommandError::refused("show stat", b"Permission denied\n");
        let refused = crate::haproxy::Error::Command { address, source: refused };
        assert_eq!(
            chain(&refused),
            "a command to HAProxy at /run/haproxy.sock failed: HAProxy refused `show stat`: Permission denied"
        );
    }
}
