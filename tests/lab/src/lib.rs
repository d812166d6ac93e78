//! The lab: the surroundings that teeter is tested in.
//!
//! It has application servers that know how many requests they cut off, a real HAProxy process, a load generator that
//! remembers every request, and the sample configurations of farms of four servers. It shares no code with teeter, so
//! that a mistake in teeter is not repeated here.
//!
//! In the order of their imports: `ports`, `dice`, `http`, `tables` and `processes` know nothing of the rest. `app`
//! (with `running`, `http1`, `http2`, `admin`, `request`) is one end of a connection, and `client`, `browser`,
//! `load`, `load_client` and `report` are the other. `haproxy` (with `haproxy_commands` and `config_head`) is between
//! them. `sample` and `farm` put all of it together, `drains` adds many kinds of traffic and teeter, and `chaos` adds
//! faults while teeter deploys. `chromium` looks at pages of HTML. `skip` is for a test that cannot run.

mod admin;
pub mod app;
pub mod browser;
pub mod chaos;
mod chromium;
pub mod client;
mod config_head;
mod dice;
pub mod drains;
pub mod farm;
mod generation;
pub mod haproxy;
mod haproxy_commands;
mod http;
mod http1;
mod http2;
pub mod load;
mod load_client;
mod ports;
mod processes;
pub mod report;
mod request;
mod running;
pub mod sample;
mod skip;
pub mod tables;

pub use app::{App, AppSpec, Replacement};
pub use browser::Browser;
pub use chromium::{Chromium, Look};
pub use client::{Answer, Held, get, request};
pub use config_head::config_head;
pub use dice::Dice;
pub use farm::{FarmSpec, TestFarm, write_script};
pub use haproxy::Haproxy;
pub use load::{Load, LoadSpec};
pub use ports::free_port;
pub use report::{Inversions, LoadReport, Record};
pub use sample::Sample;
pub use skip::skip;
