//! The page of one run.

mod drain_curves;
mod kind;
mod page;
mod stops;
mod timeline;
mod watch_curves;

pub(super) use self::page::Page;
