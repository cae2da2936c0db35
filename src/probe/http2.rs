//! HTTP/2, where the server speaks nothing else: one request over a TLS connection on which both sides agreed to it.

use std::future::poll_fn;
use std::io;
use std::pin::Pin;
use std::rc::Rc;
use std::task::Poll;
use std::time::Duration;

use api_health_core::{Failure, Method, Phase};
use bytes::Bytes;
use h2::client::{Builder, Connection as Speaker};
use h2::{Reason, RecvStream};
use http::{HeaderName, HeaderValue, Request, Uri};
use tokio::time::timeout;

use super::dial::{internal, local_fault};
use super::engine::{Body, PartialResponse};
use super::request::Hop;
use super::tls::{self, tls_error};
use super::trace::Trace;
use super::wire::{Connection, Framing, Head, Headers};
use super::{identity, plain};

/// The longest head, as over HTTP/1.1.
const HEAD_BYTES_MAX: u32 = 256 * 1024;
/// How long the server is given to take our goodbye.
const GOODBYE: Duration = Duration::from_millis(20);

/// The body of an answer, and the connection that has to be driven while it is read.
pub(super) struct Stream {
    speaker: Option<Speaker<Connection, Bytes>>,
    body: RecvStream,
    expected: Option<u64>,
    received: u64,
}

impl Connection {
    /// Whether TLS was spoken and the server took none of the protocols that were offered.
    pub(super) fn agreed_on_nothing(&self) -> bool {
        self.agreed() == Some(None)
    }

    pub(super) fn speaks_http2(&self) -> bool {
        self.agreed() == Some(Some(identity::HTTP_2))
    }
}

/// Sends the request of `hop`, and waits for the head of the answer.
pub(super) async fn ask(connection: Connection, hop: &Hop<'_>, trace: &Rc<Trace>) -> Result<PartialResponse, Failure> {
    let (request, method) = (request(hop)?, hop.method);
    let body = hop.body.cloned().filter(|body| !body.is_empty());
    let failed = |error: h2::Error| failure(&error, trace);
    let handshake = Builder::new().enable_push(false).max_header_list_size(HEAD_BYTES_MAX).handshake(connection).await;
    let (mut requests, speaker) = handshake.map_err(failed)?;
    let mut speaker = Some(speaker);
    beside(&mut speaker, poll_fn(|cx| requests.poll_ready(cx)), trace).await?.map_err(failed)?;
    let (answer, mut sending) = requests.send_request(request, body.is_none()).map_err(failed)?;
    if let Some(body) = body {
        // What the server's window does not take yet is kept, and sent while the answer is waited for.
        sending.send_data(body, true).map_err(failed)?;
    }
    let answer = beside(&mut speaker, answer, trace).await?.map_err(failed)?;
    trace.enter_phase(Phase::Body);
    let (parts, body) = answer.into_parts();
    let expected = parts.headers.get("content-length").and_then(|value| value.to_str().ok()?.parse().ok());
    let has_no_body = method == Method::Head || matches!(parts.status.as_u16(), 204 | 304) || body.is_end_stream();
    let framing = match expected {
        _ if has_no_body => Framing::None,
        Some(length) => Framing::Length(length),
        None => Framing::UntilClose,
    };
    let mut raw = format!("HTTP/2 {}\r\n", parts.status.as_u16()).into_bytes();
    for (name, value) in &parts.headers {
        for part in [name.as_str().as_bytes(), b": ", value.as_bytes(), b"\r\n"] {
            raw.extend_from_slice(part);
        }
    }
    let head = Head { status: parts.status.as_u16(), headers: Headers::of(raw), framing };
    let stream = Stream { speaker, body, expected: expected.filter(|_| !has_no_body), received: 0 };
    Ok(PartialResponse::new(head, Body::Http2(Box::new(stream)), Rc::clone(trace)))
}

impl Stream {
    /// The next piece of the body.
    pub(super) async fn next(&mut self, trace: &Trace) -> Option<Result<Bytes, Failure>> {
        match beside(&mut self.speaker, self.body.data(), trace).await {
            Ok(Some(Ok(piece))) => {
                self.received += piece.len() as u64;
                let _ = self.body.flow_control().release_capacity(piece.len()); // it was taken a moment ago
                Some(Ok(piece))
            }
            Ok(None) => {
                // The answer is whole: the server may know that nobody is left.
                if let Some(speaker) = self.speaker.take() {
                    let _ = timeout(GOODBYE, speaker).await;
                }
                None
            }
            Ok(Some(Err(error))) => Some(Err(self.broke(failure(&error, trace)))),
            Err(failure) => Some(Err(self.broke(failure))),
        }
    }

    fn broke(&self, failure: Failure) -> Failure {
        match (failure, self.expected) {
            (Failure::Closed { .. }, expected @ Some(_)) => Failure::BodyCutShort { received: self.received, expected },
            (failure, _) => failure,
        }
    }
}

/// What comes of `what`, which comes only while the connection is driven.
async fn beside<T>(
    speaker: &mut Option<Speaker<Connection, Bytes>>,
    what: impl Future<Output = T>,
    trace: &Trace,
) -> Result<T, Failure> {
    let mut what = std::pin::pin!(what);
    poll_fn(|cx| {
        if let Poll::Ready(value) = what.as_mut().poll(cx) {
            return Poll::Ready(Ok(value));
        }
        let Some(driven) = speaker.as_mut() else {
            return Poll::Ready(Err(Failure::Closed { phase: trace.phase() }));
        };
        match Pin::new(driven).poll(cx) {
            Poll::Pending => Poll::Pending,
            Poll::Ready(ended) => {
                *speaker = None;
                match (what.as_mut().poll(cx), ended) {
                    (Poll::Ready(value), _) => Poll::Ready(Ok(value)),
                    (Poll::Pending, Err(error)) => Poll::Ready(Err(failure(&error, trace))),
                    (Poll::Pending, Ok(())) => Poll::Ready(Err(Failure::Closed { phase: trace.phase() })),
                }
            }
        }
    })
    .await
}

/// The head that HTTP/1.1 would have sent, as HTTP/2 has it: without what speaks of the connection.
fn request(hop: &Hop<'_>) -> Result<Request<()>, Failure> {
    let mut slots = [httparse::EMPTY_HEADER; 128];
    let mut head = httparse::Request::new(&mut slots);
    let broken = |what: &str| internal(format!("the request cannot be sent over HTTP/2: {what}"));
    head.parse(&hop.head).map_err(|error| broken(&error.to_string()))?;
    let host = head.headers.iter().find(|header| header.name.eq_ignore_ascii_case("host"));
    let host = host.and_then(|header| str::from_utf8(header.value).ok()).unwrap_or_default();
    let uri = Uri::builder().scheme("https").authority(host).path_and_query(head.path.unwrap_or("/")).build();
    let uri = uri.map_err(|error| broken(&error.to_string()))?;
    let mut request = Request::builder().method(hop.method.as_str()).uri(uri);
    for header in head.headers.iter().filter(|header| !is_of_connection(header.name)) {
        let name = HeaderName::from_bytes(header.name.as_bytes()).map_err(|error| broken(&error.to_string()))?;
        let mut value = HeaderValue::from_bytes(header.value).map_err(|error| broken(&error.to_string()))?;
        value.set_sensitive(name == "authorization" || name == "cookie");
        request = request.header(name, value);
    }
    request.body(()).map_err(|error| broken(&error.to_string()))
}

/// RFC 9113, section 8.2.2; the host has a field of its own.
fn is_of_connection(name: &str) -> bool {
    ["host", "connection", "proxy-connection", "keep-alive", "transfer-encoding", "upgrade", "te"]
        .iter()
        .any(|one| name.eq_ignore_ascii_case(one))
}

fn failure(error: &h2::Error, trace: &Trace) -> Failure {
    let phase = trace.phase();
    if let Some(io) = error.get_io() {
        return match (io.kind(), tls_error(io)) {
            (_, Some(tls)) => Failure::Tls { detail: tls::words(tls, trace) },
            (io::ErrorKind::UnexpectedEof | io::ErrorKind::BrokenPipe, _) => Failure::Closed { phase },
            (io::ErrorKind::ConnectionReset | io::ErrorKind::ConnectionAborted, _) => Failure::Reset { phase },
            _ => local_fault(io).map_or(Failure::Reset { phase }, Failure::Local),
        };
    }
    let words = error.reason().map_or_else(|| error.to_string(), |reason| reason.description().to_owned());
    let detail = match error.reason() {
        Some(Reason::HTTP_1_1_REQUIRED) => "over HTTP/2, the server wants HTTP/1.1".to_owned(),
        _ if error.is_remote() => format!("the server broke off over HTTP/2: {}", plain::words(&words)),
        _ => format!("the server broke the rules of HTTP/2: {}", plain::words(&words)),
    };
    Failure::NotHttp { detail }
}
