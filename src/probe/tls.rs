//! TLS for probes: our own settings over the machine's trusted roots, and what its errors mean in plain words.

use std::io;
use std::sync::Arc;

use api_health_core::observation::CertificateFault;
use api_health_core::{Failure, Phase, Timestamp, text};
use rustls::client::Resumption;
use rustls::pki_types::pem::PemObject as _;
use rustls::pki_types::{CertificateDer, ServerName, UnixTime};
use rustls::{CertificateError, ClientConfig, Error, InvalidMessage, RootCertStore};
use tokio::net::TcpStream;
use tokio_rustls::TlsConnector;
use tokio_rustls::client::TlsStream;

use super::dial::{internal, local_fault};
use super::plain;

/// Names of a wrong certificate that are told, so that one for hundreds of names stays readable.
const PRESENTED_NAMES_MAX: usize = 5;

/// Settings over the machine's roots and `extra_roots_pem`; `None` where there is not one root to trust.
pub(super) fn client_config(extra_roots_pem: Option<&[u8]>) -> Result<Option<Arc<ClientConfig>>, String> {
    let mut roots = RootCertStore::empty();
    let native = rustls_native_certs::load_native_certs();
    for error in &native.errors {
        tracing::debug!(%error, "a root certificate of this machine could not be read");
    }
    roots.add_parsable_certificates(native.certs);
    if let Some(pem) = extra_roots_pem {
        let mut added = 0;
        for certificate in CertificateDer::pem_slice_iter(pem) {
            let certificate = certificate.map_err(|e| format!("the extra root certificates are not PEM: {e}"))?;
            roots.add(certificate).map_err(|e| format!("an extra root certificate cannot be used: {e}"))?;
            added += 1;
        }
        if added == 0 {
            return Err("the extra root certificates hold no certificate: expected -----BEGIN CERTIFICATE-----".into());
        }
    }
    if roots.is_empty() {
        return Ok(None);
    }
    let provider = Arc::new(rustls::crypto::aws_lc_rs::default_provider());
    let mut config = ClientConfig::builder_with_provider(provider)
        .with_safe_default_protocol_versions()
        .map_err(|e| format!("TLS cannot be set up: {e}"))?
        .with_root_certificates(roots)
        .with_no_client_auth();
    config.alpn_protocols = vec![b"http/1.1".to_vec()];
    config.resumption = Resumption::disabled(); // a resumed session does not look at the certificate again
    Ok(Some(Arc::new(config)))
}

/// Shakes hands; the certificate is verified for `name`.
pub(super) async fn handshake(
    config: &Arc<ClientConfig>,
    name: ServerName<'static>,
    stream: TcpStream,
) -> Result<TlsStream<TcpStream>, Failure> {
    let asked_for = name.clone();
    TlsConnector::from(Arc::clone(config)).connect(name, stream).await.map_err(|error| {
        if let Some(tls) = tls_error(&error) {
            return tls_failure(tls, &asked_for);
        }
        match error.kind() {
            io::ErrorKind::UnexpectedEof => Failure::Closed { phase: Phase::Tls },
            io::ErrorKind::ConnectionReset | io::ErrorKind::BrokenPipe | io::ErrorKind::ConnectionAborted => {
                Failure::Reset { phase: Phase::Tls }
            }
            _ => match local_fault(&error) {
                Some(fault) => Failure::Local(fault),
                None => internal(format!("shaking hands over TLS: {error}")),
            },
        }
    })
}

/// The TLS library's own error inside an I/O error.
pub(super) fn tls_error(error: &io::Error) -> Option<&Error> {
    error.get_ref()?.downcast_ref()
}

fn tls_failure(error: &Error, asked_for: &ServerName<'_>) -> Failure {
    match error {
        Error::InvalidCertificate(fault) => Failure::Certificate(certificate_fault(fault, asked_for)),
        Error::InvalidMessage(InvalidMessage::InvalidContentType) => {
            Failure::Tls { detail: "what answers on this port does not speak TLS".into() }
        }
        other => Failure::Tls { detail: plain::words(&other.to_string()) },
    }
}

fn certificate_fault(error: &CertificateError, asked_for: &ServerName<'_>) -> CertificateFault {
    match error {
        CertificateError::Expired => CertificateFault::Expired { not_after: None },
        CertificateError::ExpiredContext { not_after, .. } => {
            CertificateFault::Expired { not_after: timestamp(*not_after) }
        }
        CertificateError::NotValidYet => CertificateFault::NotYetValid { not_before: None },
        CertificateError::NotValidYetContext { not_before, .. } => {
            CertificateFault::NotYetValid { not_before: timestamp(*not_before) }
        }
        CertificateError::NotValidForName => {
            CertificateFault::WrongName { expected: asked_for.to_str().into_owned(), presented: Vec::new() }
        }
        CertificateError::NotValidForNameContext { presented, .. } => CertificateFault::WrongName {
            expected: asked_for.to_str().into_owned(),
            presented: presented_names(presented),
        },
        CertificateError::UnknownIssuer => CertificateFault::UnknownIssuer,
        CertificateError::Revoked => CertificateFault::Revoked,
        CertificateError::BadSignature => {
            CertificateFault::Other("its signature is not that of the authority that it names".into())
        }
        // What webpki says of a self-signed certificate that was made as `openssl req -x509` makes them.
        CertificateError::Other(other) if other.to_string().contains("CaUsedAsEndEntity") => CertificateFault::Other(
            "it is that of an authority, as most self-signed ones are, and not of a server".into(),
        ),
        CertificateError::Other(other) if other.to_string().contains("UnsupportedCertVersion") => {
            CertificateFault::Other(
                "it is of X.509 version 1, without the names that it is for; have it reissued with its subject alternative names"
                    .into(),
            )
        }
        CertificateError::UnsupportedSignatureAlgorithmContext { signature_algorithm_id, .. } => {
            CertificateFault::Other(match HASHES_OF_OLD.iter().find(|(id, _)| signature_algorithm_id.starts_with(id)) {
                Some((_, name)) => format!("it is signed with {name}, which is no longer trusted"),
                None => "it is signed by an algorithm that is not supported".into(),
            })
        }
        other => CertificateFault::Other(plain::words(&other.to_string())),
    }
}

/// How the identifiers begin of the signatures that nobody should trust any more, in DER.
const HASHES_OF_OLD: [(&[u8], &str); 3] = [
    (&[6, 9, 42, 134, 72, 134, 247, 13, 1, 1, 5], "SHA-1 (RSA)"),
    (&[6, 9, 42, 134, 72, 134, 247, 13, 1, 1, 4], "MD5 (RSA)"),
    (&[6, 7, 42, 134, 72, 206, 61, 4, 1], "SHA-1 (ECDSA)"),
];

fn timestamp(time: UnixTime) -> Option<Timestamp> {
    i64::try_from(time.as_secs()).ok()?.checked_mul(1_000).map(Timestamp::from_millis)
}

/// The library gives them in its debug form, `DnsName("a.test")`: the name itself is what people know.
fn presented_names(presented: &[String]) -> Vec<String> {
    let mut names: Vec<String> = presented
        .iter()
        .take(PRESENTED_NAMES_MAX)
        .map(|name| {
            let inner = name.split_once('(').and_then(|(_, rest)| rest.strip_suffix(')')).unwrap_or(name);
            text::line(inner.trim_matches('"'), 253)
        })
        .collect();
    if presented.len() > PRESENTED_NAMES_MAX {
        names.push(format!("{} more", presented.len() - PRESENTED_NAMES_MAX));
    }
    names
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_form_of_a_certificate_error_has_its_fault() {
        let name = ServerName::try_from("a.test").unwrap();
        let at = UnixTime::since_unix_epoch(std::time::Duration::from_secs(5));
        let fault = |error| certificate_fault(&error, &name);
        assert_eq!(fault(CertificateError::Expired), CertificateFault::Expired { not_after: None });
        assert_eq!(
            fault(CertificateError::ExpiredContext { time: at, not_after: at }),
            CertificateFault::Expired { not_after: Some(Timestamp::from_millis(5_000)) }
        );
        assert_eq!(fault(CertificateError::NotValidYet), CertificateFault::NotYetValid { not_before: None });
        assert_eq!(
            fault(CertificateError::NotValidYetContext { time: at, not_before: at }),
            CertificateFault::NotYetValid { not_before: Some(Timestamp::from_millis(5_000)) }
        );
        let wrong = |presented| CertificateFault::WrongName { expected: "a.test".into(), presented };
        assert_eq!(fault(CertificateError::NotValidForName), wrong(Vec::new()));
        assert_eq!(fault(CertificateError::Revoked), CertificateFault::Revoked);
        let words = |error| match fault(error) {
            CertificateFault::Other(words) => words,
            other => panic!("{other:?}"),
        };
        assert_eq!(words(CertificateError::BadEncoding), "bad encoding");
        let signed = |id: &[u8]| {
            let (signature_algorithm_id, supported_algorithms) = (id.to_vec(), Vec::new());
            words(CertificateError::UnsupportedSignatureAlgorithmContext {
                signature_algorithm_id,
                supported_algorithms,
            })
        };
        let sha1 = signed(&[6, 9, 42, 134, 72, 134, 247, 13, 1, 1, 5, 5, 0]);
        assert_eq!(sha1, "it is signed with SHA-1 (RSA), which is no longer trusted");
        assert_eq!(signed(&[6, 3, 1]), "it is signed by an algorithm that is not supported");
    }

    #[test]
    fn the_names_of_a_wrong_certificate_are_bounded_and_bare() {
        let presented: Vec<String> = (0..9).map(|i| format!("DnsName(\"{i}.test\")")).collect();
        let names = presented_names(&presented);
        assert_eq!(names, ["0.test", "1.test", "2.test", "3.test", "4.test", "4 more"]);
    }
}
