//! One hop of an exchange: a connection is opened for it, and the request asked over HTTP/1.1, or over HTTP/2 where the server speaks
//! nothing else.
//!
//! HTTP/1.1 alone is offered. Who refuses that by an alert, or agrees on no protocol and then closes or sends what is no HTTP/1.1, is
//! dialled once more with HTTP/2 alone.

use std::rc::Rc;
use std::sync::Arc;
use std::sync::atomic::Ordering;

use api_health_core::{Failure, Phase};
use tokio::time::{Instant, timeout_at};

use super::client::Client;
use super::engine::PartialResponse;
use super::identity::Shown;
use super::proxies::Proxy;
use super::request::{Hop, Prepared};
use super::trace::Trace;
use super::wire::Connection;
use super::{engine, http2, identity, tls};

/// What of TLS is not as for all: a certificate to show, and other protocols to offer than HTTP/1.1.
#[derive(Clone, Copy, Default)]
pub(super) struct Tls<'a> {
    pub(super) shown: Option<&'a Arc<Shown>>,
    pub(super) protocols: Option<&'a [&'a [u8]]>,
}

/// What is asked, and by which way.
#[derive(Clone, Copy)]
pub(super) struct Way<'a> {
    pub(super) prepared: &'a Prepared,
    pub(super) hop: &'a Hop<'a>,
    pub(super) proxy: Option<&'a Arc<Proxy>>,
    pub(super) trace: &'a Rc<Trace>,
}

impl Client {
    /// One request, over HTTP/1.1 or over HTTP/2 where the server speaks nothing else.
    pub(super) async fn ask(&self, way: Way<'_>) -> Result<PartialResponse, Failure> {
        let Way { prepared, hop, proxy, trace } = way;
        if prepared.speaks_http2().load(Ordering::Relaxed) {
            match Box::pin(self.dial_http2(way)).await? {
                Some(connection) => return Box::pin(http2::ask(connection, hop, trace)).await,
                None => drop(trace.begin_hop()),
            }
            prepared.speaks_http2().store(false, Ordering::Relaxed);
        }
        let mut may_speak_http2 = false;
        let asked = async {
            let connection = self.dial_hop(way, None).await?;
            may_speak_http2 = connection.agreed_on_nothing();
            // Under TLS it is the server that reads the head.
            let reader = proxy.filter(|_| hop.url.scheme() == "http");
            let head = reader.map_or_else(|| hop.head.clone(), |proxy| proxy.absolute(&hop.head, &hop.url));
            engine::ask(connection, head, hop.body.cloned(), hop.method, trace).await
        }
        .await;
        match asked {
            Err(Failure::Tls { detail }) if detail == tls::NO_PROTOCOL => {
                Box::pin(self.or_http2(Failure::Tls { detail }, way)).await
            }
            Err(
                failure @ (Failure::NotHttp { .. }
                | Failure::Closed { phase: Phase::FirstByte }
                | Failure::Reset { phase: Phase::FirstByte }),
            ) if may_speak_http2 => Box::pin(self.or_http2(failure, way)).await,
            asked => asked,
        }
    }

    /// What a server says over HTTP/2 that did not understand HTTP/1.1; if it speaks no HTTP/2 either, the failure is as it was.
    async fn or_http2(&self, failure: Failure, way: Way<'_>) -> Result<PartialResponse, Failure> {
        let Way { prepared, hop, trace, .. } = way;
        let before = trace.begin_hop();
        // Whatever it does, there is time left to say what it did before.
        let half = Instant::now() + trace.deadline().saturating_duration_since(Instant::now()) / 2;
        match timeout_at(half, self.dial_http2(way)).await {
            Ok(Ok(Some(connection))) => {
                prepared.speaks_http2().store(true, Ordering::Relaxed);
                http2::ask(connection, hop, trace).await
            }
            _ => {
                trace.restore(before);
                Err(failure)
            }
        }
    }

    /// A connection for it; `None` if the server does not speak it.
    async fn dial_http2(&self, way: Way<'_>) -> Result<Option<Connection>, Failure> {
        match self.dial_hop(way, Some(&[identity::HTTP_2])).await {
            Err(Failure::Tls { detail }) if detail == tls::NO_PROTOCOL => Ok(None),
            connection => Ok(Some(connection?).filter(Connection::speaks_http2)),
        }
    }

    async fn dial_hop(&self, way: Way<'_>, protocols: Option<&[&[u8]]>) -> Result<Connection, Failure> {
        let Way { prepared, hop, proxy, trace } = way;
        let own = prepared.own(&hop.url);
        let place = own.and_then(|own| own.place.as_ref()).unwrap_or(&hop.url);
        let server_name = own.and_then(|own| own.server_name.as_ref()).unwrap_or(&hop.server_name);
        let shown = own.and_then(|own| own.shown.as_ref());
        self.dial(place, server_name, proxy, trace, Tls { shown, protocols }).await
    }
}
