//! The arguments of `teeter status`.

use clap::builder::NonEmptyStringValueParser;
use clap::{Args, ValueEnum};
use clap_complete::ArgValueCompleter;

use super::{AnyServers, some_time};
use crate::cli::complete;
use crate::farm::{FarmName, GroupName, Span};

#[derive(Debug, Args)]
pub(in crate::cli) struct Status {
    #[command(flatten)]
    pub(in crate::cli) servers: AnyServers,
    /// List each server, not only those that are not in their normal state.
    #[arg(long, short)]
    pub(in crate::cli) all: bool,
    /// Only the servers of this farm. Repeatable.
    #[arg(long = "farm", value_name = "FARM", add = ArgValueCompleter::new(complete::farms))]
    pub(in crate::cli) farms: Vec<FarmName>,
    /// Only the servers of this group of a farm. Repeatable.
    #[arg(long = "group", value_name = "GROUP", add = ArgValueCompleter::new(complete::groups))]
    pub(in crate::cli) groups: Vec<GroupName>,
    /// List the servers in this state. Repeatable.
    #[arg(long = "state", value_name = "STATE", value_enum)]
    pub(in crate::cli) states: Vec<ServerState>,
    /// List the servers with this version, as the runs of their farm have recorded it. Repeatable.
    #[arg(long = "version", value_name = "VERSION", value_parser = NonEmptyStringValueParser::new())]
    pub(in crate::cli) versions: Vec<String>,
    /// List the servers that this owner holds: a user, or 'run 3'. Repeatable.
    #[arg(
        long = "holder",
        value_name = "OWNER",
        add = ArgValueCompleter::new(complete::owners),
        value_parser = NonEmptyStringValueParser::new()
    )]
    pub(in crate::cli) holders: Vec<String>,
    /// Print the summary alone, on one line, for prompts and motd; waits 2 seconds at most.
    #[arg(long, conflicts_with_all = ["all", "watch"])]
    pub(in crate::cli) short: bool,
    /// Print the status again and again, every 2 seconds or every TIME, until Ctrl-C.
    #[arg(long, short, value_name = "TIME", num_args = 0..=1, require_equals = true, default_missing_value = "2s",
        value_parser = some_time)]
    pub(in crate::cli) watch: Option<Span>,
}

/// The state of a server, in the word of the summary.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, ValueEnum)]
pub(in crate::cli) enum ServerState {
    /// It takes traffic.
    Up,
    /// It takes none, because of its checks.
    Down,
    /// A hold of teeter keeps it out.
    Held,
    /// It is out without a hold: by another program, or by its configuration.
    Out,
    /// Its HAProxy does not answer.
    Unknown,
}

impl Status {
    /// Whether each selected server is listed, in whatever state it is: because the options name single servers.
    pub(in crate::cli) fn lists_each(&self) -> bool {
        let filters = !self.states.is_empty() || !self.versions.is_empty() || !self.holders.is_empty();
        self.all || filters || !self.servers.all().is_empty()
    }
}
