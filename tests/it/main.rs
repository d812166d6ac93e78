//! teeter as its users meet it: the real binaries, a real HAProxy, real application servers and traffic.

mod cli;
mod control;
mod deploy;
mod drain;
mod faults;
mod fixtures;
mod haproxy;
mod layout;
mod repository;
mod store;
