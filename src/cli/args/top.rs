//! The arguments of `teeter top`.

use clap::Args;

use super::some_time;
use crate::farm::Span;

#[derive(Debug, Args)]
pub(in crate::cli) struct Top {
    /// The time between two reads of the status.
    #[arg(long, value_name = "TIME", default_value = "1s", value_parser = some_time)]
    pub(in crate::cli) interval: Span,
    /// Begin with only the servers that contain these words, as typed after `/`.
    #[arg(long, value_name = "WORDS", default_value = "")]
    pub(in crate::cli) filter: String,
    /// Let the keys drain, maint, ready and flip change traffic, each after a question. Without this option no key
    /// changes anything.
    #[arg(long)]
    pub(in crate::cli) allow_changes: bool,
}
