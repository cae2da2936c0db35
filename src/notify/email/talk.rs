//! The talk with a mail server, from its greeting to what it says of the mail.
//!
//! lettre speaks SMTP over connections that are opened here. Under STARTTLS the encrypted connection begins a talk of its own, so that
//! nothing counts of what was said before it was encrypted, nor of what somebody put in behind the word that it may be.

use std::cell::Cell;
use std::error::Error as _;
use std::io;
use std::net::{IpAddr, SocketAddr};
use std::pin::Pin;
use std::sync::{Arc, Mutex, PoisonError};
use std::task::{Context, Poll};
use std::time::Duration;

use api_health_core::Failure;
use lettre::Address;
use lettre::transport::smtp::authentication::{Credentials, DEFAULT_MECHANISMS};
use lettre::transport::smtp::client::{AsyncSmtpConnection, AsyncTokioStream};
use lettre::transport::smtp::commands::{Data, Mail, Quit, Rcpt, Starttls};
use lettre::transport::smtp::extension::ClientId;
use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};
use tokio::time::{Instant, timeout, timeout_at};

use super::keys::{Encryption, MailRoute};
use crate::probe::{Client, Line};

/// How long the goodbye may take after the mail was taken.
const QUIT_MAX: Duration = Duration::from_secs(1);

/// What the server was asked last.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Step {
    Connection,
    Greeting,
    Starttls,
    Login,
    Sender,
    Recipient,
    Text,
}

/// Why it did not take the mail.
#[derive(Debug)]
pub(super) enum Fault {
    /// There is no connection, or none that is encrypted.
    Failure(Failure),
    /// It cannot be encrypted.
    NoTls,
    /// There is no way to log in that we have.
    NoLogin,
    /// It answered with a code that refuses.
    Refused { step: Step, code: u16, words: String },
    /// It said nothing in time.
    Silent(Step),
    /// It closed the connection, or said what is no SMTP.
    Broken(Step),
}

/// Hands `mail` over; `Ok` once the server has said that it takes it. It ends by the deadline, and a second for the goodbye.
pub(super) async fn send(client: &Client, route: &MailRoute, mail: &[u8], deadline: Instant) -> Result<(), Fault> {
    let step = Cell::new(Step::Connection);
    let connected = timeout_at(deadline, connect(client, route, deadline, &step)).await;
    let mut server = connected.map_err(|_| Fault::Silent(step.get()))??;
    let taken = timeout_at(deadline, hand_over(&mut server, route, mail, &step)).await;
    let taken = taken.unwrap_or_else(|_| Err(Fault::Silent(step.get())));
    // What was taken stays taken, however the goodbye goes.
    if !matches!(taken, Err(Fault::Silent(_) | Fault::Broken(_))) {
        let _ = timeout(QUIT_MAX, server.command(Quit)).await;
    }
    taken
}

async fn connect(
    client: &Client,
    route: &MailRoute,
    deadline: Instant,
    step: &Cell<Step>,
) -> Result<AsyncSmtpConnection, Fault> {
    let MailRoute { place, encryption, .. } = route;
    let line = client.open(place, *encryption == Encryption::AtOnce, deadline).await.map_err(Fault::Failure)?;
    step.set(Step::Greeting);
    let name = own_name(&line);
    if *encryption != Encryption::Starttls {
        return greeted(Stream::of(line), &name, step).await;
    }
    let shared = Arc::new(Mutex::new(line));
    let mut plain = greeted(Stream { below: Arc::clone(&shared), first: Vec::new() }, &name, step).await?;
    if !plain.can_starttls() {
        let _ = timeout(QUIT_MAX, plain.command(Quit)).await;
        return Err(Fault::NoTls);
    }
    step.set(Step::Starttls);
    plain.command(Starttls).await.map_err(|error| fault(&error, Step::Starttls))?;
    drop(plain); // and with it whatever came behind the answer
    let line = Arc::into_inner(shared).and_then(|line| line.into_inner().ok());
    let stream = line.and_then(Line::into_plain).ok_or(Fault::Broken(Step::Starttls))?;
    let line = client.encrypt(stream, place, deadline).await.map_err(Fault::Failure)?;
    // Nobody greets again, and lettre waits for a greeting.
    greeted(Stream { first: b"220 \r\n".to_vec(), ..Stream::of(line) }, &name, step).await
}

async fn greeted(stream: Stream, name: &ClientId, step: &Cell<Step>) -> Result<AsyncSmtpConnection, Fault> {
    let greeted = AsyncSmtpConnection::connect_with_transport(Box::new(stream), name).await;
    greeted.map_err(|error| fault(&error, step.get()))
}

async fn hand_over(
    server: &mut AsyncSmtpConnection,
    route: &MailRoute,
    mail: &[u8],
    step: &Cell<Step>,
) -> Result<(), Fault> {
    let at = |next| move |error: lettre::transport::smtp::Error| fault(&error, next);
    if let Some((user, password)) = &route.login {
        step.set(Step::Login);
        if server.server_info().get_auth_mechanism(DEFAULT_MECHANISMS).is_none() {
            return Err(Fault::NoLogin);
        }
        let credentials = Credentials::new(user.reveal().to_owned(), password.reveal().to_owned());
        server.auth(DEFAULT_MECHANISMS, &credentials).await.map_err(at(Step::Login))?;
    }
    let [from, to]: [&Address; 2] = [&route.from.email, &route.to.email];
    step.set(Step::Sender);
    server.command(Mail::new(Some(from.clone()), Vec::new())).await.map_err(at(Step::Sender))?;
    step.set(Step::Recipient);
    server.command(Rcpt::new(to.clone(), Vec::new())).await.map_err(at(Step::Recipient))?;
    step.set(Step::Text);
    server.command(Data).await.map_err(at(Step::Text))?;
    server.message(mail).await.map_err(at(Step::Text))?;
    Ok(())
}

fn fault(error: &lettre::transport::smtp::Error, step: Step) -> Fault {
    match error.status() {
        Some(code) => {
            let words = error.source().map(ToString::to_string).unwrap_or_default();
            Fault::Refused { step, code: code.into(), words }
        }
        None => Fault::Broken(step),
    }
}

/// What we call ourselves: the name of this machine if it is a whole one, else its address, as RFC 5321 wants it.
fn own_name(line: &Line) -> ClientId {
    let host = rustix::system::uname().nodename().to_string_lossy().into_owned();
    let is_sign = |c: char| c.is_ascii_alphanumeric() || matches!(c, '.' | '-');
    if host.trim_matches('.').contains('.') && host.chars().all(is_sign) {
        return ClientId::Domain(host);
    }
    match line.local_addr().map(|address| address.ip().to_canonical()) {
        Ok(IpAddr::V4(ip)) => ClientId::Ipv4(ip),
        Ok(IpAddr::V6(ip)) => ClientId::Ipv6(ip),
        Err(_) => ClientId::default(),
    }
}

/// A connection as lettre takes it. Some bytes may come before those of the server.
#[derive(Debug)]
struct Stream {
    below: Arc<Mutex<Line>>,
    first: Vec<u8>,
}

impl Stream {
    fn of(line: Line) -> Self {
        Self { below: Arc::new(Mutex::new(line)), first: Vec::new() }
    }

    fn with<T>(&self, what: impl FnOnce(Pin<&mut Line>) -> T) -> T {
        what(Pin::new(&mut self.below.lock().unwrap_or_else(PoisonError::into_inner)))
    }
}

impl AsyncRead for Stream {
    fn poll_read(self: Pin<&mut Self>, cx: &mut Context<'_>, out: &mut ReadBuf<'_>) -> Poll<io::Result<()>> {
        let stream = self.get_mut();
        if stream.first.is_empty() {
            return stream.with(|line| line.poll_read(cx, out));
        }
        let now = stream.first.len().min(out.remaining());
        out.put_slice(&stream.first[..now]);
        stream.first.drain(..now);
        Poll::Ready(Ok(()))
    }
}

impl AsyncWrite for Stream {
    fn poll_write(self: Pin<&mut Self>, cx: &mut Context<'_>, bytes: &[u8]) -> Poll<io::Result<usize>> {
        self.with(|line| line.poll_write(cx, bytes))
    }

    fn poll_flush(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        self.with(|line| line.poll_flush(cx))
    }

    fn poll_shutdown(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        self.with(|line| line.poll_shutdown(cx))
    }
}

impl AsyncTokioStream for Stream {
    fn peer_addr(&self) -> io::Result<SocketAddr> {
        self.with(|line| line.peer_addr())
    }
}
