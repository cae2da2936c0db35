//! The thread, the listeners, and what each request has to pass before it is answered.

use std::io;
use std::net::{SocketAddr, TcpListener};
use std::sync::Arc;
use std::thread::JoinHandle;
use std::time::Duration;

use actix_web::body::{EitherBody, MessageBody};
use actix_web::dev::{ServerHandle, ServiceRequest, ServiceResponse};
use actix_web::http::header::{self, HeaderName, HeaderValue};
use actix_web::http::{KeepAlive, Method, StatusCode, Version};
use actix_web::middleware::{Next, from_fn};
use actix_web::{App, HttpMessage, HttpResponse, HttpServer, web};

use crate::access::{Access, Looker};
use crate::model::{Model, Site};
use crate::{api, badge, events, feed, health, metrics, page};

/// Connections at once; more wait to be accepted.
const CONNECTIONS_MAX: usize = 256;
/// Within this time the head of a request has to come.
const HEAD_WITHIN: Duration = Duration::from_secs(5);
/// Who takes nothing of its answer for this long is cut off.
const TAKEN_WITHIN: Duration = Duration::from_secs(30);

/// These bounds, which tests make smaller.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Limits {
    pub connections: usize,
    pub head_within: Duration,
    pub taken_within: Duration,
}

impl Default for Limits {
    fn default() -> Self {
        Self { connections: CONNECTIONS_MAX, head_within: HEAD_WITHIN, taken_within: TAKEN_WITHIN }
    }
}

/// The longest path with its query.
pub const TARGET_BYTES_MAX: usize = 8 * 1024;

/// Where it listens, and who may look.
#[derive(Clone, Debug)]
pub struct Listen {
    pub addresses: Vec<SocketAddr>,
    pub access: Access,
    pub limits: Limits,
}

/// The running web side. It ends with it.
pub struct Server {
    addresses: Vec<SocketAddr>,
    handle: ServerHandle,
    thread: Option<JoinHandle<()>>,
}

impl Server {
    /// Where it listens: with the port that was found, where any was taken.
    pub fn addresses(&self) -> &[SocketAddr] {
        &self.addresses
    }

    /// Whether its thread still runs.
    pub fn is_alive(&self) -> bool {
        self.thread.as_ref().is_some_and(|thread| !thread.is_finished())
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        // Requests under way are cut off: nothing that matters is lost by it, and the process wants to end.
        drop(self.handle.stop(false));
        if let Some(thread) = self.thread.take() {
            let _ = thread.join(); // a panic there was logged
        }
    }
}

/// Starts the web side on a thread of its own.
///
/// # Errors
/// An address cannot be listened on, or no thread is to be had.
pub fn start(site: Site, listen: &Listen) -> io::Result<Server> {
    let Listen { access, limits, .. } = listen.clone();
    let listener = |address| listener(address, limits);
    let listeners: Vec<TcpListener> = listen.addresses.iter().map(listener).collect::<io::Result<_>>()?;
    let addresses = listeners.iter().map(TcpListener::local_addr).collect::<io::Result<_>>()?;
    let (started, handle) = std::sync::mpsc::channel();
    let thread = std::thread::Builder::new().name("web".into()).spawn(move || {
        // A thread that only shows gives way to those that probe. Without a right to that nothing is lost.
        let _ = rustix::process::nice(10);
        let system = actix_rt::System::new();
        system.block_on(async move {
            match server(site, access, limits, listeners) {
                Ok(server) => {
                    let _ = started.send(Ok(server.handle()));
                    if let Err(error) = server.await {
                        tracing::error!(%error, "the web side ended; probing goes on");
                    }
                }
                Err(error) => drop(started.send(Err(error))),
            }
        });
    })?;
    let handle = handle.recv().map_err(|_| io::Error::other("the thread of the web side ended at once"))??;
    Ok(Server { addresses, handle, thread: Some(thread) })
}

fn listener(address: &SocketAddr, limits: Limits) -> io::Result<TcpListener> {
    let listener =
        TcpListener::bind(address).map_err(|error| io::Error::new(error.kind(), format!("{address}: {error}")))?;
    listener.set_nonblocking(true)?;
    // Connections have it from their listener. A reader whose window stays shut is cut off by the kernel.
    let taken_within = u32::try_from(limits.taken_within.as_millis()).unwrap_or(u32::MAX);
    rustix::net::sockopt::set_tcp_user_timeout(&listener, taken_within)?;
    Ok(listener)
}

fn server(
    site: Site,
    access: Access,
    limits: Limits,
    listeners: Vec<TcpListener>,
) -> io::Result<actix_web::dev::Server> {
    let (model, access) = (web::Data::new(Model::new(site)), Arc::new(access));
    let mut server = HttpServer::new(move || {
        let access = Arc::clone(&access);
        App::new()
            .app_data(model.clone())
            .wrap(from_fn(move |request, next| guard(Arc::clone(&access), request, next)))
            .configure(for_everybody)
            .service(web::scope("").wrap(from_fn(login)).configure(for_those_who_may_look))
    })
    .workers(1)
    // One request for each connection: only the first one has a deadline for its head, and a connection that was used once could be
    // held for ever by half a head.
    .keep_alive(KeepAlive::Disabled)
    .max_connections(limits.connections)
    .client_request_timeout(limits.head_within)
    .disable_signals();
    for listener in listeners {
        server = server.listen(listener)?;
    }
    Ok(server.run())
}

/// Routes that need no login. What they tell strangers is for each of them to bound.
fn for_everybody(config: &mut web::ServiceConfig) {
    config
        .configure(health::routes)
        .configure(page::public_routes)
        .configure(api::public_routes)
        .configure(badge::routes)
        .configure(feed::routes);
    #[cfg(test)]
    config.configure(crate::testing::routes);
}

/// All others.
fn for_those_who_may_look(config: &mut web::ServiceConfig) {
    config.configure(api::routes).configure(events::routes).configure(metrics::routes).configure(page::routes); // the last: it answers what nobody knows
}

/// The same for a page that these origins may frame.
pub(crate) fn content_security_policy(framed_by: &[String]) -> String {
    CONTENT_SECURITY_POLICY.replace("frame-ancestors 'none'", &format!("frame-ancestors {}", framed_by.join(" ")))
}

/// Nothing comes from elsewhere, nothing stands in the page itself, and nobody frames it.
const CONTENT_SECURITY_POLICY: &str = "default-src 'none'; style-src 'self'; script-src 'self'; connect-src 'self'; img-src 'self'; \
                                       form-action 'self'; base-uri 'none'; frame-ancestors 'none'";

/// What every answer carries, unless it says otherwise itself.
const HEADERS: [(HeaderName, &str); 4] = [
    (header::CONTENT_SECURITY_POLICY, CONTENT_SECURITY_POLICY),
    (header::X_CONTENT_TYPE_OPTIONS, "nosniff"),
    (header::REFERRER_POLICY, "no-referrer"),
    (header::CROSS_ORIGIN_RESOURCE_POLICY, "same-origin"),
];

/// What every request has to pass, and who sent it.
async fn guard<B: MessageBody>(
    access: Arc<Access>,
    mut request: ServiceRequest,
    next: Next<B>,
) -> Result<ServiceResponse<EitherBody<B>>, actix_web::Error> {
    let mut response = match refusal(&access, &request) {
        Some((status, why)) => {
            let mut refused = HttpResponse::build(status);
            if status == StatusCode::METHOD_NOT_ALLOWED {
                refused.insert_header((header::ALLOW, "GET, HEAD"));
            }
            request.into_response(refused.force_close().body(why)).map_into_right_body()
        }
        None => {
            // Routes know GET alone; the body of an answer to HEAD is left out where it is written.
            request.head_mut().method = Method::GET;
            // HTTP/1.0 is spoken by proxies that say nothing of themselves (nginx by default), and by no browser.
            let peer = request.peer_addr().map(|peer| peer.ip()).filter(|_| request.version() > Version::HTTP_10);
            let looker = access.looker(peer, request.headers());
            request.extensions_mut().insert(looker);
            next.call(request).await?.map_into_left_body()
        }
    };
    if let Some(model) = response.request().app_data::<web::Data<Model>>() {
        model.requests.note(response.request().match_pattern(), response.status().as_u16());
    }
    for (name, value) in HEADERS {
        if !response.headers().contains_key(&name) {
            response.headers_mut().insert(name, HeaderValue::from_static(value));
        }
    }
    Ok(response)
}

/// Why a request is not even looked at.
fn refusal(access: &Access, request: &ServiceRequest) -> Option<(StatusCode, &'static str)> {
    let headers = request.headers();
    let host = headers.get(header::HOST).and_then(|host| host.to_str().ok()).unwrap_or_default();
    let has_body = headers.get(header::CONTENT_LENGTH).is_some_and(|length| length.as_bytes() != b"0")
        || headers.contains_key(header::TRANSFER_ENCODING);
    if !access.takes_host(host) {
        let why = "this name is not known here; [web] hosts in the settings lists those that are\n";
        return Some((StatusCode::MISDIRECTED_REQUEST, why));
    }
    if !matches!(*request.method(), Method::GET | Method::HEAD) {
        return Some((StatusCode::METHOD_NOT_ALLOWED, "this side only shows: GET and HEAD\n"));
    }
    if has_body {
        return Some((StatusCode::PAYLOAD_TOO_LARGE, "a request has no body here\n"));
    }
    if request.uri().to_string().len() > TARGET_BYTES_MAX {
        return Some((StatusCode::URI_TOO_LONG, "path and query have at most 8,192 bytes\n"));
    }
    None
}

/// Lets in those who may look.
async fn login<B: MessageBody>(
    looker: Looker,
    request: ServiceRequest,
    next: Next<B>,
) -> Result<ServiceResponse<EitherBody<B>>, actix_web::Error> {
    if looker == Looker::Known {
        return Ok(next.call(request).await?.map_into_left_body());
    }
    let why = "who may look here: whoever has a token (as password, with any name; or as Authorization: Bearer TOKEN). \
               `api-health web token` makes one; [web] in the settings says who else\n";
    let refused = HttpResponse::Unauthorized()
        .insert_header((header::WWW_AUTHENTICATE, "Basic realm=\"api-health\", charset=\"UTF-8\""))
        .body(why);
    Ok(request.into_response(refused).map_into_right_body())
}

#[cfg(test)]
#[path = "server_tests.rs"]
mod tests;
