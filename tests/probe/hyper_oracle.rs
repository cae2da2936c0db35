//! What hyper's client connection says of the same bytes.

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
    Nothing,
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
        Ok(Some((status, body))) => Says::Response(status, body),
    }
}

async fn send<S>(stream: S, method: Method, body: Option<Bytes>) -> Option<(u16, Vec<u8>)>
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
        let body = response.into_body().collect().await.ok()?;
        Some((status, body.to_bytes().to_vec()))
    };
    let answer = answer.await;
    connection.abort();
    answer
}
