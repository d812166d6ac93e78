//! Selectors, by which operators name servers: their text, and whether it matches a name.

pub(super) mod pattern;
pub(super) mod host;
pub(super) mod error;
pub(super) mod selector;
pub(super) mod similar;
