//! TLS for probes: our own settings over the roots that are trusted, and what its errors mean in plain words.

use std::cell::Cell;
use std::future::poll_fn;
use std::io;
use std::pin::Pin;
use std::sync::Arc;

use api_health_core::assertion::TlsVersion;
use api_health_core::certificate::Validity;
use api_health_core::figures::CertificateEnds;
use api_health_core::observation::CertificateFault;
use api_health_core::{Failure, Phase, Timestamp, text};
use rustls::client::{ResolvesClientCert, Resumption};
use rustls::pki_types::{ServerName, UnixTime};
use rustls::sign::CertifiedKey;
use rustls::{
    AlertDescription, CertificateError, ClientConfig, ClientConnection, Error, InvalidMessage, ProtocolVersion,
    SignatureScheme,
};
use tokio::net::TcpStream;
use tokio_rustls::TlsConnector;
use tokio_rustls::client::TlsStream;

use super::certificate::Facts;
use super::dial::{internal, local_fault};
use super::plain;
use super::trace::Trace;
use super::verifier::{Judged, Verifier, provider};

/// Names of a wrong certificate that are told, so that one for hundreds of names stays readable.
const PRESENTED_NAMES_MAX: usize = 5;

/// What we can speak, in words: rustls has no more, and a test holds this to it.
const WE_SPEAK: &str = "api-health has TLS 1.3, and TLS 1.2 with the cipher suites of ECDHE with AES-GCM or ChaCha20-Poly1305; other \
                        clients may connect";

/// Of such a key the library says that the signature is wrong.
pub(super) const TOO_SHORT: &str = "has too short a key (RSA of fewer than 2048 bits)";

/// Why a server that wants one sends us away.
pub(super) const CLIENT_CERTIFICATE: &str =
    "the server wants a client certificate, and this API has none to show (client_certificate, client_key)";

/// Settings that trust what `verifier` does.
pub(super) fn client_config(verifier: Verifier) -> Result<Arc<ClientConfig>, String> {
    let mut config = ClientConfig::builder_with_provider(provider())
        .with_safe_default_protocol_versions()
        .map_err(|e| format!("TLS cannot be set up: {e}"))?
        .dangerous()
        .with_custom_certificate_verifier(Arc::new(verifier))
        .with_client_cert_resolver(Arc::new(NoCertificate));
    config.alpn_protocols = vec![b"http/1.1".to_vec()];
    config.resumption = Resumption::disabled(); // a resumed session does not look at the certificate again
    Ok(Arc::new(config))
}

thread_local! {
    /// The server whose handshake goes on at this moment asked for a client certificate.
    static WANTED: Cell<bool> = const { Cell::new(false) };
    /// The certificate that was refused in it.
    static REFUSED: Cell<Option<Vec<u8>>> = const { Cell::new(None) };
}

/// Keeps a certificate that is refused for whoever drives this handshake: rustls gives it to nobody.
pub(super) fn note_refused(certificate: &[u8]) {
    REFUSED.set(Some(certificate.to_vec()));
}

/// Has no certificate, and notes that one was asked for.
#[derive(Debug)]
struct NoCertificate;

impl ResolvesClientCert for NoCertificate {
    fn resolve(&self, _: &[&[u8]], _: &[SignatureScheme]) -> Option<Arc<CertifiedKey>> {
        WANTED.set(true);
        None
    }

    fn has_certs(&self) -> bool {
        false
    }
}

/// Shakes hands; the certificate is verified for `name`.
pub(super) async fn handshake(
    config: &Arc<ClientConfig>,
    name: ServerName<'static>,
    stream: TcpStream,
    trace: &Trace,
) -> Result<TlsStream<TcpStream>, Failure> {
    let asked_for = name.clone();
    trace.set_client_certificate(config.client_auth_cert_resolver.has_certs());
    let mut connecting = TlsConnector::from(Arc::clone(config)).connect(name, stream);
    let connected = poll_fn(|cx| {
        WANTED.set(false);
        let step = Pin::new(&mut connecting).poll(cx);
        if WANTED.get() {
            trace.want_client_certificate();
        }
        if let Some(refused) = REFUSED.take() {
            trace.showed(&refused);
        }
        step
    });
    let connected = connected.await.inspect(|stream| {
        if let Some([shown, ..]) = stream.get_ref().1.peer_certificates() {
            trace.showed(shown);
        }
        note(stream.get_ref().1, trace);
    });
    connected.map_err(|error| {
        if let Some(tls) = tls_error(&error) {
            return tls_failure(tls, &asked_for, trace);
        }
        match error.kind() {
            _ if trace.wants_client_certificate() => Failure::Tls { detail: CLIENT_CERTIFICATE.into() },
            io::ErrorKind::UnexpectedEof => Failure::Closed { phase: Phase::Tls },
            io::ErrorKind::ConnectionReset | io::ErrorKind::BrokenPipe | io::ErrorKind::ConnectionAborted => {
                Failure::Reset { phase: Phase::Tls }
            }
            _ => match local_fault(&error) {
                Some(fault) => Failure::Local(fault),
                None => internal(format!("doing the TLS handshake: {}", plain::of_system(&error))),
            },
        }
    })
}

/// What assertions and the end of the certificate are judged by.
fn note(session: &ClientConnection, trace: &Trace) {
    let version = session.protocol_version().and_then(|version| match version {
        ProtocolVersion::TLSv1_2 => Some(TlsVersion::V1_2),
        ProtocolVersion::TLSv1_3 => Some(TlsVersion::V1_3),
        _ => None, // cannot be: rustls has no other
    });
    let chain = session.peer_certificates().unwrap_or_default();
    let shown = chain.first().and_then(|own| Facts::read(own));
    let validity = shown.map(|facts| Validity { not_before: facts.not_before, not_after: facts.not_after });
    let others = chain.iter().skip(1).filter_map(|other| Some(Facts::read(other)?.not_after));
    let ends = validity.map(|own| ends(own, others));
    trace.tls_agreed(version, validity, ends);
}

/// The chain was found good: whatever ended before the server's own certificate began is not needed for it.
fn ends(own: Validity, others: impl Iterator<Item = Timestamp>) -> CertificateEnds {
    let mut ends = CertificateEnds { earliest: own.not_after, of_chain: own.not_after };
    for end in others {
        ends.earliest = ends.earliest.min(end);
        if end > own.not_before {
            ends.of_chain = ends.of_chain.min(end);
        }
    }
    ends
}

/// The TLS library's own error inside an I/O error.
pub(super) fn tls_error(error: &io::Error) -> Option<&Error> {
    error.get_ref()?.downcast_ref()
}

fn tls_failure(error: &Error, asked_for: &ServerName<'_>, trace: &Trace) -> Failure {
    match error {
        Error::InvalidCertificate(fault) => Failure::Certificate(certificate_fault(fault, asked_for)),
        other => Failure::Tls { detail: words(other, trace) },
    }
}

/// Why TLS failed, as the rest of a sentence.
pub(super) fn words(error: &Error, trace: &Trace) -> String {
    match error {
        Error::AlertReceived(alert) => {
            of_alert(*alert, trace.wants_client_certificate(), trace.has_client_certificate())
        }
        Error::PeerIncompatible(why) => {
            format!(
                "the server and api-health have no TLS in common ({}): {WE_SPEAK}",
                plain::words(&format!("{why:?}"))
            )
        }
        Error::PeerMisbehaved(why) => {
            format!("the server broke the rules of TLS: {}", plain::words(&format!("{why:?}")))
        }
        Error::InvalidMessage(InvalidMessage::InvalidContentType) => {
            "what answers on this port does not speak TLS".into()
        }
        Error::InvalidMessage(why) => {
            format!("what the server sent cannot be read as TLS: {}", plain::words(&format!("{why:?}")))
        }
        Error::InappropriateMessage { .. } | Error::InappropriateHandshakeMessage { .. } => {
            "the server sent a message of TLS out of turn".into()
        }
        Error::NoCertificatesPresented => "the server showed no certificate".into(),
        Error::DecryptError => {
            "what came could not be decrypted: it was damaged on the way, or the server is at fault".into()
        }
        Error::PeerSentOversizedRecord => "the server sent a longer record than TLS allows".into(),
        Error::NoApplicationProtocol => NO_PROTOCOL.into(),
        other => plain::words(&other.to_string()),
    }
}

/// What is said where the server takes none of the protocols that we offer.
pub(super) const NO_PROTOCOL: &str =
    "the server takes neither HTTP/1.1 nor HTTP/2, which is all that api-health speaks; other clients may connect";

/// An alert is all that the server says of why it broke off.
fn of_alert(alert: AlertDescription, certificate_wanted: bool, has_certificate: bool) -> String {
    use AlertDescription as Alert;
    let name = plain::words(&format!("{alert:?}"));
    match alert {
        Alert::CertificateRequired => CLIENT_CERTIFICATE.into(),
        Alert::HandshakeFailure
        | Alert::BadCertificate
        | Alert::UnsupportedCertificate
        | Alert::CertificateUnknown
        | Alert::UnknownCA
        | Alert::AccessDenied
            if certificate_wanted =>
        {
            format!("{CLIENT_CERTIFICATE} (its alert: {name})")
        }
        Alert::HandshakeFailure | Alert::ProtocolVersion | Alert::InsufficientSecurity => format!(
            "the server broke it off (its alert: {name}), most often since it and the client have no version or cipher suite in \
             common: {WE_SPEAK}"
        ),
        // Without one, it is about another one, as an inspecting firewall tells of that of the server behind it.
        Alert::BadCertificate
        | Alert::CertificateUnknown
        | Alert::CertificateExpired
        | Alert::CertificateRevoked
        | Alert::UnsupportedCertificate
        | Alert::UnknownCA
            if has_certificate =>
        {
            format!("the server refused the client certificate of this API (its alert: {name})")
        }
        Alert::UnrecognisedName => "the server has no site of the name that was asked for".into(),
        Alert::NoApplicationProtocol => NO_PROTOCOL.into(),
        _ => format!("the server broke it off (its alert: {name})"),
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
        CertificateError::UnknownIssuer => {
            CertificateFault::UnknownIssuer { issuer: "an authority without a name".into(), sent_alone: false }
        }
        CertificateError::Revoked => CertificateFault::Revoked,
        CertificateError::BadSignature => {
            CertificateFault::Other(format!("its signature is not that of the authority that it names, or that {TOO_SHORT}"))
        }
        CertificateError::BadEncoding => CertificateFault::Other("it is damaged".into()),
        CertificateError::UnhandledCriticalExtension => {
            CertificateFault::Other("it has a rule (a critical extension) that api-health does not know".into())
        }
        CertificateError::InvalidPurpose | CertificateError::InvalidPurposeContext { .. } => {
            CertificateFault::Other("it, or that of an authority of its chain, is not meant for servers".into())
        }
        CertificateError::Other(other) if let Some(Judged(fault)) = other.0.downcast_ref() => fault.clone(),
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
        CertificateError::Other(other) => CertificateFault::Other(of_webpki(&other.to_string())),
        CertificateError::UnsupportedSignatureAlgorithmContext { signature_algorithm_id, .. } => {
            CertificateFault::Other(match HASHES_OF_OLD.iter().find(|(id, _)| signature_algorithm_id.starts_with(id)) {
                Some((_, name)) => format!("it is signed with {name}, which is no longer trusted"),
                None => "it is signed by an algorithm that is not supported".into(),
            })
        }
        other => CertificateFault::Other(plain::words(&other.to_string())),
    }
}

/// The faults of chains that webpki tells by their names alone, in words.
const CHAIN_FAULTS: [(&str, &str); 5] = [
    ("EndEntityUsedAsCa", "a certificate of its chain is not that of an authority, and signed another all the same"),
    ("NameConstraintViolation", "an authority of its chain may not sign for such a name"),
    ("PathLenConstraintViolated", "an authority of its chain may not stand so far above it"),
    ("Maximum", "its chain is too long, or leads in too many ways, to be followed"),
    ("InvalidCertValidity", "it ends before it begins"),
];

fn of_webpki(said: &str) -> String {
    let known = CHAIN_FAULTS.iter().find(|(name, _)| said.contains(name));
    known.map_or_else(|| plain::words(said), |(_, words)| (*words).to_owned())
}

/// How the identifiers begin of the signatures that nobody should trust any more, in DER.
const HASHES_OF_OLD: [(&[u8], &str); 3] = [
    (&[6, 9, 42, 134, 72, 134, 247, 13, 1, 1, 5], "SHA-1 (RSA)"),
    (&[6, 9, 42, 134, 72, 134, 247, 13, 1, 1, 4], "MD5 (RSA)"),
    (&[6, 7, 42, 134, 72, 206, 61, 4, 1], "SHA-1 (ECDSA)"),
];

pub(super) fn timestamp(time: UnixTime) -> Option<Timestamp> {
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
mod tests;
