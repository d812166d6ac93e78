//! The sample configurations that users get, with other addresses for tests.
//!
//! A test that runs on a sample tests the sample. Every text that is replaced must be there, so a change of the sample
//! without a change of the test is an error.

use std::io;
use std::net::SocketAddr;
use std::path::Path;

/// The sample configurations: the files of `haproxy/`, by name.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub enum Sample {
    /// Servers are switched one by one. Each is in `app` and `api`.
    #[default]
    Servers,
    /// A map entry routes all requests to `web_all`, `web_a` or `web_b`.
    Route,
    /// As [`Sample::Route`], and sticky clients may stay on their servers for a while.
    RouteSticky,
    /// As [`Sample::Route`], and clients keep the version that they began with.
    Pin,
    /// A map entry routes all requests to `shop_blue` or `shop_green`.
    BlueGreen,
    /// As [`Sample::Route`], and one half may get a share of the clients.
    Canary,
    /// An older site: a frontend with the name of its backend, spare lines, servers with a second name, a stick
    /// table, a disabled backend, two HAProxy instances.
    Site,
    /// One server is the leader, and its line is the only one of its backend that is up.
    Leader,
}

/// One `server` line of a sample.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Line {
    /// Its name in HAProxy's commands, such as `web_a/web01`.
    pub entry: String,
    /// Whether it tracks another line and has no checks of its own.
    pub tracks: bool,
    /// Whether it is spare, or its backend is disabled.
    pub disabled: bool,
}

/// The path of the map in the samples.
const MAP: &str = "/etc/haproxy/maps/live.map";

/// The path of HAProxy's socket in the samples.
const SOCKET: &str = "/run/haproxy/admin.sock";

/// The version in `haproxy/pin.map`.
const VERSION: &str = "2026.11.1";

/// Settings that a test cannot use: another user, a changed root, the host's log, a process in the background.
const HOST_SETTINGS: [&str; 7] = [
    "    log /dev/log local0\n",
    "    chroot /var/lib/haproxy\n",
    "    user haproxy\n",
    "    group haproxy\n",
    "    daemon\n",
    "    log global\n",
    "    option httplog\n",
];

impl Sample {
    /// Every sample.
    pub const ALL: [Self; 8] = [
        Self::Servers,
        Self::Route,
        Self::RouteSticky,
        Self::Pin,
        Self::BlueGreen,
        Self::Canary,
        Self::Site,
        Self::Leader,
    ];

    /// `haproxy/servers.cfg`: four servers, each in two backends.
    pub fn servers() -> &'static str {
        include_str!("../../../haproxy/servers.cfg")
    }

    /// `haproxy/route.cfg`: four servers, each in the backend of its group and in one for all.
    pub fn route() -> &'static str {
        include_str!("../../../haproxy/route.cfg")
    }

    /// `haproxy/route-sticky.cfg`: as `route.cfg`, with a cookie that names the group and the server.
    pub fn route_sticky() -> &'static str {
        include_str!("../../../haproxy/route-sticky.cfg")
    }

    /// `haproxy/pin.cfg`: as `route.cfg`, with a cookie that names the version.
    pub fn pin() -> &'static str {
        include_str!("../../../haproxy/pin.cfg")
    }

    /// `haproxy/blue-green.cfg`: two backends of two servers, one of them live.
    pub fn blue_green() -> &'static str {
        include_str!("../../../haproxy/blue-green.cfg")
    }

    /// The configuration of HAProxy, as shipped.
    pub fn text(self) -> &'static str {
        match self {
            Self::Servers => Self::servers(),
            Self::Route => Self::route(),
            Self::RouteSticky => Self::route_sticky(),
            Self::Pin => Self::pin(),
            Self::BlueGreen => Self::blue_green(),
            Self::Canary => include_str!("../../../haproxy/canary.cfg"),
            Self::Site => include_str!("../../../haproxy/site.cfg"),
            Self::Leader => include_str!("../../../haproxy/leader.cfg"),
        }
    }

    /// The configuration of teeter for it, as shipped.
    pub fn toml(self) -> &'static str {
        match self {
            Self::Servers => include_str!("../../../haproxy/servers.toml"),
            Self::Route => include_str!("../../../haproxy/route.toml"),
            Self::RouteSticky => include_str!("../../../haproxy/route-sticky.toml"),
            Self::Pin => include_str!("../../../haproxy/pin.toml"),
            Self::BlueGreen => include_str!("../../../haproxy/blue-green.toml"),
            Self::Canary => include_str!("../../../haproxy/canary.toml"),
            Self::Site => include_str!("../../../haproxy/site.toml"),
            Self::Leader => include_str!("../../../haproxy/leader.toml"),
        }
    }

    /// Its map, as shipped; `None` for a sample without a route.
    pub fn map(self) -> Option<&'static str> {
        match self {
            Self::Servers | Self::Site | Self::Leader => None,
            Self::Route | Self::RouteSticky | Self::BlueGreen | Self::Canary => {
                Some(include_str!("../../../haproxy/live.map"))
            }
            Self::Pin => Some(include_str!("../../../haproxy/pin.map")),
        }
    }

    /// The names of its four servers. The first two are one group, the last two the other.
    pub fn names(self) -> [&'static str; 4] {
        match self {
            Self::BlueGreen => ["blue01", "blue02", "green01", "green02"],
            _ => ["web01", "web02", "web03", "web04"],
        }
    }

    /// Its server lines in the order of the file.
    pub fn lines(self) -> Vec<Line> {
        let mut lines = Vec::new();
        let (mut backend, mut off) = ("", false);
        for text in self.text().lines() {
            let words: Vec<_> = text.split_whitespace().collect();
            match words.as_slice() {
                ["backend", name, ..] => (backend, off) = (name, false),
                ["disabled"] => off = true,
                ["server", name, rest @ ..] => lines.push(Line {
                    entry: format!("{backend}/{name}"),
                    tracks: rest.contains(&"track"),
                    disabled: off || rest.contains(&"disabled"),
                }),
                _ => {}
            }
        }
        lines
    }

    /// For `extra`: health checks ten times as often, so that tests do not wait for seconds.
    pub const FAST_CHECKS: (&'static str, &'static str) = ("inter 1s", "inter 100ms");
}

/// Replaces the socket, the frontend's address and the addresses of web01, web02 and so on, and then the texts of
/// `extra`. Every text that is replaced must be there.
pub fn render(
    text: &str,
    socket: &Path,
    frontend_port: u16,
    app_addrs: &[SocketAddr],
    extra: &[(&str, &str)],
) -> io::Result<String> {
    let mut text = text.to_owned();
    for line in HOST_SETTINGS {
        text = swap(&text, line, "")?;
    }
    text = swap(&text, SOCKET, &socket.display().to_string())?;
    text = swap(&text, "bind 127.0.0.1:8080", &format!("bind 127.0.0.1:{frontend_port}"))?;
    for (number, addr) in (1..).zip(app_addrs) {
        text = swap(&text, &format!("127.0.0.1:{}", 9000 + number), &addr.to_string())?;
    }
    for (old, new) in extra {
        text = swap(&text, old, new)?;
    }
    Ok(text)
}

/// Prepares a sample for a test as [`render`] does, and writes its map, with this version, to `map`. A sample without
/// a map gets none.
pub(crate) fn render_with_map(
    sample: Sample,
    socket: &Path,
    map: &Path,
    version: &str,
    frontend_port: u16,
    app_addrs: &[SocketAddr],
    extra: &[(&str, &str)],
) -> io::Result<String> {
    let mut text = render(sample.text(), socket, frontend_port, app_addrs, extra)?;
    if let Some(entries) = sample.map() {
        text = swap(&text, MAP, &map.display().to_string())?;
        std::fs::write(map, entries.replace(VERSION, version))?;
    }
    Ok(text)
}

/// The sample's configuration of teeter for this socket and this map.
pub fn render_toml(sample: Sample, socket: &Path, map: &Path) -> io::Result<String> {
    let text = swap(sample.toml(), SOCKET, &socket.display().to_string())?;
    if sample.map().is_none() {
        return Ok(text);
    }
    swap(&text, MAP, &map.display().to_string())
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
    fn the_lines_of_a_sample_are_found() {
        let lines = Sample::Route.lines();
        assert_eq!(lines.len(), 8);
        assert!(lines.contains(&Line { entry: "web_a/web01".to_owned(), tracks: false, disabled: false }));
        assert!(lines.contains(&Line { entry: "web_all/web01".to_owned(), tracks: true, disabled: false }));
        let waiting = Sample::Site.lines().into_iter().filter(|line| line.disabled).map(|line| line.entry);
        assert!(waiting.eq(["app/web05", "app/web06", "legacy/web01", "legacy/web02"]));
    }

    #[test]
    fn a_string_that_is_not_there_is_an_error() {
        let socket = Path::new("/tmp/x.sock");
        let error = render(Sample::servers(), socket, 1, &[], &[("nonsense", "")]);
        assert!(error.is_err_and(|error| error.to_string().contains("nonsense")));
    }
}
