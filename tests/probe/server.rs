//! A server that plays scripts of raw bytes, over TCP and TLS, and the certificates for it.

use std::cell::{Cell, RefCell};
use std::future::Future;
use std::net::SocketAddr;
use std::rc::Rc;
use std::sync::{Arc, LazyLock};
use std::time::Duration;

use api_health::probe::{Client, Request};
use api_health_core::Method;
use rcgen::{BasicConstraints, CertificateParams, CertifiedIssuer, IsCa, KeyPair};
use rustls::ServerConfig;
use rustls::pki_types::PrivatePkcs8KeyDer;
use tokio::io::{AsyncRead, AsyncReadExt as _, AsyncWrite, AsyncWriteExt as _};
use tokio::net::{TcpListener, TcpStream};
use tokio::time::{sleep, timeout};
use tokio_rustls::TlsAcceptor;

/// How a script ends.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum End {
    /// The connection is closed in good order; over TLS with a close_notify.
    Fin,
    /// Closed, over TLS without a close_notify.
    NoNotify,
    /// Torn down.
    Rst,
    /// Left open until the client closes.
    Hold,
}

#[derive(Clone, Debug)]
pub struct Script {
    pub bytes: Vec<u8>,
    /// Sent in pieces of so many bytes, with a pause after each.
    pub piece: Option<(usize, Duration)>,
    pub end: End,
    /// The request is not read, neither before the answer is sent nor after: who insists on sending it all waits for ever.
    pub early: bool,
}

impl Script {
    pub fn new(bytes: impl Into<Vec<u8>>, end: End) -> Self {
        Self { bytes: bytes.into(), piece: None, end, early: false }
    }
}

/// Plays the script that is set to every connection.
pub struct Server {
    pub address: SocketAddr,
    pub script: Rc<RefCell<Script>>,
    pub accepted: Rc<Cell<usize>>,
    /// What the last connection was asked, as far as it was read.
    pub asked: Rc<RefCell<Vec<u8>>>,
}

impl Server {
    pub async fn start(tls: Option<Arc<ServerConfig>>, script: Script) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let server = Self {
            address: listener.local_addr().unwrap(),
            script: Rc::new(RefCell::new(script)),
            accepted: Rc::default(),
            asked: Rc::default(),
        };
        let (script, accepted, asked) =
            (Rc::clone(&server.script), Rc::clone(&server.accepted), Rc::clone(&server.asked));
        actix_rt::spawn(async move {
            loop {
                let (stream, _) = listener.accept().await.unwrap();
                accepted.set(accepted.get() + 1);
                stream.set_nodelay(true).unwrap();
                let (script, asked, tls) = (script.borrow().clone(), Rc::clone(&asked), tls.clone());
                actix_rt::spawn(async move {
                    match tls {
                        None => {
                            if let Some(stream) = play(stream, &script, &asked).await {
                                end_tcp(stream, &script).await;
                            }
                        }
                        Some(config) => {
                            let Ok(stream) = TlsAcceptor::from(config).accept(stream).await else { return };
                            let Some(mut stream) = play(stream, &script, &asked).await else { return };
                            if script.end == End::Fin {
                                let _ = stream.shutdown().await;
                                drain(&mut stream, script.early).await;
                            } else {
                                end_tcp(stream.into_inner().0, &script).await;
                            }
                        }
                    }
                });
            }
        });
        server
    }

    pub fn url(&self, scheme: &str) -> String {
        format!("{scheme}://localhost:{}/x", self.address.port())
    }
}

async fn play<S: AsyncRead + AsyncWrite + Unpin>(
    mut stream: S,
    script: &Script,
    asked: &RefCell<Vec<u8>>,
) -> Option<S> {
    if !script.early {
        let mut request = Vec::new();
        loop {
            let head = request.windows(4).position(|w| w == b"\r\n\r\n");
            if let Some(head) = head {
                let text = String::from_utf8_lossy(&request[..head]).to_lowercase();
                let length = text.split("\r\ncontent-length: ").nth(1).and_then(|l| l.lines().next()?.parse().ok());
                if request.len() >= head + 4 + length.unwrap_or(0) {
                    break;
                }
            }
            if stream.read_buf(&mut request).await.ok()? == 0 {
                return None;
            }
        }
        *asked.borrow_mut() = request;
    }
    match script.piece {
        None => stream.write_all(&script.bytes).await.ok()?,
        Some((size, pause)) => {
            for piece in script.bytes.chunks(size) {
                stream.write_all(piece).await.ok()?;
                stream.flush().await.ok()?;
                sleep(pause).await;
            }
        }
    }
    stream.flush().await.ok()?;
    Some(stream)
}

async fn end_tcp(mut stream: TcpStream, script: &Script) {
    match script.end {
        End::Fin | End::NoNotify => {
            let _ = stream.shutdown().await;
            drain(&mut stream, script.early).await;
        }
        End::Rst => {
            sleep(Duration::from_millis(30)).await; // what was sent is read first
            stream.set_zero_linger().unwrap();
        }
        End::Hold => drain(&mut stream, script.early).await,
    }
}

/// Reads on until the client closes, so that closing does not turn into a reset.
async fn drain<S: AsyncRead + Unpin>(stream: &mut S, deaf: bool) {
    if deaf {
        return std::future::pending().await;
    }
    let mut space = vec![0; 16 * 1024];
    let _ =
        timeout(Duration::from_secs(20), async { while stream.read(&mut space).await.is_ok_and(|n| n > 0) {} }).await;
}

/// Runs a test as the program runs a probe: on one thread, in an actix system.
pub fn run<F: Future>(test: F) -> F::Output {
    actix_rt::System::new().block_on(test)
}

pub fn get(url: &str) -> Request {
    Request {
        method: Method::Get,
        url: url.parse().unwrap(),
        headers: Vec::new(),
        body: None,
        timeout: Duration::from_secs(10),
        body_bytes_max: 8 << 20,
        keep_body: true,
        accept_encoding: None,
        max_redirects: 0,
    }
}

pub const AUTHORITY_NAME: &str = "the authority of the tests";
/// The authority that the tests' client trusts, and the client.
pub static AUTHORITY: LazyLock<CertifiedIssuer<'static, KeyPair>> = LazyLock::new(|| authority(AUTHORITY_NAME));
pub static CLIENT: LazyLock<Client> = LazyLock::new(|| Client::new(Some(AUTHORITY.pem().as_bytes())).unwrap());

pub fn authority(name: &str) -> CertifiedIssuer<'static, KeyPair> {
    let mut params = CertificateParams::new(Vec::new()).unwrap();
    params.distinguished_name.push(rcgen::DnType::CommonName, name);
    params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
    CertifiedIssuer::self_signed(params, KeyPair::generate().unwrap()).unwrap()
}

/// A server with a certificate of `issuer` for `names`, changed by `change`.
pub fn server_config(
    issuer: &CertifiedIssuer<'static, KeyPair>,
    names: &[&str],
    change: impl FnOnce(&mut CertificateParams),
) -> Arc<ServerConfig> {
    let mut params = CertificateParams::new(names.iter().map(|n| (*n).to_owned()).collect::<Vec<_>>()).unwrap();
    change(&mut params);
    let key = KeyPair::generate().unwrap();
    let certificate = params.signed_by(&key, issuer).unwrap();
    let provider = Arc::new(rustls::crypto::aws_lc_rs::default_provider());
    let config = ServerConfig::builder_with_provider(provider)
        .with_safe_default_protocol_versions()
        .unwrap()
        .with_no_client_auth()
        .with_single_cert(vec![certificate.der().clone()], PrivatePkcs8KeyDer::from(key.serialize_der()).into())
        .unwrap();
    Arc::new(config)
}

pub fn good_config() -> Arc<ServerConfig> {
    static CONFIG: LazyLock<Arc<ServerConfig>> =
        LazyLock::new(|| server_config(&AUTHORITY, &["localhost", "127.0.0.1"], |_| {}));
    Arc::clone(&CONFIG)
}
