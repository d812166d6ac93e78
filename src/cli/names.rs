//! The names of servers as the output shows them.

use crate::api::{HoldView, ServerView};

/// The name of a server line, with its HAProxy if there are several.
pub(super) fn line_name(server: &ServerView, several: bool) -> String {
    let name = format!("{}/{}", server.backend, server.server);
    if several { format!("{}:{name}", server.instance) } else { name }
}

/// The servers that a hold keeps out, as text.
pub(super) fn servers(hold: &HoldView) -> String {
    if hold.members.is_empty() { hold.entries.join(" ") } else { hold.members.join(" ") }
}
