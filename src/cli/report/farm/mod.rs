//! The page of the runs of one farm.

mod histogram;
mod numbers;
mod page;

pub(super) use self::page::Page;
