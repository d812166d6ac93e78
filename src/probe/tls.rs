//! TLS to a probed server, and the verification of its certificate.

use std::io;
use std::sync::Arc;

use tokio::net::TcpStream;
use tokio_rustls::TlsConnector;
use tokio_rustls::client::TlsStream;
use tokio_rustls::rustls::client::danger::{HandshakeSignatureValid, ServerCertVerified, ServerCertVerifier};
use tokio_rustls::rustls::crypto::{CryptoProvider, ring, verify_tls12_signature, verify_tls13_signature};
use tokio_rustls::rustls::pki_types::{CertificateDer, ServerName, UnixTime};
use tokio_rustls::rustls::{ClientConfig, DigitallySignedStruct, Error, SignatureScheme};

use crate::farm::TlsTrust;
use crate::haproxy::{certificate_name, roots, tls_client};

/// Opens TLS on a connection and verifies the server by the settings. The file of the authorities is read for each
/// connection, so that a new file takes effect at once.
pub(super) async fn connect(trust: &TlsTrust, host: &str, stream: TcpStream) -> io::Result<TlsStream<TcpStream>> {
    TlsConnector::from(Arc::new(config(trust)?)).connect(certificate_name(host)?, stream).await
}

fn config(trust: &TlsTrust) -> io::Result<ClientConfig> {
    let builder = tls_client()?;
    let builder = match &trust.ca {
        Some(ca) => builder.with_root_certificates(roots(ca)?),
        None if trust.insecure => builder.dangerous().with_custom_certificate_verifier(Arc::new(AnyCertificate::new())),
        None => return Err(io::Error::other("no certificate authority: set `ca` in `tls`")),
    };
    let mut config = builder.with_no_client_auth();
    config.alpn_protocols = vec![b"http/1.1".to_vec()];
    Ok(config)
}

/// Accepts any certificate, like HAProxy with `verify none`. The server still needs the key of its certificate.
#[derive(Debug)]
struct AnyCertificate(CryptoProvider);

impl AnyCertificate {
    fn new() -> Self {
        Self(ring::default_provider())
    }
}

impl ServerCertVerifier for AnyCertificate {
    fn verify_server_cert(
        &self,
        _end_entity: &CertificateDer<'_>,
        _intermediates: &[CertificateDer<'_>],
        _server_name: &ServerName<'_>,
        _ocsp_response: &[u8],
        _now: UnixTime,
    ) -> Result<ServerCertVerified, Error> {
        Ok(ServerCertVerified::assertion())
    }

    fn verify_tls12_signature(
        &self,
        message: &[u8],
        cert: &CertificateDer<'_>,
        dss: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, Error> {
        verify_tls12_signature(message, cert, dss, &self.0.signature_verification_algorithms)
    }

    fn verify_tls13_signature(
        &self,
        message: &[u8],
        cert: &CertificateDer<'_>,
        dss: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, Error> {
        verify_tls13_signature(message, cert, dss, &self.0.signature_verification_algorithms)
    }

    fn supported_verify_schemes(&self) -> Vec<SignatureScheme> {
        self.0.signature_verification_algorithms.supported_schemes()
    }
}
