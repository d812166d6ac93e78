//! The first two sections of the configurations that the lab writes itself.

use std::path::Path;

/// The sections `global` and `defaults` of a HAProxy in this directory. `defaults` are more lines of the second one.
///
/// It has two threads, so that commands and traffic run side by side as they do in production.
pub fn config_head(dir: &Path, defaults: &[&str]) -> String {
    let defaults: String = defaults.iter().map(|line| format!("    {line}\n")).collect();
    format!(
        "global
    nbthread 2
    maxconn 4000
    stats socket {}/admin.sock mode 600 level admin expose-fd listeners
    stats timeout 30s

defaults
    mode http
    timeout connect 2s
    timeout client 30s
    timeout server 30s
{defaults}",
        dir.display()
    )
}
