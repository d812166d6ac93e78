//! The sample configuration that users get, made fit for a test: the same text, other addresses.
//!
//! A test that runs on the sample proves the sample. Whatever is replaced must be there, so a change of the
//! sample that a test does not follow is an error and not a silent difference.

use std::io;
use std::net::SocketAddr;
use std::path::Path;

/// The sample configurations.
#[derive(Debug, Clone, Copy)]
pub struct Sample;

/// What a test cannot have: another user, a changed root, the host's log, a process in the background.
const OF_THE_HOST: [&str; 7] = [
    "    log /dev/log local0\n",
    "    chroot /var/lib/haproxy\n",
    "    user haproxy\n",
    "    group haproxy\n",
    "    daemon\n",
    "    log global\n",
    "    option httplog\n",
];

impl Sample {
    /// `haproxy/servers.cfg`: four servers, each in two backends.
    pub fn servers() -> &'static str {
        include_str!("../../../haproxy/servers.cfg")
    }

    /// For `extra`: health checks ten times as often, so that tests need not wait for seconds.
    pub const FAST_CHECKS: (&'static str, &'static str) = ("inter 1s", "inter 100ms");
}

/// The text with the socket, the frontend's address and the addresses of web01, web02 and so on replaced, and then
/// whatever `extra` names. Every string to be replaced must occur.
pub fn render(
    text: &str,
    socket: &Path,
    frontend_port: u16,
    app_addrs: &[SocketAddr],
    extra: &[(&str, &str)],
) -> io::Result<String> {
    let mut text = text.to_owned();
    for line in OF_THE_HOST {
        text = swap(&text, line, "")?;
    }
    text = swap(&text, "/run/haproxy/admin.sock", &socket.display().to_string())?;
    text = swap(&text, "bind 127.0.0.1:8080", &format!("bind 127.0.0.1:{frontend_port}"))?;
    for (number, addr) in (1..).zip(app_addrs) {
        text = swap(&text, &format!("127.0.0.1:{}", 9000 + number), &addr.to_string())?;
    }
    for (old, new) in extra {
        text = swap(&text, old, new)?;
    }
    Ok(text)
}

fn swap(text: &str, old: &str, new: &str) -> io::Result<String> {
    if text.contains(old) {
        return Ok(text.replace(old, new));
    }
    Err(io::Error::new(io::ErrorKind::NotFound, format!("the sample does not contain {old:?}")))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_string_that_is_not_there_is_an_error() {
        let socket = Path::new("/tmp/x.sock");
        let error = render(Sample::servers(), socket, 1, &[], &[("nonsense", "")]);
        assert!(error.is_err_and(|error| error.to_string().contains("nonsense")));
    }
}
