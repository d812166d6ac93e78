//! The usual paths of HAProxy's stats socket.

use std::collections::BTreeSet;
use std::path::{Path, PathBuf};

/// The paths of HAProxy's stats socket in packages and manuals: those that exist. Of two names of one socket, the
/// first.
pub fn usual_sockets() -> Vec<PathBuf> {
    existing(USUAL_SOCKETS.iter().map(Path::new))
}

fn existing<'a>(paths: impl Iterator<Item = &'a Path>) -> Vec<PathBuf> {
    let mut seen = BTreeSet::new();
    paths.filter(|path| path.canonicalize().is_ok_and(|real| seen.insert(real))).map(Path::to_owned).collect()
}

const USUAL_SOCKETS: [&str; 5] = [
    "/run/haproxy/admin.sock",
    "/var/run/haproxy.sock",
    "/run/haproxy.sock",
    "/var/lib/haproxy/stats",
    "/run/haproxy/haproxy.sock",
];

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_socket_that_has_two_names_is_found_once() {
        let directory = tempfile::tempdir().unwrap();
        let [real, link, absent] = ["real", "link", "absent"].map(|name| directory.path().join(name));
        std::fs::write(&real, "").unwrap();
        std::os::unix::fs::symlink(&real, &link).unwrap();
        assert_eq!(existing([&absent, &real, &link].into_iter().map(PathBuf::as_path)), [real]);
    }
}
