//! One request through awc, over a connection that is already open, with the layer of [`wire`](super::wire) under it.

use std::cell::Cell;
use std::future::{Ready, poll_fn, ready};
use std::pin::Pin;
use std::rc::Rc;
use std::task::Poll;
use std::time::Duration;

use actix_http::BoxedPayloadStream;
use actix_service::Service;
use api_health_core::{Failure, Method};
use awc::http::Uri;
use awc::{Client, ClientResponse, Connector, FrozenClientRequest, http};
use bytes::Bytes;
use futures_util::StreamExt as _;
use tokio::task::unconstrained;

use super::dial::internal;
use super::exchange::{LastHop, Reply, Request};
use super::http2;
use super::seen::BodyStart;
use super::shelf::shelving;
use super::trace::Trace;
use super::wire::{Connection, Framing, Head, Headers, Wire};

/// awc's own timeouts cannot be left out altogether: so long that they never end an exchange.
const NEVER: Duration = Duration::from_secs(365 * 24 * 3_600);

/// An answer of which the head was read, and as much of the body as [`PartialResponse::receive`] was given time for.
pub(super) struct PartialResponse {
    pub(super) head: Head,
    body: Body,
    trace: Rc<Trace>,
    kept: Vec<u8>,
    start: BodyStart,
    read: usize,
    cut_at_bound: bool,
}

/// Where the pieces of a body come from.
pub(super) enum Body {
    Awc(ClientResponse<BoxedPayloadStream>),
    Http2(Box<http2::Stream>),
}

impl Body {
    async fn next(&mut self, trace: &Trace) -> Option<Result<Bytes, Failure>> {
        match self {
            Self::Awc(body) => Some(body.next().await?.map_err(|error| failure(trace, &error))),
            // On the heap: few go this way, and all would carry its size.
            Self::Http2(stream) => Box::pin(stream.next(trace)).await,
        }
    }
}

/// Sends `head` and `body`, and waits for the head of the answer.
pub(super) async fn ask(
    connection: Connection,
    head: Bytes,
    body: Option<Bytes>,
    method: Method,
    trace: &Rc<Trace>,
) -> Result<PartialResponse, Failure> {
    let mut wire = Some(Wire::new(connection, head, method, Rc::clone(trace)));
    let mut sent = REQUESTS.with(|requests| {
        let request = &requests[method as usize];
        match body {
            Some(body) => request.send_body(body),
            None => request.send_body(awc::body::None::new()),
        }
    });
    // awc asks for a connection the first time that it is polled, and waits for nothing before: its pool has no bound, and
    // `unconstrained` keeps the runtime from sending it to the back of the queue. So the wire that lies ready is this one.
    let first = poll_fn(|cx| {
        NEXT_WIRE.set(wire.take());
        Poll::Ready(shelving(|| Pin::new(&mut unconstrained(&mut sent)).poll(cx)))
    })
    .await;
    if NEXT_WIRE.take().is_some() {
        return Err(internal("awc did not use the connection it was given".into()));
    }
    let sent = match first {
        Poll::Ready(sent) => sent,
        Poll::Pending => sent.await,
    };
    let body = sent.map_err(|error| failure(trace, &error))?;
    let head =
        trace.take_head().ok_or_else(|| internal("awc returned a response without a head from the wire".into()))?;
    Ok(PartialResponse::new(head, Body::Awc(body), Rc::clone(trace)))
}

impl PartialResponse {
    pub(super) fn new(head: Head, body: Body, trace: Rc<Trace>) -> Self {
        Self { head, body, trace, kept: Vec::new(), start: BodyStart::default(), read: 0, cut_at_bound: false }
    }

    /// The body is not read: there may be one.
    pub(super) fn leave_body(&mut self) {
        self.cut_at_bound = self.head.framing != Framing::None;
    }

    /// Reads the body as far as the request wants it. What came before it fails or is dropped stays.
    pub(super) async fn receive(&mut self, request: &Request) -> Result<(), Failure> {
        let bytes_max = request.body_bytes_max;
        // Who wants no body does not wait for it either.
        self.cut_at_bound = bytes_max == 0;
        while !self.cut_at_bound
            && let Some(piece) = self.body.next(&self.trace).await
        {
            let mut piece = match piece {
                Ok(piece) => piece,
                Err(failure) => return Err(with_received(failure, self.read)),
            };
            let wanted = piece.len().min(bytes_max - self.read);
            self.read += wanted;
            if request.keep_body {
                self.kept.extend_from_slice(&piece[..wanted]);
            }
            self.cut_at_bound = piece.len() > wanted;
            piece.truncate(wanted);
            self.start.add(piece);
        }
        Ok(())
    }

    /// How the body began.
    pub(super) fn take_start(&mut self) -> BodyStart {
        std::mem::take(&mut self.start)
    }

    /// The head alone, of an answer that broke off.
    pub(super) fn into_headers(self) -> Headers {
        self.head.headers
    }

    /// What was read, and closes the connection.
    pub(super) fn end(self, last_hop: LastHop) -> Reply {
        self.trace.end();
        let Head { status, headers, framing } = self.head;
        Reply {
            status,
            headers,
            body_bytes: self.read as u64,
            content_length: match framing {
                Framing::None => Some(0),
                Framing::Length(length) => Some(length),
                Framing::Chunked | Framing::UntilClose => None,
            },
            body: self.kept,
            body_cut_at_bound: self.cut_at_bound,
            redirects: last_hop.redirects,
            left_behind: last_hop.left_behind,
            proxy: last_hop.proxy,
            url: last_hop.url,
            tls: self.trace.tls(),
            certificate: self.trace.validity(),
            client_certificate_wanted: self.trace.wants_client_certificate(),
        }
    }
}

/// What the wire wrote down is the truth. An error that awc came to by itself is about a body that it could not decode:
/// the wire vouches for the rest.
fn failure(trace: &Trace, error: &dyn std::fmt::Display) -> Failure {
    trace.take_failure().unwrap_or_else(|| Failure::NotHttp { detail: chunk_fault(&error.to_string()).into() })
}

/// What awc says of a body in chunks, the only one that it decodes, in words.
fn chunk_fault(said: &str) -> &'static str {
    match said {
        _ if said.contains("chunk body") => "a chunk of its body is not as long as its size says",
        _ if said.contains("too big") => "the size of a chunk of its body is beyond all bounds",
        _ if said.contains("chunk extension") => "a chunk of its body has a control character behind its size",
        _ if said.contains("chunk size") => {
            "the size of a chunk of its body is no hexadecimal number with a carriage return and a line feed behind it"
        }
        _ => "its body breaks the rules of the chunked transfer coding",
    }
}

/// Bytes of a body are those without the framing, which only awc has taken off.
fn with_received(failure: Failure, received: usize) -> Failure {
    match failure {
        Failure::BodyCutShort { expected, .. } => Failure::BodyCutShort { received: received as u64, expected },
        other => other,
    }
}

fn http_method(method: Method) -> http::Method {
    match method {
        Method::Get => http::Method::GET,
        Method::Head => http::Method::HEAD,
        Method::Post => http::Method::POST,
        Method::Put => http::Method::PUT,
        Method::Patch => http::Method::PATCH,
        Method::Delete => http::Method::DELETE,
        Method::Options => http::Method::OPTIONS,
    }
}

thread_local! {
    /// awc's side of each method, the same for every exchange of this thread: where to, and with which headers, is settled by
    /// the head that the wire sends in place of awc's. No connection is ever kept or shared.
    static REQUESTS: [FrozenClientRequest; Method::ALL.len()] = requests();
    /// For the exchange that is just beginning.
    static NEXT_WIRE: Cell<Option<Wire>> = const { Cell::new(None) };
}

fn requests() -> [FrozenClientRequest; Method::ALL.len()] {
    let connector = Connector::new().timeout(NEVER).limit(0).connector(Handover);
    let client =
        Client::builder().connector(connector).disable_timeout().disable_redirects().no_default_headers().finish();
    Method::ALL.map(|method| {
        let request = client.request(http_method(method), Uri::from_static("http://wire/"));
        let host = (http::header::HOST, http::header::HeaderValue::from_static("wire"));
        // It cannot fail: nothing in it comes from outside, and the first probe of any test makes all seven.
        request.insert_header(host).force_close().no_decompress().freeze().expect("a fixed request is a good one")
    })
}

/// The connector that awc asks for a connection: it hands over the one that lies ready.
#[derive(Clone)]
struct Handover;

type ConnectInfo = actix_tls::connect::ConnectInfo<Uri>;
type ConnectError = actix_tls::connect::ConnectError;
type Connected = actix_tls::connect::Connection<Uri, Wire>;

impl Service<ConnectInfo> for Handover {
    type Response = Connected;
    type Error = ConnectError;
    type Future = Ready<Result<Connected, ConnectError>>;

    actix_service::always_ready!();

    fn call(&self, info: ConnectInfo) -> Self::Future {
        let uri = info.request().clone();
        ready(NEXT_WIRE.take().map(|wire| Connected::new(uri, wire)).ok_or(ConnectError::Unresolved))
    }
}
