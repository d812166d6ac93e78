//! Backends whose servers accept no commands.

/// Why HAProxy accepts no commands for the servers of a backend.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Off {
    /// The backend is `disabled` in haproxy.cfg, or was removed since: HAProxy has no counters for the backend, which
    /// gets no traffic.
    Disabled,
    /// HAProxy refused a command because the backend was shut down at runtime. The backend may still have requests.
    Refuses,
}
