//! What hyper's client connection says of the same bytes.

use std::error::Error as _;
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use api_health_core::Method;
use bytes::Bytes;
use http_body_util::{BodyExt as _, Full};
use hyper::client::conn::http1;
use hyper::rt::{Read, Write};
use hyper_util::rt::TokioIo;
use rustls::{ClientConfig, RootCertStore};
use tokio::net::TcpStream;
use tokio::time::timeout;
use tokio_rustls::TlsConnector;

use crate::server::AUTHORITY;

/// Status and whole body; or an error; or nothing in time.
#[derive(Debug, PartialEq, Eq)]
pub enum Says {
    Response(u16, Vec<u8>),
    Error,
    /// The whole body came, and trailers behind it that hyper refuses. We skip trailers unread.
    BadTrailers(u16, Vec<u8>),
    Nothing,
}

/// hyper parses trailers with httparse once their end is found; only then does a fault in them have these words.
fn is_about_trailers(error: &hyper::Error) -> bool {
    let Some(cause) = error.source().and_then(|e| e.downcast_ref::<std::io::Error>()).and_then(|e| e.get_ref()) else {
        return false;
    };
    cause.is::<httparse::Error>() || cause.to_string() == "Partial header"
}

pub async fn ask(address: SocketAddr, tls: bool, method: Method, body: Option<Bytes>, limit: Duration) -> Says {
    let exchange = async {
        let stream = TcpStream::connect(address).await.ok()?;
        stream.set_nodelay(true).ok()?;
        if !tls {
            return send(TokioIo::new(stream), method, body).await;
        }
        let mut roots = RootCertStore::empty();
        roots.add(AUTHORITY.der().clone()).ok()?;
        let provider = Arc::new(rustls::crypto::aws_lc_rs::default_provider());
        let config = ClientConfig::builder_with_provider(provider)
            .with_safe_default_protocol_versions()
            .ok()?
            .with_root_certificates(roots)
            .with_no_client_auth();
        let name = "localhost".try_into().ok()?;
        let stream = TlsConnector::from(Arc::new(config)).connect(name, stream).await.ok()?;
        send(TokioIo::new(stream), method, body).await
    };
    match timeout(limit, exchange).await {
        Err(_) => Says::Nothing,
        Ok(None) => Says::Error,
        Ok(Some(says)) => says,
    }
}

async fn send<S>(stream: S, method: Method, body: Option<Bytes>) -> Option<Says>
where
    S: Read + Write + Unpin + 'static,
{
    let (mut sender, connection) = http1::Builder::new()
        .max_headers(512)
        .max_buf_size(256 * 1024)
        .handshake::<_, Full<Bytes>>(stream)
        .await
        .ok()?;
    let connection = actix_rt::spawn(connection);
    let mut request = hyper::Request::builder().method(method.as_str()).uri("/x").header("host", "localhost");
    if let Some(body) = &body {
        request = request.header("content-length", body.len());
    }
    let request = request.body(Full::new(body.unwrap_or_default())).ok()?;
    let answer = async {
        let response = sender.send_request(request).await.ok()?;
        let status = response.status().as_u16();
        let mut body = response.into_body();
        let mut data = Vec::new();
        while let Some(frame) = body.frame().await {
            match frame {
                Ok(frame) => data.extend_from_slice(frame.data_ref().map_or(&[], |d| &d[..])),
                Err(error) if is_about_trailers(&error) => return Some(Says::BadTrailers(status, data)),
                Err(_) => return None,
            }
        }
        Some(Says::Response(status, data))
    };
    let answer = answer.await;
    connection.abort();
    answer
}
