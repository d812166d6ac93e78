//! teeter as its users meet it: the real binaries, a real HAProxy, real application servers and traffic.

mod api;
mod crash;
mod deploy;
mod drain;
mod input;
mod layout;
mod sessions;
mod site;
