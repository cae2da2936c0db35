//! A small HTTP server of the test: it records what it is sent and answers as told, or misbehaves as told.

use std::io::{Read, Write};
use std::net::{TcpListener, TcpStream};
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};

use rustls::pki_types::{PrivateKeyDer, PrivatePkcs8KeyDer};
use rustls::{ServerConfig, ServerConnection, StreamOwned};

/// What the server does with each request.
#[derive(Clone)]
pub(crate) enum Script {
    /// Sends these bytes and closes.
    Answer(String),
    /// Sends these bytes and keeps the connection open.
    Hold(String),
    /// Sends the token in the request's path back, first of all: a worst case for secrets.
    Echo,
    /// Says nothing, and keeps the connection open.
    Silence,
    /// Closes without a word.
    Close,
}

impl Script {
    pub(crate) fn status(status: &str, headers: &str, body: &str) -> Self {
        Self::Answer(format!(
            "HTTP/1.1 {status}\r\nconnection: close\r\ncontent-length: {}\r\n{headers}\r\n{body}",
            body.len()
        ))
    }
}

/// A request as it came.
#[derive(Clone, Debug, Default)]
pub(crate) struct Recorded {
    pub(crate) head: String,
    pub(crate) body: String,
}

impl Recorded {
    /// The value of a header, names in either case.
    pub(crate) fn header(&self, name: &str) -> Option<&str> {
        let mut fields = self.head.lines().skip(1).filter_map(|line| line.split_once(':'));
        fields.find(|(n, _)| n.eq_ignore_ascii_case(name)).map(|(_, value)| value.trim())
    }
}

/// Listens until the test process ends.
pub(crate) struct Server {
    pub(crate) port: u16,
    /// The certificate to trust, where it speaks TLS.
    pub(crate) root_pem: Option<String>,
    requests: Arc<Mutex<Vec<Recorded>>>,
}

impl Server {
    pub(crate) fn plain(script: Script) -> Self {
        Self::start(script, None)
    }

    /// With a certificate of its own for `localhost`.
    pub(crate) fn tls(script: Script) -> Self {
        let signing_key = rcgen::KeyPair::generate().unwrap();
        let mut params = rcgen::CertificateParams::new(vec!["localhost".to_owned()]).unwrap();
        static NEXT_ISSUER: AtomicUsize = AtomicUsize::new(0);
        // An issuer of its own: by name alone, one test's certificate would pass for another's with a bad signature.
        let issuer = format!("test {}", NEXT_ISSUER.fetch_add(1, Ordering::SeqCst));
        params.distinguished_name.push(rcgen::DnType::CommonName, issuer);
        let cert = params.self_signed(&signing_key).unwrap();
        let key = PrivateKeyDer::Pkcs8(PrivatePkcs8KeyDer::from(signing_key.serialize_der()));
        let provider = Arc::new(rustls::crypto::aws_lc_rs::default_provider());
        let config = ServerConfig::builder_with_provider(provider)
            .with_safe_default_protocol_versions()
            .unwrap()
            .with_no_client_auth()
            .with_single_cert(vec![cert.der().clone()], key)
            .unwrap();
        Self { root_pem: Some(cert.pem()), ..Self::start(script, Some(Arc::new(config))) }
    }

    fn start(script: Script, tls: Option<Arc<ServerConfig>>) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let port = listener.local_addr().unwrap().port();
        let requests = Arc::new(Mutex::new(Vec::new()));
        let record = Arc::clone(&requests);
        std::thread::spawn(move || {
            for stream in listener.incoming().flatten() {
                let (script, record, tls) = (script.clone(), Arc::clone(&record), tls.clone());
                std::thread::spawn(move || match tls {
                    None => serve(stream, &script, &record),
                    Some(config) => {
                        let mut stream = StreamOwned::new(ServerConnection::new(config).unwrap(), stream);
                        serve(&mut stream, &script, &record);
                        stream.conn.send_close_notify();
                        let _ = stream.flush();
                    }
                });
            }
        });
        Self { port, root_pem: None, requests }
    }

    pub(crate) fn endpoint(&self) -> String {
        format!("http://127.0.0.1:{}", self.port)
    }

    pub(crate) fn requests(&self) -> Vec<Recorded> {
        self.requests.lock().unwrap().clone()
    }
}

fn serve(mut stream: impl Read + Write, script: &Script, record: &Mutex<Vec<Recorded>>) {
    let Some(request) = read_request(&mut stream) else { return };
    record.lock().unwrap().push(request.clone());
    match script {
        Script::Answer(bytes) => drop(stream.write_all(bytes.as_bytes())),
        Script::Hold(bytes) => {
            let _ = stream.write_all(bytes.as_bytes());
            let _ = stream.flush();
            let _ = stream.read(&mut [0; 1]); // until the other side gives up
        }
        Script::Echo => drop(stream.write_all(request.head.rsplit("/services/").next().unwrap_or_default().as_bytes())),
        Script::Silence => drop(stream.read(&mut [0; 1])), // until the other side gives up
        Script::Close => {}
    }
    let _ = stream.flush();
}

fn read_request(stream: &mut impl Read) -> Option<Recorded> {
    let mut bytes = Vec::new();
    let mut buffer = [0; 4096];
    loop {
        let text = String::from_utf8_lossy(&bytes).into_owned();
        if let Some(end) = text.find("\r\n\r\n") {
            let request = Recorded { head: text[..end + 4].to_owned(), body: text[end + 4..].to_owned() };
            let length = request.header("content-length").map_or(0, |value| value.parse().unwrap());
            if request.body.len() >= length {
                return Some(request);
            }
        }
        match stream.read(&mut buffer) {
            Ok(count) if count > 0 => bytes.extend_from_slice(&buffer[..count]),
            _ => return None,
        }
    }
}

/// A port that refuses: that of a service which no machine has run for decades (RFC 1078). One that was free a moment ago may
/// be another test's by now.
pub(crate) fn refusing_port() -> u16 {
    let port = 1;
    assert!(TcpStream::connect(("127.0.0.1", port)).is_err());
    port
}
