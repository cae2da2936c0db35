//! Whether a server's certificate is good: by webpki, and where that refuses, by what OpenSSL would say of the trusted ones.

use std::collections::HashSet;
use std::fmt;
use std::sync::Arc;

use api_health_core::Timestamp;
use api_health_core::observation::CertificateFault;
use aws_lc_rs::digest::{SHA256, digest};
use rustls::client::WebPkiServerVerifier;
use rustls::client::danger::{HandshakeSignatureValid, ServerCertVerified, ServerCertVerifier};
use rustls::client::verify_server_name;
use rustls::crypto::CryptoProvider;
use rustls::pki_types::{CertificateDer, ServerName, UnixTime};
use rustls::server::ParsedCertificate;
use rustls::{CertificateError, DigitallySignedStruct, Error, OtherError, RootCertStore, SignatureScheme};

use super::certificate::{Facts, name};
use super::tls::{TOO_SHORT, note_refused, timestamp};

/// Goes by the roots that were good when it was made.
pub(super) struct Verifier {
    good: Option<Arc<WebPkiServerVerifier>>,
    expired: Option<Arc<WebPkiServerVerifier>>,
    /// Name as it is encoded, and end, of each root that is over.
    ends: Vec<(Vec<u8>, Timestamp)>,
    /// Of every trusted certificate, for a server that shows one of them.
    hashes: HashSet<[u8; 32]>,
}

/// So many links of a chain that leads to no root are read to say what it lacks: who sends more means no good.
const LINKS_READ: usize = 16;

/// A fault for which rustls has no word, on its way through rustls.
#[derive(Debug)]
pub(super) struct Judged(pub(super) CertificateFault);

impl fmt::Display for Judged {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}

impl std::error::Error for Judged {}

impl Verifier {
    /// Over `roots`, of which those are set apart that are over at `now`; `None` if there is not one that can be used.
    pub(super) fn new(roots: Vec<CertificateDer<'static>>, now: Timestamp) -> Option<Self> {
        let hashes = roots.iter().filter_map(|root| hash(root)).collect();
        let end = |root: &CertificateDer<'_>| Facts::read(root).map(|facts| (facts.subject.to_vec(), facts.not_after));
        let ends: Vec<_> = roots.iter().filter_map(end).filter(|(_, not_after)| *not_after < now).collect();
        let is_over = |root: &CertificateDer<'_>| Facts::read(root).is_some_and(|facts| facts.not_after < now);
        let (expired, good): (Vec<_>, Vec<_>) = roots.into_iter().partition(is_over);
        let [good, expired] = [good, expired].map(|roots| {
            let mut store = RootCertStore::empty();
            store.add_parsable_certificates(roots);
            WebPkiServerVerifier::builder_with_provider(Arc::new(store), provider()).build().ok()
        });
        (good.is_some() || expired.is_some()).then_some(Self { good, expired, ends, hashes })
    }

    fn judge(
        &self,
        shown: &CertificateDer<'_>,
        chain: &[CertificateDer<'_>],
        for_name: &ServerName<'_>,
        ocsp: &[u8],
        now: UnixTime,
    ) -> Result<ServerCertVerified, Error> {
        let said = match &self.good {
            Some(good) => good.verify_server_cert(shown, chain, for_name, ocsp, now),
            None => Err(CertificateError::UnknownIssuer.into()),
        };
        let Err(error) = said else { return said };
        if let Some(pinned) = self.pinned(shown, for_name, now) {
            return pinned.map(|()| ServerCertVerified::assertion());
        }
        if !matches!(error, Error::InvalidCertificate(CertificateError::UnknownIssuer)) {
            return Err(error);
        }
        match self.lacks(shown, chain, for_name, now) {
            Some(fault) => Err(CertificateError::Other(OtherError(Arc::new(Judged(fault)))).into()),
            None => Err(error),
        }
    }

    fn any(&self) -> Result<&WebPkiServerVerifier, Error> {
        let any = self.good.as_ref().or(self.expired.as_ref());
        any.map(|verifier| &**verifier).ok_or_else(|| Error::General("no roots".into())) // cannot be, by the way it is made
    }

    /// A certificate that is itself among the trusted ones is good for its names, for its time.
    fn pinned(
        &self,
        shown: &CertificateDer<'_>,
        for_name: &ServerName<'_>,
        now: UnixTime,
    ) -> Option<Result<(), Error>> {
        hash(shown).filter(|hash| self.hashes.contains(hash))?;
        let (facts, at) = (Facts::read(shown)?, timestamp(now)?);
        let parsed = ParsedCertificate::try_from(shown).ok()?;
        Some(match verify_server_name(&parsed, for_name) {
            Ok(()) if at < facts.not_before => Err(CertificateError::NotValidYet.into()),
            Ok(()) if at > facts.not_after => Err(CertificateError::Expired.into()),
            said => said,
        })
    }

    /// What a chain lacks that leads to no root that is good.
    fn lacks(
        &self,
        shown: &CertificateDer<'_>,
        chain: &[CertificateDer<'_>],
        for_name: &ServerName<'_>,
        now: UnixTime,
    ) -> Option<CertificateFault> {
        let first = Facts::read(shown)?;
        let mut last = &first;
        let is_self_signed = last.issuer == last.subject;
        // As far as the chain leads on; a circle ends with its length.
        let links: Vec<Facts<'_>> = chain.iter().take(LINKS_READ).filter_map(|link| Facts::read(link)).collect();
        for _ in &links {
            let next = links.iter().find(|next| next.subject == last.issuer && last.issuer != last.subject);
            match next {
                Some(next) => last = next,
                None => break,
            }
        }
        let by_expired = self.expired.as_ref().map(|all| all.verify_server_cert(shown, chain, for_name, &[], now));
        if let (Some(Ok(_)), Some((authority, not_after))) =
            (by_expired, self.ends.iter().find(|(subject, _)| subject == last.issuer || subject == last.subject))
        {
            return Some(CertificateFault::AuthorityExpired { authority: name(authority), not_after: *not_after });
        }
        if is_self_signed {
            return Some(CertificateFault::SelfSigned);
        }
        let sent_alone = chain.iter().all(|link| link == shown);
        Some(CertificateFault::UnknownIssuer { issuer: name(last.issuer), sent_alone })
    }
}

impl ServerCertVerifier for Verifier {
    fn verify_server_cert(
        &self,
        shown: &CertificateDer<'_>,
        chain: &[CertificateDer<'_>],
        for_name: &ServerName<'_>,
        ocsp: &[u8],
        now: UnixTime,
    ) -> Result<ServerCertVerified, Error> {
        self.judge(shown, chain, for_name, ocsp, now).inspect_err(|_| note_refused(shown))
    }

    fn verify_tls12_signature(
        &self,
        message: &[u8],
        shown: &CertificateDer<'_>,
        signature: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, Error> {
        self.any()?.verify_tls12_signature(message, shown, signature).map_err(of_handshake)
    }

    fn verify_tls13_signature(
        &self,
        message: &[u8],
        shown: &CertificateDer<'_>,
        signature: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, Error> {
        self.any()?.verify_tls13_signature(message, shown, signature).map_err(of_handshake)
    }

    fn supported_verify_schemes(&self) -> Vec<SignatureScheme> {
        self.any().map(ServerCertVerifier::supported_verify_schemes).unwrap_or_default()
    }
}

/// A signature of the server's own key is another matter than that of an authority.
fn of_handshake(error: Error) -> Error {
    if !matches!(error, Error::InvalidCertificate(CertificateError::BadSignature)) {
        return error;
    }
    let fault =
        CertificateFault::Other(format!("it {TOO_SHORT}, or the server does not have the key of this certificate"));
    CertificateError::Other(OtherError(Arc::new(Judged(fault)))).into()
}

impl fmt::Debug for Verifier {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Verifier").finish_non_exhaustive()
    }
}

pub(super) fn provider() -> Arc<CryptoProvider> {
    Arc::new(rustls::crypto::aws_lc_rs::default_provider())
}

fn hash(certificate: &[u8]) -> Option<[u8; 32]> {
    digest(&SHA256, certificate).as_ref().try_into().ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_bad_signature_of_the_server_is_not_laid_on_an_authority() {
        let Error::InvalidCertificate(CertificateError::Other(other)) =
            of_handshake(CertificateError::BadSignature.into())
        else {
            panic!("it has no words")
        };
        assert!(other.to_string().contains("it has too short a key"), "{other}");
        let other = Error::General("x".into());
        assert_eq!(of_handshake(other.clone()), other);
    }
}
