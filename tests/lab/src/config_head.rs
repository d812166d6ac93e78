//! The first two sections of the configurations that the lab writes itself.

use std::path::Path;

/// The sections `global` and `defaults` of an HAProxy in this directory, with more lines for each.
///
/// It has two threads, so that commands and traffic run side by side as they do in production.
pub fn config_head(dir: &Path, global: &[&str], defaults: &[&str]) -> String {
    let [global, defaults] =
        [global, defaults].map(|lines| lines.iter().map(|line| format!("    {line}\n")).collect::<String>());
    format!(
        "global
    nbthread 2
    maxconn 4000
    stats socket {}/admin.sock mode 600 level admin expose-fd listeners
    stats timeout 30s
{global}
defaults
    mode http
    timeout connect 2s
    timeout client 30s
    timeout server 30s
{defaults}",
        dir.display()
    )
}
