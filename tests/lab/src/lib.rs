//! The lab: what teeter is tried against.
//!
//! It holds application servers that know how many requests they break, a real HAProxy process, a load
//! generator that remembers every request, and the sample configurations of four-server farms. It shares no
//! code with teeter, so that a mistake made there is not made here as well.
//!
//! In the order of dependence: `ports`, `dice`, `http`, `tables` and `processes` know nothing of the rest; `app` (with
//! `running`, `service`, `service2`, `admin`, `asked`) is one end of a connection, `client`, `browser`, `load`, `asker`
//! and `report` the other; `haproxy` is what stands between them; `sample` and `farm` put all together, and `drains`
//! puts many kinds of traffic and teeter to it, `chaos` breaks what it can while teeter deploys; `skip` is for a test that cannot run.

mod admin;
pub mod app;
mod asked;
mod asker;
pub mod browser;
pub mod chaos;
pub mod client;
mod dice;
pub mod drains;
pub mod farm;
pub mod haproxy;
mod generation;
mod http;
pub mod load;
mod ports;
mod processes;
pub mod report;
mod running;
pub mod sample;
mod service;
mod service2;
mod skip;
pub mod tables;

pub use app::{App, AppSpec, Replacement};
pub use browser::Browser;
pub use client::{Answer, Held, get, request};
pub use dice::Dice;
pub use farm::{FarmSpec, TestFarm, write_script};
pub use haproxy::Haproxy;
pub use load::{Load, LoadSpec};
pub use ports::free_port;
pub use report::{Inversions, LoadReport, Record};
pub use sample::Sample;
pub use skip::skip;
