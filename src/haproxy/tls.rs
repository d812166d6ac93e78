//! TLS to a stats socket: the authority that teeter trusts, and teeter's certificate.
//!
//! A client of a stats socket with level admin can do everything, so both sides prove their identity: HAProxy with a
//! certificate of the configured authority, teeter with its own (`verify required` on HAProxy's `stats socket`).

use std::io;
use std::os::unix::fs::MetadataExt as _;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, PoisonError};

use serde::Deserialize;
use tokio::net::TcpStream;
use tokio_rustls::TlsConnector;
use tokio_rustls::client::TlsStream;
use tokio_rustls::rustls::crypto::ring;
use tokio_rustls::rustls::pki_types::pem::PemObject;
use tokio_rustls::rustls::pki_types::{CertificateDer, PrivateKeyDer, ServerName};
use tokio_rustls::rustls::{ClientConfig, ConfigBuilder, RootCertStore, WantsVerifier};

/// `tls = { … }` in `[[haproxy]]`. All files are PEM.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct TlsSettings {
    /// The file with certificates of authorities. One of them must have signed HAProxy's certificate.
    pub ca: PathBuf,
    /// teeter's certificate with the intermediate certificates; needed where HAProxy asks for a certificate.
    pub certificate: Option<PathBuf>,
    /// The key of that certificate; the certificate's file where unset.
    pub key: Option<PathBuf>,
    /// The name that HAProxy's certificate must have; the host of the address where unset.
    pub server_name: Option<String>,
}

/// Opens TLS connections by the settings, each with the present content of the files.
#[derive(Debug)]
pub(super) struct Tls {
    settings: TlsSettings,
    /// The stamps of the files when they were read, and the configuration from the files.
    read: Mutex<Option<(Vec<FileStamp>, Arc<ClientConfig>)>>,
}

impl Tls {
    pub(super) fn new(settings: TlsSettings) -> Self {
        Self { settings, read: Mutex::new(None) }
    }

    /// Connects to `host:port`; both sides prove their identity.
    pub(super) async fn connect(&self, address: &str) -> io::Result<TlsStream<TcpStream>> {
        let host = address.rsplit_once(':').map_or(address, |(host, _)| host);
        let name = certificate_name(self.settings.server_name.as_deref().unwrap_or(host))?;
        let connector = TlsConnector::from(self.config()?);
        connector.connect(name, TcpStream::connect(address).await?).await
    }

    /// The configuration from the files. All files are read again when one has changed, so that a renewed certificate
    /// needs no restart. Otherwise the configuration is kept, because only the same configuration can resume sessions.
    fn config(&self) -> io::Result<Arc<ClientConfig>> {
        let TlsSettings { ca, certificate, key, .. } = &self.settings;
        let files = [Some(ca), certificate.as_ref(), key.as_ref()].into_iter().flatten();
        let stamps: Vec<_> = files.map(|path| stamp(path)).collect::<io::Result<_>>()?;
        let mut read = self.read.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some((at, config)) = &*read
            && *at == stamps
        {
            return Ok(Arc::clone(config));
        }
        let config = Arc::new(self.load()?);
        *read = Some((stamps, Arc::clone(&config)));
        Ok(config)
    }

    fn load(&self) -> io::Result<ClientConfig> {
        let builder = tls_client()?.with_root_certificates(roots(&self.settings.ca)?);
        let Some(certificate) = &self.settings.certificate else { return Ok(builder.with_no_client_auth()) };
        let key = self.settings.key.as_ref().unwrap_or(certificate);
        let secret = PrivateKeyDer::from_pem_file(key).map_err(|error| in_file(key, error))?;
        builder.with_client_auth_cert(certificates(certificate)?, secret).map_err(|error| in_file(certificate, error))
    }
}

/// A TLS configuration to which the authorities must be added.
pub(crate) fn tls_client() -> io::Result<ConfigBuilder<ClientConfig, WantsVerifier>> {
    let builder = ClientConfig::builder_with_provider(Arc::new(ring::default_provider()));
    builder.with_safe_default_protocol_versions().map_err(io::Error::other)
}

/// The certificate authorities in a file.
pub(crate) fn roots(ca: &Path) -> io::Result<RootCertStore> {
    let mut roots = RootCertStore::empty();
    for authority in certificates(ca)? {
        roots.add(authority).map_err(|error| in_file(ca, error))?;
    }
    Ok(roots)
}

/// The name that a certificate must have: the host of an address.
pub(crate) fn certificate_name(host: &str) -> io::Result<ServerName<'static>> {
    let host = host.trim_start_matches('[').trim_end_matches(']').to_owned();
    let error = format!("{host:?} is not a name that a certificate can have");
    ServerName::try_from(host).map_err(|_| io::Error::other(error))
}

fn certificates(path: &Path) -> io::Result<Vec<CertificateDer<'static>>> {
    let found: Result<Vec<_>, _> = CertificateDer::pem_file_iter(path).and_then(Iterator::collect);
    let found = found.map_err(|error| in_file(path, error))?;
    if found.is_empty() { Err(in_file(path, "no certificate in this file")) } else { Ok(found) }
}

/// Shows whether a file has changed: its inode, its size and its time of change. The time alone is too coarse.
type FileStamp = (u64, u64, i64, i64);

fn stamp(path: &Path) -> io::Result<FileStamp> {
    let metadata = std::fs::metadata(path).map_err(|error| in_file(path, error))?;
    Ok((metadata.ino(), metadata.size(), metadata.mtime(), metadata.mtime_nsec()))
}

/// An error with the path of the file in front.
fn in_file(path: &Path, error: impl std::fmt::Display) -> io::Error {
    io::Error::other(format!("{}: {error}", path.display()))
}
