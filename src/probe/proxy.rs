//! To a server by way of an HTTP proxy: for http, the proxy is asked for the whole URL; for https, it opens a connection through which TLS
//! is spoken with the server itself (CONNECT).
//!
//! The proxy looks the server's name up, so the guard sees no more of that than an address in the URL itself. The address of the proxy is
//! guarded as any other.

use std::sync::Arc;

use api_health_core::observation::LocalFault;
use api_health_core::{Failure, IpFamily, Phase, text};
use bytes::Bytes;
use rustls::ClientConfig;
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::TcpStream;
use url::{Position, Url};

use super::dial::DialRules;
use super::proxies::Proxy;
use super::request::{Named, USER_AGENT};
use super::trace::Trace;
use super::wire::Connection;
use super::{dial, place, plain, tls};

/// The longest head of the answer to a CONNECT.
const HEAD_BYTES_MAX: usize = 16 * 1024;

impl Proxy {
    /// Opens a connection for a request to `url`: to the proxy, and for https on to the server.
    pub(super) async fn dial(
        &self,
        url: &Url,
        server_name: &Named,
        tls: Option<&Arc<ClientConfig>>,
        rules: DialRules<'_>,
        trace: &Trace,
    ) -> Result<Connection, Failure> {
        // What stands in the URL is guarded here, before anybody else connects to it.
        place::literal(url).map_or(Ok(()), |address| dial::guarded(address, rules.allowed))?;
        let server_name = server_name.as_ref().map_err(|failure| (**failure).clone())?;
        trace.dials_proxy(Some(self.shown()));
        // The family that an API is asked for is that of its own addresses.
        let resolver = rules.resolver.clone().with_family(IpFamily::Any);
        let opened = dial::dial(self.url(), &Ok(None), None, DialRules { resolver: &resolver, ..rules }, trace).await;
        trace.dials_proxy(None);
        let mut stream = match (opened.map_err(|failure| self.unreachable(&failure))?, server_name) {
            (Connection::Plain(stream), Some(_)) => stream,
            (connection, _) => return Ok(connection),
        };
        let server_name = server_name.clone().ok_or_else(|| dial::internal("no name for TLS".into()))?; // cannot be
        trace.begin(Phase::Connect);
        match self.tunnel(&mut stream, url).await? {
            200..300 => {}
            407 => return Err(self.wants_password()),
            status @ 500.. => return Err(Failure::BehindProxy { proxy: self.shown(), status }),
            status => return Err(self.fault(format!("answered {status}, and opens no connection for us"))),
        }
        trace.enter_phase(Phase::Tls);
        let stream = tls::handshake(tls.ok_or_else(dial::no_roots)?, server_name, stream, trace).await?;
        trace.enter_phase(Phase::FirstByte);
        Ok(Connection::tls(stream))
    }

    /// Asks for a connection to the server of `url`; the status of the answer.
    async fn tunnel(&self, stream: &mut TcpStream, url: &Url) -> Result<u16, Failure> {
        let port = url.port_or_known_default().unwrap_or_default();
        let authority = format!("{}:{port}", url.host_str().unwrap_or_default());
        let mut request = format!("CONNECT {authority} HTTP/1.1\r\nhost: {authority}\r\nuser-agent: {USER_AGENT}\r\n");
        if let Some(value) = self.authorization() {
            request.push_str(&format!("proxy-authorization: {}\r\n", value.reveal()));
        }
        request.push_str("\r\n");
        let broke = |error: std::io::Error| self.fault(format!("broke off: {}", plain::of_system(&error)));
        stream.write_all(request.as_bytes()).await.map_err(broke)?;
        let mut head = Vec::new();
        while !head.ends_with(b"\r\n\r\n") && !head.ends_with(b"\n\n") {
            // Byte by byte: what comes behind the head is the server's. It is short, and comes once for each probe.
            match stream.read_u8().await {
                Ok(byte) => head.push(byte),
                Err(error) if error.kind() == std::io::ErrorKind::UnexpectedEof => {
                    return Err(self.fault("closed the connection without an answer".into()));
                }
                Err(error) => return Err(broke(error)),
            }
            if head.len() > HEAD_BYTES_MAX {
                return Err(self.fault("gave an answer without an end".into()));
            }
        }
        let mut response = httparse::Response::new(&mut []);
        let _ = response.parse(&head); // its headers have no place, and do not matter
        response.code.ok_or_else(|| self.fault("gave an answer that is not HTTP".into()))
    }

    /// The head of a request as a proxy wants it: with the whole URL in its first line, and who we are.
    pub(super) fn absolute(&self, head: &[u8], url: &Url) -> Bytes {
        let path = head.iter().position(|&b| b == b' ').map_or(0, |at| at + 1);
        let headers = head.windows(2).position(|w| w == b"\r\n").map_or(head.len(), |at| at + 2);
        let authorization = self.authorization().map(|value| format!("proxy-authorization: {}\r\n", value.reveal()));
        let parts = [
            &head[..path],
            url[..Position::BeforePath].as_bytes(),
            &head[path..headers],
            authorization.as_deref().unwrap_or_default().as_bytes(),
            &head[headers..],
        ];
        parts.concat().into()
    }

    /// It does not know us.
    pub(super) fn wants_password(&self) -> Failure {
        let did = match self.user() {
            Some(_) => "refused the user name and password of its URL (status 407)",
            None => "wants a user name and password (status 407), and its URL has none",
        };
        self.fault(did.into())
    }

    fn unreachable(&self, failure: &Failure) -> Failure {
        match failure {
            Failure::Refused { .. } => self.fault("refused the connection".into()),
            Failure::Local(LocalFault::NameServersDead { .. }) => {
                self.fault("has a name that no name server answers".into())
            }
            // What this machine lacks is not the proxy's fault.
            Failure::Local(fault) => Failure::Local(fault.clone()),
            other => self.fault(format!("cannot be reached: {}", text::line(&other.to_string(), 200))),
        }
    }

    fn fault(&self, did: String) -> Failure {
        Failure::Local(LocalFault::Proxy { proxy: self.shown(), did })
    }
}
