//! Certificates, good and bad ones, and the servers that show them.

use std::sync::Arc;

use rcgen::{BasicConstraints, CertificateParams, CertifiedIssuer, DnType, IsCa, KeyPair};
use rustls::pki_types::{CertificateDer, PrivatePkcs8KeyDer};
use rustls::server::WebPkiClientVerifier;
use rustls::{RootCertStore, ServerConfig};

/// One that signs certificates.
pub struct Authority(CertifiedIssuer<'static, KeyPair>);

impl Authority {
    pub fn new(name: &str) -> Self {
        Self(CertifiedIssuer::self_signed(params_of_authority(name), KeyPair::generate().unwrap()).unwrap())
    }

    /// One that this one vouches for.
    pub fn below(&self, name: &str) -> Self {
        let key = KeyPair::generate().unwrap();
        Self(CertifiedIssuer::signed_by(params_of_authority(name), key, &self.0).unwrap())
    }

    pub fn pem(&self) -> String {
        self.0.pem()
    }

    fn der(&self) -> CertificateDer<'static> {
        self.0.der().clone()
    }

    /// A certificate for these names, changed by `change`, and its key.
    fn leaf(
        &self,
        names: &[&str],
        change: impl FnOnce(&mut CertificateParams),
    ) -> (CertificateDer<'static>, PrivatePkcs8KeyDer<'static>) {
        let mut params = CertificateParams::new(owned(names)).unwrap();
        change(&mut params);
        let key = KeyPair::generate().unwrap();
        let certificate = params.signed_by(&key, &self.0).unwrap();
        (certificate.der().clone(), PrivatePkcs8KeyDer::from(key.serialize_der()))
    }

    /// A server with a good certificate for these names.
    pub fn server(&self, names: &[&str]) -> Arc<ServerConfig> {
        self.server_with(names, |_| {})
    }

    /// A server with a certificate for these names that is changed by `change`.
    pub fn server_with(&self, names: &[&str], change: impl FnOnce(&mut CertificateParams)) -> Arc<ServerConfig> {
        let (leaf, key) = self.leaf(names, change);
        serving(vec![leaf], key)
    }

    /// A server that shows its certificate and that of this authority.
    pub fn server_with_chain(&self, names: &[&str]) -> Arc<ServerConfig> {
        let (leaf, key) = self.leaf(names, |_| {});
        serving(vec![leaf, self.der()], key)
    }

    /// A certificate and a key for a client, in PEM.
    pub fn client(&self) -> (String, String) {
        let key = KeyPair::generate().unwrap();
        let certificate = CertificateParams::new(owned(&["client"])).unwrap().signed_by(&key, &self.0).unwrap();
        (certificate.pem(), key.serialize_pem())
    }

    /// A server that wants a certificate of its clients, signed by this authority.
    pub fn server_that_wants_one(&self, names: &[&str]) -> Arc<ServerConfig> {
        self.server_that_wants_one_by(self, names)
    }

    /// The same with a certificate of its own by another one.
    pub fn server_that_wants_one_by(&self, other: &Self, names: &[&str]) -> Arc<ServerConfig> {
        let (leaf, key) = other.leaf(names, |_| {});
        let mut roots = RootCertStore::empty();
        roots.add(self.der()).unwrap();
        let provider = Arc::new(rustls::crypto::aws_lc_rs::default_provider());
        let verifier =
            WebPkiClientVerifier::builder_with_provider(Arc::new(roots), Arc::clone(&provider)).build().unwrap();
        let config = ServerConfig::builder_with_provider(provider)
            .with_safe_default_protocol_versions()
            .unwrap()
            .with_client_cert_verifier(verifier)
            .with_single_cert(vec![leaf], key.into())
            .unwrap();
        Arc::new(config)
    }
}

/// A server whose certificate nobody signed but itself.
pub fn self_signed(names: &[&str]) -> Arc<ServerConfig> {
    let key = KeyPair::generate().unwrap();
    let certificate = CertificateParams::new(owned(names)).unwrap().self_signed(&key).unwrap();
    serving(vec![certificate.der().clone()], PrivatePkcs8KeyDer::from(key.serialize_der()))
}

fn params_of_authority(name: &str) -> CertificateParams {
    let mut params = CertificateParams::new(Vec::new()).unwrap();
    params.distinguished_name.push(DnType::CommonName, name);
    params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
    params
}

fn owned(names: &[&str]) -> Vec<String> {
    names.iter().map(|name| (*name).to_owned()).collect()
}

fn serving(chain: Vec<CertificateDer<'static>>, key: PrivatePkcs8KeyDer<'static>) -> Arc<ServerConfig> {
    let provider = Arc::new(rustls::crypto::aws_lc_rs::default_provider());
    let config = ServerConfig::builder_with_provider(provider)
        .with_safe_default_protocol_versions()
        .unwrap()
        .with_no_client_auth()
        .with_single_cert(chain, key.into())
        .unwrap();
    Arc::new(config)
}
