//! Backends for whose servers HAProxy takes no orders.

/// Why HAProxy takes no orders for the servers of a backend.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Off {
    /// It is `disabled` in haproxy.cfg, or gone since: HAProxy has no counters for it. It gets no traffic.
    Disabled,
    /// HAProxy has refused an order because it was shut down at runtime. Requests may still be in it.
    Refuses,
}
