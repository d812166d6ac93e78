//! teeter as its users meet it: the real binaries, a real HAProxy, real application servers and traffic.

mod agents;
mod api;
mod crash;
mod cut;
mod deploy;
mod drain;
mod drift;
mod fakes;
mod fuzz;
mod in_flight;
mod input;
mod layout;
mod old_workers;
mod relay;
mod route;
mod route_input;
mod servers;
mod service;
mod sessions;
mod site;
mod sockets;
mod stand;
mod states;
mod sticky;
mod transcripts;
mod wire;
