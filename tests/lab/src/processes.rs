//! Signals to processes, and their children. The caller must have started these processes.

use std::io;
use std::process::{Child, Command};

/// Whether this child has not ended yet. If it has, this reaps it.
pub(crate) fn lives(child: &mut Child) -> bool {
    matches!(child.try_wait(), Ok(None))
}

/// Sends a signal, such as `-KILL`, to processes.
pub(crate) fn signal(which: &str, pids: &[u32]) -> io::Result<()> {
    if pids.is_empty() {
        return Ok(());
    }
    let output = Command::new("kill").arg(which).args(pids.iter().map(u32::to_string)).output()?;
    if output.status.success() {
        return Ok(());
    }
    Err(io::Error::other(String::from_utf8_lossy(&output.stderr).into_owned()))
}

/// Whether any process has this in its command line.
pub(crate) fn runs(text: &str) -> bool {
    let said = |entry: std::fs::DirEntry| std::fs::read(entry.path().join("cmdline")).unwrap_or_default();
    let all = std::fs::read_dir("/proc").into_iter().flatten().flatten();
    all.map(said).any(|line| line.windows(text.len()).any(|part| part == text.as_bytes()))
}

/// The processes whose parent is this one.
pub(crate) fn children_of(parent: u32) -> Vec<u32> {
    let Ok(entries) = std::fs::read_dir("/proc") else {
        return Vec::new();
    };
    entries
        .filter_map(|entry| entry.ok()?.file_name().to_str()?.parse().ok())
        .filter(|pid| parent_of(*pid) == Some(parent))
        .collect()
}

fn parent_of(pid: u32) -> Option<u32> {
    let stat = std::fs::read_to_string(format!("/proc/{pid}/stat")).ok()?;
    // The second field is the command in brackets, which may have any characters. The parent is the fourth.
    let (_, rest) = stat.rsplit_once(')')?;
    rest.split_whitespace().nth(1)?.parse().ok()
}
