//! The page: whether it answers where it should, or could be there; and who may look from other machines.

use std::io::ErrorKind;
use std::net::{SocketAddr, TcpListener};
use std::time::Duration;

use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;

use super::report::Finding;
use crate::app::web::link;
use crate::cli::checks::Check;
use crate::cli::text;
use crate::settings::WebSettings;

/// Bound on one question.
const ANSWERS_WITHIN: Duration = Duration::from_secs(5);

/// So much of an answer tells whose it is.
const ANSWER_BYTES: u64 = 4 * 1024;

pub(super) async fn examine(web: &WebSettings) -> Vec<Finding> {
    let check = Check::Page;
    if !web.enabled {
        return check.ok("it is off (web.enabled = false)").into();
    }
    let mut found = Vec::new();
    for address in &web.listen {
        found.push(at(*address).await);
    }
    if let Some(far) = web.listen.iter().find(|address| !address.ip().to_canonical().is_loopback()) {
        found.push(for_others(*far, web));
    }
    found
}

async fn at(address: SocketAddr) -> Finding {
    let (check, link) = (Check::Page, link(address));
    let another = "write another one: listen = \"127.0.0.1:PORT\" below [web]; as a service, open it in the unit as well \
                   (systemctl edit api-health: [Service], SocketBindAllow=tcp:PORT)";
    match tokio::time::timeout(ANSWERS_WITHIN, ask(link.trim_start_matches("http://").trim_end_matches('/'))).await {
        Ok(Ok(true)) => check.ok(format!("it answers at {link}")),
        Ok(Ok(false)) => check.warn(format!("another program answers at {link}"), another),
        Ok(Err(error)) if error.kind() == ErrorKind::ConnectionRefused => match TcpListener::bind(address) {
            Ok(_) => check.ok(format!("nothing listens on {address} just now, and it is free")),
            Err(error) => check.warn(format!("{address} cannot be listened on: {error}"), another),
        },
        Ok(Err(error)) => check.warn(format!("{link} cannot be asked: {error}"), another),
        Err(_) => check.warn(format!("{link} does not answer within {} s", ANSWERS_WITHIN.as_secs()), another),
    }
}

/// Whether what answers there is a page of ours.
async fn ask(address: &str) -> std::io::Result<bool> {
    let mut stream = TcpStream::connect(address).await?;
    stream.write_all(b"GET /healthz HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n").await?;
    let mut answer = Vec::new();
    stream.take(ANSWER_BYTES).read_to_end(&mut answer).await?;
    let answer = String::from_utf8_lossy(&answer);
    Ok(answer.starts_with("HTTP/1.1 200") && answer.ends_with("\r\n\r\nok\n"))
}

/// Who may look at what other machines can reach.
fn for_others(address: SocketAddr, web: &WebSettings) -> Finding {
    let check = Check::Page;
    if web.access.is_open {
        let what = format!("anybody who can reach {address} may look (web.open = true)");
        return check.warn(what, "see that the network lets in only whom you mean, or write tokens in its place");
    }
    let tokens = web.access.tokens.len();
    let by_token = (tokens > 0).then(|| format!("whoever has one of {}", text::count(tokens, "token")));
    let by_header = web.access.trusted_header.as_ref().map(|name| format!("whom a proxy names in {name}"));
    let who = by_token.into_iter().chain(by_header).collect::<Vec<_>>().join(", and ");
    check.ok(format!("{who} may look at {address}; what is sent there is not encrypted"))
}
