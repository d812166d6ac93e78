//! Connections to HAProxy: over a socket, or to a simulated HAProxy.

use std::ffi::OsString;
use std::fmt::Debug;
use std::io;
use std::os::unix::ffi::OsStringExt as _;
use std::pin::Pin;

use tokio::io::{AsyncRead, AsyncWrite};
use tokio::net::{TcpStream, UnixStream};

use super::address::Address;
use super::client::Endpoint;
use super::tls::Tls;

/// A stream of bytes in both directions.
pub trait Stream: AsyncRead + AsyncWrite + Send + Unpin {}

impl<S: AsyncRead + AsyncWrite + Send + Unpin> Stream for S {}

/// A connection that is being opened.
pub type Connecting<'a> = Pin<Box<dyn Future<Output = io::Result<Box<dyn Stream>>> + Send + 'a>>;

/// Opens connections to one HAProxy.
pub trait Connect: Debug + Send + Sync {
    /// Opens another connection.
    fn connect(&self) -> Connecting<'_>;
}

/// The socket at an address.
#[derive(Debug)]
pub(super) struct Socket {
    address: Address,
    tls: Option<Tls>,
}

impl Socket {
    pub(super) fn new(endpoint: Endpoint) -> Self {
        Self { address: endpoint.address, tls: endpoint.tls.map(Tls::new) }
    }
}

impl Connect for Socket {
    fn connect(&self) -> Connecting<'_> {
        Box::pin(async {
            Ok(match &self.address {
                Address::Unix(path) => Box::new(UnixStream::connect(path).await?) as Box<dyn Stream>,
                Address::Abstract(name) => Box::new(UnixStream::connect(OsString::from_vec(name.path())).await?),
                Address::Tcp(host) => Box::new(TcpStream::connect(host).await?),
                Address::Tls(host) => {
                    let tls = self
                        .tls
                        .as_ref()
                        .ok_or_else(|| io::Error::other("[[haproxy]] has no tls.ca for this address"))?;
                    Box::new(tls.connect(host).await?)
                }
            })
        })
    }
}
