//! The arguments of `teeter store` and `teeter forget`.

use std::path::PathBuf;

use clap::{Args, Subcommand};
use clap_complete::ArgValueCompleter;

use crate::cli::complete;
use crate::farm::{FarmName, InstanceName};

#[derive(Debug, Args)]
#[group(required = true, multiple = false)]
pub(in crate::cli) struct Forget {
    /// The farm, as it was named in teeterd's configuration.
    #[arg(value_name = "FARM", add = ArgValueCompleter::new(complete::farms))]
    pub(in crate::cli) farm: Option<FarmName>,
    /// The HAProxy, as it was named in teeterd's configuration.
    #[arg(long, value_name = "NAME", add = ArgValueCompleter::new(complete::haproxys))]
    pub(in crate::cli) haproxy: Option<InstanceName>,
}

#[derive(Debug, Subcommand)]
pub(in crate::cli) enum StoreTask {
    /// Write a copy of the store to a new file.
    #[command(after_help = "Example:\n  teeter store backup /var/backups/teeter-2026-11-21.db")]
    Backup {
        /// The file, which must not exist; created with your rights and readable only for you.
        #[arg(value_name = "FILE")]
        file: PathBuf,
    },
    /// Verify a store: the file, every record, and references between records. Changes nothing.
    #[command(after_help = "Examples:\n  teeter store verify\n  teeter store verify /var/backups/teeter-2026-11-21.db")]
    Verify {
        /// A file that no teeterd has open [default: the store of the running teeterd].
        #[arg(value_name = "FILE")]
        file: Option<PathBuf>,
    },
}
