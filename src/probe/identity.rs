//! What a connection has of its own for one API: where it leads to, the certificate that we show, the name that we ask for, the
//! authorities that we trust.

use std::sync::Arc;

use api_health_core::Secret;
use api_health_core::asking::Identity;
use rustls::client::ResolvesClientCert;
use rustls::pki_types::pem::PemObject as _;
use rustls::pki_types::{CertificateDer, PrivateKeyDer, ServerName};
use rustls::sign::CertifiedKey;
use rustls::{ClientConfig, SignatureScheme};
use url::Url;

use super::request::Named;
use super::trust;
use super::verifier::provider;

/// HTTP/1.1 and HTTP/2 as ALPN has them.
pub(super) const HTTP_1: &[u8] = b"http/1.1";
pub(super) const HTTP_2: &[u8] = b"h2";

/// What holds for the connection to where a request goes first, and not for where a redirect leads.
#[derive(Default)]
pub(super) struct Own {
    /// Where to connect to in place of what the URL names.
    pub(super) place: Option<Url>,
    pub(super) server_name: Option<Named>,
    /// The certificate to show.
    pub(super) shown: Option<Arc<Shown>>,
    /// The body of the answer is left unread.
    pub(super) head_only: bool,
}

impl Own {
    pub(super) fn is_something(&self) -> bool {
        self.place.is_some() || self.server_name.is_some() || self.shown.is_some() || self.head_only
    }
}

/// A certificate that a server is shown whenever it wants one.
#[derive(Debug)]
pub(super) struct Shown(Arc<CertifiedKey>);

impl Shown {
    pub(super) fn new(identity: &Identity) -> Result<Self, String> {
        read(identity).map(Self).map_err(|(_, why)| format!("the client certificate or its key {why}"))
    }
}

impl ResolvesClientCert for Shown {
    fn resolve(&self, _: &[&[u8]], _: &[SignatureScheme]) -> Option<Arc<CertifiedKey>> {
        Some(Arc::clone(&self.0))
    }

    fn has_certs(&self) -> bool {
        true
    }
}

/// `config` with another certificate to show, and other protocols to offer.
pub(super) fn dressed(
    config: &Arc<ClientConfig>,
    shown: Option<&Arc<Shown>>,
    protocols: &[&[u8]],
) -> Arc<ClientConfig> {
    let mut own = ClientConfig::clone(config); // a few pointers
    if let Some(shown) = shown {
        own.client_auth_cert_resolver = Arc::<Shown>::clone(shown);
    }
    own.alpn_protocols = protocols.iter().map(|protocol| protocol.to_vec()).collect();
    Arc::new(own)
}

/// Whether certificate and key can be used, and are of each other.
///
/// # Errors
/// The field that is at fault, and why.
pub fn check(identity: &Identity) -> Result<(), (&'static str, &'static str)> {
    read(identity).map(drop)
}

/// Whether there is an authority among these.
///
/// # Errors
/// Why they cannot be used.
pub fn check_authorities(pem: &Secret) -> Result<(), &'static str> {
    let why = "holds no certificate, or a damaged one: expected -----BEGIN CERTIFICATE-----";
    trust::certificates(pem.reveal().as_bytes()).map(drop).map_err(|_| why)
}

/// A name that can be asked for, and that a certificate can be for.
pub fn server_name(text: &str) -> Option<ServerName<'static>> {
    ServerName::try_from(text.trim_end_matches('.').to_owned()).ok()
}

fn read(identity: &Identity) -> Result<Arc<CertifiedKey>, (&'static str, &'static str)> {
    let (certificate, key) = ("client_certificate", "client_key");
    let chain: Result<Vec<_>, _> = CertificateDer::pem_slice_iter(identity.certificate.reveal().as_bytes()).collect();
    let chain = chain.map_err(|_| (certificate, "is not PEM"))?;
    if chain.is_empty() {
        return Err((certificate, "holds no certificate: expected -----BEGIN CERTIFICATE-----"));
    }
    let text = identity.key.reveal();
    if text.contains("ENCRYPTED") {
        return Err((key, "is encrypted, and there is nobody to ask for its password"));
    }
    let read = PrivateKeyDer::from_pem_slice(text.as_bytes());
    let read = read.map_err(|_| (key, "holds no private key: expected -----BEGIN PRIVATE KEY-----"))?;
    match CertifiedKey::from_der(chain, read, &provider()) {
        Ok(pair) => Ok(Arc::new(pair)),
        Err(rustls::Error::InconsistentKeys(_)) => Err((key, "is not that of client_certificate")),
        Err(rustls::Error::InvalidCertificate(_)) => Err((certificate, "cannot be used: it is damaged")),
        Err(_) => Err((key, "cannot be used: it is damaged, or of a sort that is not supported")),
    }
}
