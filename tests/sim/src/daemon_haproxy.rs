//! A HAProxy in the configuration of the simulated teeterd, and the connections to its sockets.

use std::path::PathBuf;

use teeter::engine::ANSWER_TAKES;
use teeter::haproxy::{Address, Client, Connect, Connecting, Master, Stream};

use crate::fake::Fake;

/// A HAProxy as the configuration of teeterd names it.
#[derive(Clone)]
pub(crate) struct Haproxy {
    /// The first part of its name.
    base: &'static str,
    /// The number of its changes of name.
    pub(crate) renamed: u32,
    /// The number of its changes of socket.
    pub(crate) moved: u32,
    /// Whether it is configured.
    pub(crate) configured: bool,
    fake: Fake,
}

impl Haproxy {
    /// A HAProxy that is configured, with its first name.
    pub(crate) fn new(base: &'static str, fake: Fake) -> Self {
        Self { base, renamed: 0, moved: 0, configured: true, fake }
    }

    /// A client of its stats socket.
    pub(crate) fn client(&self) -> Client {
        Client::over(Address::Unix(self.path("")), self.connector(Socket::Stats), ANSWER_TAKES)
    }

    /// A client of its master's socket.
    pub(crate) fn master(&self) -> Master {
        Master::over(self.path("-master"), self.connector(Socket::Master), ANSWER_TAKES)
    }

    fn connector(&self, socket: Socket) -> Box<Connector> {
        Box::new(Connector { fake: self.fake.clone(), socket })
    }

    /// Its name in the configuration.
    pub(crate) fn name(&self) -> String {
        if self.renamed == 0 { self.base.to_owned() } else { format!("{}{}", self.base, self.renamed) }
    }

    /// The path of a socket, which stays when only the name changes.
    fn path(&self, suffix: &str) -> PathBuf {
        let moved = if self.moved == 0 { String::new() } else { self.moved.to_string() };
        PathBuf::from(format!("/sim/{}{moved}{suffix}.sock", self.base))
    }
}

/// The socket that a connection is made to.
#[derive(Debug, Clone, Copy)]
enum Socket {
    Stats,
    Master,
}

#[derive(Debug)]
struct Connector {
    fake: Fake,
    socket: Socket,
}

impl Connect for Connector {
    fn connect(&self) -> Connecting<'_> {
        Box::pin(async {
            let stream = match self.socket {
                Socket::Stats => self.fake.connect()?,
                Socket::Master => self.fake.connect_master()?,
            };
            Ok(Box::new(stream) as Box<dyn Stream>)
        })
    }
}
