//! Whom a probe trusts: the machine's authorities and those of `extra_roots`, read again when they change, and judged as other clients
//! judge them.
//!
//! webpki never looks at the dates of a trusted authority, and takes no server's certificate that is itself among the trusted ones and
//! that of an authority. OpenSSL, and so curl, does both the other way round.

use std::fmt;
use std::io::Read as _;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, PoisonError, RwLock};
use std::time::{Duration, SystemTime};

use api_health_actors::ports::Clock as _;
use api_health_core::Timestamp;
use rustls::ClientConfig;
use rustls::pki_types::CertificateDer;
use rustls::pki_types::pem::PemObject as _;
use tokio::time::{Instant, timeout};

use super::certificate::Facts;
use super::tls;
use super::verifier::Verifier;
use crate::clock::SystemClock;
use crate::der::of_der;
use crate::environment;

/// A file of roots: all that a system trusts are a quarter of this.
const ROOTS_BYTES_MAX: u64 = 1024 * 1024;

/// How often it is looked at most whether the files changed.
const LOOK_EVERY: Duration = Duration::from_secs(10);

/// How long an exchange waits for that look before it begins, with what there is by then.
const LOOK_MAX: Duration = Duration::from_secs(1);

/// Where systems keep the authorities that they trust; beside them, the two variables by which OpenSSL is told of others.
const SYSTEM_ROOTS: [&str; 7] = [
    "/etc/ssl/certs/ca-certificates.crt",
    "/etc/ssl/certs",
    "/etc/ssl/cert.pem",
    "/etc/ssl/ca-bundle.pem",
    "/etc/pki/tls/certs/ca-bundle.crt",
    "/etc/pki/tls/cert.pem",
    "/etc/pki/ca-trust/extracted/pem/tls-ca-bundle.pem",
];
pub(crate) const VARIABLES: [&str; 2] = ["SSL_CERT_FILE", "SSL_CERT_DIR"];

/// Certificates that are trusted beside the system's.
pub(super) enum Extra {
    None,
    Pem(Vec<u8>),
    /// In place of the system's.
    Only(Vec<u8>),
    File(PathBuf),
}

/// The roots that are trusted now. Cheap to clone; all clones are one.
#[derive(Clone)]
pub(super) struct Trust(Arc<Shared>);

struct Shared {
    extra: Extra,
    /// `None` where there is not one root to trust.
    config: RwLock<Option<Arc<ClientConfig>>>,
    next_look: Mutex<Instant>,
    loaded: Mutex<Loaded>,
}

/// What the present configuration was made of.
struct Loaded {
    stamps: Vec<Option<Stamp>>,
    /// The system had none, or had some.
    has_system_roots: bool,
    at: Timestamp,
    /// When the first of the roots is over that are good now.
    good_until: Option<Timestamp>,
}

/// A change of a file or folder changes one of these: modified, length, inode.
type Stamp = (Option<SystemTime>, u64, u64);

impl Trust {
    /// Reads the roots.
    ///
    /// # Errors
    /// Says what is wrong with the extra ones.
    pub(super) fn new(extra: Extra) -> Result<Self, String> {
        let (config, loaded) = load(&extra)?;
        let next_look = Mutex::new(Instant::now() + LOOK_EVERY);
        Ok(Self(Arc::new(Shared { extra, config: RwLock::new(config), next_look, loaded: Mutex::new(loaded) })))
    }

    /// Looks at the roots where they may have changed: one does, while the others go on with what there is. It is no part of an
    /// exchange: a disk that hangs must not be taken for an API that does.
    pub(super) async fn look_if_due(&self) {
        if self.is_look_due() {
            let shared = Arc::clone(&self.0);
            let _ = timeout(LOOK_MAX, tokio::task::spawn_blocking(move || shared.look())).await;
        }
    }

    /// What a handshake goes by.
    pub(super) fn config(&self) -> Option<Arc<ClientConfig>> {
        self.0.config.read().unwrap_or_else(PoisonError::into_inner).clone()
    }

    fn is_look_due(&self) -> bool {
        let now = Instant::now();
        let mut next = self.0.next_look.lock().unwrap_or_else(PoisonError::into_inner);
        let is_due = now >= *next;
        if is_due {
            *next = now + LOOK_EVERY;
        }
        is_due
    }
}

impl Shared {
    /// Takes over what changed. What cannot be read, or is gone altogether, leaves what was: a package that is being installed must not
    /// make each certificate a bad one.
    fn look(&self) {
        let Ok(mut loaded) = self.loaded.try_lock() else { return }; // another thread looks
        // Which roots are over was told by the clock of then, which may have been set back since.
        let now = SystemClock.now();
        let is_over = now < loaded.at || loaded.good_until.is_some_and(|until| now > until);
        let stamps = stamps(&self.extra);
        if stamps == loaded.stamps && !is_over {
            return;
        }
        match load(&self.extra) {
            Ok((_, new)) if loaded.has_system_roots && !new.has_system_roots => {
                tracing::warn!(
                    "the trusted root certificates of this machine are gone: those from before stay trusted"
                );
                (loaded.stamps, loaded.at, loaded.good_until) = (stamps, now, None);
            }
            Ok((config, new)) => {
                *loaded = new;
                *self.config.write().unwrap_or_else(PoisonError::into_inner) = config;
                tracing::info!("the trusted root certificates were read again");
            }
            Err(why) => {
                tracing::warn!("extra_roots {why}: the root certificates from before stay trusted");
                (loaded.stamps, loaded.at, loaded.good_until) = (stamps, now, None);
            }
        }
    }
}

fn load(extra: &Extra) -> Result<(Option<Arc<ClientConfig>>, Loaded), String> {
    let stamps = stamps(extra);
    let native = match extra {
        Extra::Only(_) => rustls_native_certs::CertificateResult::default(),
        _ => rustls_native_certs::load_native_certs(),
    };
    for error in &native.errors {
        tracing::debug!(%error, "a root certificate of this machine could not be read");
    }
    let has_system_roots = !native.certs.is_empty();
    let mut roots = native.certs;
    match extra {
        Extra::None => {}
        Extra::Pem(pem) | Extra::Only(pem) => roots.extend(certificates(pem)?),
        Extra::File(path) => {
            let pem = read_roots(path).map_err(|why| format!("cannot be read: {why}"))?;
            roots.extend(certificates(&pem).map_err(|why| of_der(path, &pem).unwrap_or(why))?);
        }
    }
    let now = SystemClock.now();
    let good_until = roots.iter().filter_map(|root| Some(Facts::read(root)?.not_after)).filter(|end| *end >= now).min();
    let config = Verifier::new(roots, now).map(tls::client_config).transpose()?;
    Ok((config, Loaded { stamps, has_system_roots, at: now, good_until }))
}

/// The certificates of a PEM text, each one that can be trusted.
pub(super) fn certificates(pem: &[u8]) -> Result<Vec<CertificateDer<'static>>, String> {
    let mut found = Vec::new();
    for certificate in CertificateDer::pem_slice_iter(pem) {
        let certificate = certificate.map_err(|_| "is not PEM".to_owned())?;
        if Facts::read(&certificate).is_none() {
            return Err(format!("cannot be used: its certificate number {} is damaged", found.len() + 1));
        }
        found.push(certificate);
    }
    match found.is_empty() {
        true => Err("holds no certificate: expected -----BEGIN CERTIFICATE-----".into()),
        false => Ok(found),
    }
}

fn stamps(extra: &Extra) -> Vec<Option<Stamp>> {
    if let Extra::Only(_) = extra {
        return Vec::new();
    }
    use std::os::unix::fs::MetadataExt as _;
    let variables = VARIABLES.into_iter().filter_map(environment::get);
    let mut paths: Vec<PathBuf> = variables.flat_map(|all| std::env::split_paths(&all).collect::<Vec<_>>()).collect();
    if let Extra::File(path) = extra {
        paths.push(path.clone());
    }
    paths.extend(SYSTEM_ROOTS.map(PathBuf::from));
    let stamp = |path: PathBuf| {
        let found = std::fs::metadata(path).ok()?;
        Some((found.modified().ok(), found.len(), found.ino()))
    };
    paths.into_iter().map(stamp).collect()
}

/// A pipe could make the start wait for ever, and a file without an end fill the memory.
fn read_roots(path: &Path) -> Result<Vec<u8>, String> {
    let said = |error: std::io::Error| error.to_string();
    if !std::fs::metadata(path).map_err(said)?.is_file() {
        return Err("it is no regular file".into());
    }
    let mut pem = Vec::new();
    let file = std::fs::File::open(path).map_err(said)?;
    file.take(ROOTS_BYTES_MAX + 1).read_to_end(&mut pem).map_err(said)?;
    if pem.len() as u64 > ROOTS_BYTES_MAX {
        return Err(format!("it has more than {ROOTS_BYTES_MAX} bytes"));
    }
    Ok(pem)
}

impl fmt::Debug for Trust {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Trust").finish_non_exhaustive()
    }
}

#[cfg(test)]
mod tests {
    use api_health_core::{Failure, Method};

    use super::*;
    use crate::probe::{Client, Request};

    #[test]
    fn the_roots_are_judged_anew_when_the_clock_was_set_back() {
        let trust = Trust::new(Extra::None).unwrap();
        let ahead = SystemClock.now().plus(Duration::from_secs(86_400));
        trust.0.loaded.lock().unwrap().at = ahead;
        trust.0.look();
        assert!(trust.0.loaded.lock().unwrap().at < ahead, "which are over was told by the clock of then");
    }

    #[test]
    fn a_file_of_roots_has_so_many_bytes_at_most_and_is_a_file() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("roots.pem");
        let length = usize::try_from(ROOTS_BYTES_MAX).unwrap();
        std::fs::write(&path, vec![b'-'; length]).unwrap();
        assert_eq!(read_roots(&path).unwrap().len(), length);
        std::fs::write(&path, vec![b'-'; length + 1]).unwrap();
        assert!(read_roots(&path).unwrap_err().contains("more than"));
        assert!(read_roots(folder.path()).unwrap_err().contains("no regular file"));
    }

    /// The look at the roots never has a thread to run on.
    #[test]
    fn a_look_at_the_roots_that_hangs_takes_nothing_of_an_exchanges_own_time() {
        let runtime =
            tokio::runtime::Builder::new_current_thread().enable_all().max_blocking_threads(1).build().unwrap();
        runtime.block_on(async {
            let (release, hangs) = std::sync::mpsc::channel::<()>();
            tokio::task::spawn_blocking(move || hangs.recv());
            let client = Client::new(None).unwrap();
            *client.trust.0.next_look.lock().unwrap() = Instant::now();
            let closed = std::net::TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap();
            let request = Request {
                method: Method::Get,
                url: format!("https://{closed}/").parse().unwrap(),
                headers: Vec::new(),
                body: None,
                timeout: Duration::from_millis(900),
                body_bytes_max: 1,
                accept_encoding: None,
                keep_body: false,
                max_redirects: 0,
            };
            let exchange = client.exchange(&request).await;
            assert!(matches!(exchange.result, Err(Failure::Refused { .. })), "{:?}", exchange.result);
            drop(release);
        });
    }
}
