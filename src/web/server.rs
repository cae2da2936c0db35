//! The thread, the listeners, and what each request has to pass before it is answered.

use std::io;
use std::net::{SocketAddr, TcpListener};
use std::sync::Arc;
use std::thread::JoinHandle;
use std::time::Duration;

use actix_web::body::{EitherBody, MessageBody};
use actix_web::dev::{ServerHandle, ServiceRequest, ServiceResponse};
use actix_web::http::header::{self, HeaderName, HeaderValue};
use actix_web::middleware::{Next, from_fn};
use actix_web::{App, HttpResponse, HttpServer, web};

use crate::access::Access;
use crate::model::{Model, Site};
use crate::{api, badge, events, feed, health, metrics, page};

/// Connections at once; more wait to be accepted.
pub const CONNECTIONS_MAX: usize = 256;

/// Within this time the head of a request has to come.
pub const HEAD_WITHIN: Duration = Duration::from_secs(5);

/// Where it listens, and who may look.
#[derive(Clone, Debug)]
pub struct Listen {
    pub addresses: Vec<SocketAddr>,
    pub access: Access,
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
    let listeners: Vec<TcpListener> = listen.addresses.iter().map(listener).collect::<io::Result<_>>()?;
    let addresses = listeners.iter().map(TcpListener::local_addr).collect::<io::Result<_>>()?;
    let (started, handle) = std::sync::mpsc::channel();
    let access = listen.access.clone();
    let thread = std::thread::Builder::new().name("web".into()).spawn(move || {
        // A thread that only shows gives way to those that probe. Without a right to that nothing is lost.
        let _ = rustix::process::nice(10);
        let system = actix_rt::System::new();
        system.block_on(async move {
            match server(site, access, listeners) {
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

fn listener(address: &SocketAddr) -> io::Result<TcpListener> {
    let listener =
        TcpListener::bind(address).map_err(|error| io::Error::new(error.kind(), format!("{address}: {error}")))?;
    listener.set_nonblocking(true)?;
    Ok(listener)
}

fn server(site: Site, access: Access, listeners: Vec<TcpListener>) -> io::Result<actix_web::dev::Server> {
    let (model, access) = (web::Data::new(Model::new(site)), Arc::new(access));
    let mut server = HttpServer::new(move || {
        let access = Arc::clone(&access);
        App::new()
            .app_data(model.clone())
            .wrap(from_fn(move |request, next| guard(Arc::clone(&access), request, next)))
            .configure(health::routes)
            .configure(page::public_routes)
            .configure(page::routes)
            .configure(api::routes)
            .configure(events::routes)
            .configure(badge::routes)
            .configure(feed::routes)
            .configure(metrics::routes)
    })
    .workers(1)
    .max_connections(CONNECTIONS_MAX)
    .client_request_timeout(HEAD_WITHIN)
    .disable_signals();
    for listener in listeners {
        server = server.listen(listener)?;
    }
    Ok(server.run())
}

/// Nothing comes from elsewhere, nothing stands in the page itself, and nobody frames it.
const CONTENT_SECURITY_POLICY: &str = "default-src 'none'; style-src 'self'; script-src 'self'; connect-src 'self'; img-src 'self'; \
                                       form-action 'self'; base-uri 'none'; frame-ancestors 'none'";

/// What every answer carries.
const HEADERS: [(HeaderName, &str); 4] = [
    (header::CONTENT_SECURITY_POLICY, CONTENT_SECURITY_POLICY),
    (header::X_CONTENT_TYPE_OPTIONS, "nosniff"),
    (header::REFERRER_POLICY, "no-referrer"),
    (header::CROSS_ORIGIN_RESOURCE_POLICY, "same-origin"),
];

async fn guard<B: MessageBody>(
    access: Arc<Access>,
    request: ServiceRequest,
    next: Next<B>,
) -> Result<ServiceResponse<EitherBody<B>>, actix_web::Error> {
    let host = request.headers().get(header::HOST).and_then(|host| host.to_str().ok()).unwrap_or_default();
    let mut response = if access.takes_host(host) {
        next.call(request).await?.map_into_left_body()
    } else {
        let why = "this name is not known here; [web] hosts in the settings lists those that are\n";
        request.into_response(HttpResponse::MisdirectedRequest().body(why)).map_into_right_body()
    };
    for (name, value) in HEADERS {
        response.headers_mut().insert(name, HeaderValue::from_static(value));
    }
    Ok(response)
}
