//! TLS: what a probe over it costs beside a bare client that does the same: a new connection, a full handshake with the same
//! certificate checked against the same root, one GET, the answer read to its end. The server is a process of its own.

mod support;

use std::io::{BufRead as _, BufReader, Write as _};
use std::process::{Child, ChildStdin, ChildStdout, Stdio};
use std::rc::Rc;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use api_health::clock::SystemClock;
use api_health::probe::{Client, HttpProbe, Limits};
use api_health_actors::ports::Probe as _;
use api_health_core::{Answer, Schedule};
use futures_util::{StreamExt as _, stream};
use rcgen::{BasicConstraints, CertificateParams, IsCa, Issuer, KeyPair};
use rustls::client::Resumption;
use rustls::crypto::aws_lc_rs::default_provider;
use rustls::pki_types::pem::PemObject as _;
use rustls::pki_types::{CertificateDer, PrivateKeyDer, ServerName};
use rustls::server::NoServerSessionStorage;
use rustls::{ClientConfig, HandshakeKind, RootCertStore, ServerConfig};
use serde::{Deserialize, Serialize};
use support::figures::{figure, heading, listed, median, micros_each, seconds};
use support::process::{self, cpu};
use support::watched;
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::{TcpListener, TcpStream};
use tokio_rustls::{TlsAcceptor, TlsConnector};
use url::Url;

/// Exchanges under way at once.
const AT_ONCE: usize = 32;
/// The head that a probe sends, but for its User-Agent.
const HEAD: &str = "accept: */*\r\nconnection: close\r\n\r\n";
const ANSWER: &[u8] = b"HTTP/1.1 200 OK\r\ncontent-length: 2\r\nconnection: close\r\n\r\nok";

#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
enum By {
    Ours,
    Bare,
}

/// Where the server is, and whom it is known by.
#[derive(Clone, Debug, Serialize, Deserialize)]
struct Place {
    url: String,
    root_pem: String,
}

#[derive(Serialize, Deserialize)]
struct Job {
    by: By,
    n: usize,
    place: Place,
}

#[derive(Debug, Serialize, Deserialize)]
struct Report {
    cpu_seconds: f64,
    passes: usize,
}

fn main() {
    let form = process::role_or_form(&[
        ("serve", |_| serve()),
        ("ask", |job| process::report(&actix_rt::System::new().block_on(ask(process::job(job))))),
    ]);
    let (n, pairs) = if form.short { (1_000, 3) } else { (10_000, 15) };
    heading(&format!("{n} exchanges over TLS, {AT_ONCE} at once on one thread, a full handshake each"));
    let mut server = Server::start();
    let (mut ours, mut bare, mut ratios) = (vec![], vec![], vec![]);
    for pair in 0..pairs {
        let mut order = [By::Ours, By::Bare];
        order.rotate_left(pair % 2); // so that a machine that slows down favours none
        for by in order {
            let job = Job { by, n, place: server.place.clone() };
            let report: Report = process::play("ask", &job);
            // One more before, which is not counted.
            assert_eq!((report.passes, server.full_handshakes()), (n, n + 1), "{by:?}: every exchange was a full one");
            let micros = micros_each(report.cpu_seconds, n);
            match by {
                By::Ours => ours.push(micros),
                By::Bare => bare.push(micros),
            }
        }
        ratios.push(ours[pair] / bare[pair]);
    }
    figure("CPU of a probe over TLS against the bare client, median", &format!("{:.2}", median(&ratios)), "");
    figure("  of the single pairs", &listed(&ratios), "");
    figure("CPU of a probe over TLS", &format!("{:.1} us", median(&ours)), "");
    figure("CPU of the bare client", &format!("{:.1} us", median(&bare)), "");
}

async fn ask(job: Job) -> Report {
    process::raise_open_files_limit();
    let Job { by, n, place } = job;
    let schedule = Arc::new(Schedule::every(Duration::from_secs(10)));
    let api = watched::apis(1, std::slice::from_ref(&place.url), &schedule).remove(0);
    let client = Client::new(Some(place.root_pem.as_bytes())).expect("a good root");
    let limits =
        Limits { max_in_flight: AT_ONCE, max_in_flight_per_host: AT_ONCE, body_bytes_max: watched::BODY_BYTES_MAX };
    let probe = HttpProbe::new(client, Arc::new(SystemClock), limits);
    let (prepared, bare) = (probe.prepare(Arc::clone(&api)), Bare::new(&api.url, &place.root_pem));
    let one = async || match by {
        By::Ours => match Rc::clone(&prepared).run().await.answer {
            Answer::Response(response) => response.status == 200 && response.body_bytes == 2,
            _ => false,
        },
        By::Bare => bare.ask().await.unwrap_or(false),
    };
    assert!(one().await, "the server is there");
    let before = cpu();
    let passes = stream::iter(0..n).map(|_| one()).buffer_unordered(AT_ONCE);
    let passes = passes.filter(|passed| std::future::ready(*passed)).count().await;
    Report { cpu_seconds: seconds(cpu() - before), passes }
}

/// tokio and rustls, and nothing else.
struct Bare {
    connector: TlsConnector,
    address: std::net::SocketAddr,
    name: ServerName<'static>,
    head: String,
    timeout: Duration,
}

impl Bare {
    fn new(url: &str, root_pem: &str) -> Self {
        let mut roots = RootCertStore::empty();
        roots.add(CertificateDer::from_pem_slice(root_pem.as_bytes()).expect("PEM")).expect("a root");
        let mut config = ClientConfig::builder_with_provider(Arc::new(default_provider()))
            .with_safe_default_protocol_versions()
            .expect("the provider has them")
            .with_root_certificates(roots)
            .with_no_client_auth();
        config.resumption = Resumption::disabled();
        config.alpn_protocols = vec![b"http/1.1".to_vec()];
        let url = Url::parse(url).expect("the server wrote it");
        let address = url.socket_addrs(|| None).expect("an address")[0];
        let head = format!("GET {} HTTP/1.1\r\nhost: {address}\r\n{HEAD}", url.path());
        let (name, timeout) = (ServerName::from(address.ip()), Duration::from_secs(60));
        Self { connector: TlsConnector::from(Arc::new(config)), address, name, head, timeout }
    }

    async fn ask(&self) -> std::io::Result<bool> {
        let exchange = async {
            let stream = TcpStream::connect(self.address).await?;
            stream.set_nodelay(true)?;
            let mut stream = self.connector.connect(self.name.clone(), stream).await?;
            stream.write_all(self.head.as_bytes()).await?;
            let mut answer = Vec::with_capacity(256);
            stream.read_to_end(&mut answer).await?;
            Ok(answer.starts_with(b"HTTP/1.1 200 ") && answer.ends_with(b"\r\n\r\nok"))
        };
        tokio::time::timeout(self.timeout, exchange).await?
    }
}

struct Server {
    place: Place,
    process: Child,
    orders: ChildStdin,
    answers: BufReader<ChildStdout>,
}

impl Server {
    fn start() -> Self {
        let mut command = process::command("serve", "null");
        let mut process =
            command.stdin(Stdio::piped()).stdout(Stdio::piped()).spawn().expect("the bench can start itself");
        let orders = process.stdin.take().expect("it was asked for");
        let mut answers = BufReader::new(process.stdout.take().expect("it was asked for"));
        let place = line(&mut answers);
        Self { place, process, orders, answers }
    }

    /// Answers that came after a full handshake, since this was called last.
    fn full_handshakes(&mut self) -> usize {
        self.orders.write_all(b"take\n").expect("the server is there");
        line(&mut self.answers)
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        let _ = self.process.kill();
        let _ = self.process.wait();
    }
}

fn line<T: serde::de::DeserializeOwned>(answers: &mut BufReader<ChildStdout>) -> T {
    let mut line = String::new();
    answers.read_line(&mut line).expect("the server is there");
    process::job(&line)
}

/// Serves until it is killed.
fn serve() -> ! {
    process::raise_open_files_limit();
    let mut root = CertificateParams::default();
    root.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
    let key = KeyPair::generate().expect("a key");
    let root_pem = root.self_signed(&key).expect("a root").pem();
    let issuer = Issuer::new(root, key);
    let key = KeyPair::generate().expect("a key");
    let leaf = CertificateParams::new(["127.0.0.1".to_owned()]).expect("an address is a good name");
    let leaf = leaf.signed_by(&key, &issuer).expect("a certificate");
    let mut config = ServerConfig::builder_with_provider(Arc::new(default_provider()))
        .with_safe_default_protocol_versions()
        .expect("the provider has them")
        .with_no_client_auth()
        .with_single_cert(vec![leaf.der().clone()], PrivateKeyDer::Pkcs8(key.serialize_der().into()))
        .expect("they are of each other");
    config.alpn_protocols = vec![b"http/1.1".to_vec()];
    config.session_storage = Arc::new(NoServerSessionStorage {});
    config.send_tls13_tickets = 0;
    let (acceptor, full) = (TlsAcceptor::from(Arc::new(config)), Arc::new(AtomicUsize::new(0)));
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().expect("Linux has epoll");
    let listener = runtime.block_on(TcpListener::bind("127.0.0.1:0")).expect("a free port");
    let url = format!("https://{}", listener.local_addr().expect("a bound socket has an address"));
    println!("{}", process::report(&Place { url, root_pem }));
    let taken = Arc::clone(&full);
    std::thread::spawn(move || {
        for _ in std::io::stdin().lines().map_while(Result::ok) {
            println!("{}", taken.swap(0, Ordering::Relaxed));
        }
        std::process::exit(0);
    });
    runtime.block_on(async {
        loop {
            if let Ok((stream, _)) = listener.accept().await {
                let (acceptor, full) = (acceptor.clone(), Arc::clone(&full));
                tokio::spawn(async move {
                    let _ = answer(&acceptor, stream, &full).await; // whoever went away was counted all the same
                });
            }
        }
    })
}

async fn answer(acceptor: &TlsAcceptor, stream: TcpStream, full: &AtomicUsize) -> std::io::Result<()> {
    let mut stream = acceptor.accept(stream).await?;
    let (mut request, mut filled) = ([0; 1_024], 0);
    while !request[..filled].ends_with(b"\r\n\r\n") {
        match stream.read(&mut request[filled..]).await? {
            0 => return Ok(()),
            more => filled += more,
        }
    }
    let is_full = stream.get_ref().1.handshake_kind() == Some(HandshakeKind::Full);
    full.fetch_add(usize::from(is_full), Ordering::Relaxed);
    stream.write_all(ANSWER).await?;
    stream.shutdown().await
}
