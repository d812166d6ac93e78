//! The protocol of HAProxy: names, framing, grammar, typed commands and replies, and a client for one stats socket.
//!
//! Covers HAProxy's Runtime API (management guide, section 9.3) from 2.2 on. This module does not know farms.

mod address;
mod bits;
mod client;
mod codec;
/// Every command that teeter sends, with its reply.
pub mod commands;
mod connect;
mod error;
mod line;
mod master;
mod name;
mod quirks;
mod terminal;
mod table;
mod tls;
mod usual_sockets;

pub use address::{AbstractName, Address, AddressError};
pub use bits::{AdminBits, AdminState, CheckBits, OpState};
pub use client::{Client, Endpoint};
pub use codec::Codec;
pub use connect::{Connect, Connecting, Stream};
pub use error::{CommandError, Error, FrameError, Refusal, RefusalKind};
pub use line::{Answers, Command, Line, Slot};
pub use master::Master;
pub(crate) use name::name_type;
pub use name::{BackendName, MapKey, MapName, MapValue, NameError, ServerName, ServerRef, TableName};
pub use quirks::{Quirk, Series};
pub use table::{Column, Row, Separator, Table};
pub use terminal::controls_terminal;
pub use tls::TlsSettings;
pub(crate) use tls::{certificate_name, roots, tls_client};
pub use usual_sockets::usual_sockets;
