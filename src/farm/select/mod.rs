//! How operators name servers: the text of a selector, and whether a name matches it.

pub(super) mod pattern;
pub(super) mod host;
pub(super) mod error;
pub(super) mod selector;
pub(super) mod similar;
