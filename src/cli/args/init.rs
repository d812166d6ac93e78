//! The arguments of `teeter init`.

use std::path::PathBuf;

use clap::Args;

use crate::farm::InstanceName;
use crate::haproxy::Address;

#[derive(Debug, Args)]
pub(in crate::cli) struct Init {
    /// The stats socket of HAProxy: a path, tcp://HOST:PORT, tls://HOST:PORT or abns@NAME [default: the first usual
    /// path that exists, such as /run/haproxy/admin.sock].
    #[arg(long, value_name = "SOCKET")]
    pub(in crate::cli) haproxy: Option<Address>,
    /// The configuration of HAProxy: a file, or a directory with files. Has the paths of health checks and the maps.
    /// Repeatable.
    #[arg(long, value_name = "PATH")]
    pub(in crate::cli) cfg: Vec<PathBuf>,
    /// The file to write, which must not exist [default: standard output].
    #[arg(long, short, value_name = "FILE")]
    pub(in crate::cli) output: Option<PathBuf>,
    /// The name of HAProxy in the configuration.
    #[arg(long, value_name = "NAME", default_value = "haproxy")]
    pub(in crate::cli) name: InstanceName,
    /// For tls://: the file with the authorities that may have signed HAProxy's certificate.
    #[arg(long, value_name = "FILE")]
    pub(in crate::cli) ca: Option<PathBuf>,
}
