//! The metadata service under its true addresses, in a network of its own: who comes in is written down before it is let
//! through to the emulator.

use std::io::{Read, Write};
use std::net::{SocketAddr, TcpListener, TcpStream};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use crate::container::Container;

/// The addresses of EC2's metadata service, as a container takes them.
pub(crate) const ADDRESSES: [&str; 2] = ["169.254.169.254/32", "fd00:ec2::254/128"];

/// A connection that came in.
#[derive(Clone, Debug)]
pub(crate) struct Heard {
    /// `GET /latest/… HTTP/1.1`; empty if nothing was sent.
    pub(crate) line: String,
    /// Everything before the empty line.
    pub(crate) head: String,
}

impl Heard {
    /// The path that was asked for.
    pub(crate) fn path(&self) -> &str {
        self.line.split(' ').nth(1).unwrap_or_default()
    }
}

/// The service.
pub(crate) struct Metadata(Arc<Mutex<Vec<Heard>>>);

impl Metadata {
    /// Listens in the container's network, and passes on to that port of its loopback.
    pub(crate) fn start(container: &Container, to: u16) -> Self {
        let heard = Arc::default();
        container.in_network(|| {
            for address in ADDRESSES {
                let address = address.split('/').next().unwrap().parse().unwrap();
                let listener = TcpListener::bind(SocketAddr::new(address, 80)).unwrap();
                let heard = Arc::clone(&heard);
                // It and what it starts connect from where it was started.
                std::thread::spawn(move || {
                    for stream in listener.incoming().flatten() {
                        let heard = Arc::clone(&heard);
                        std::thread::spawn(move || pass_on(stream, to, &heard));
                    }
                });
            }
        });
        Self(heard)
    }

    /// Everything that came in, in order.
    pub(crate) fn heard(&self) -> Vec<Heard> {
        self.0.lock().unwrap().clone()
    }
}

/// One connection, one request: the emulator closes after its answer.
fn pass_on(mut from: TcpStream, to: u16, heard: &Mutex<Vec<Heard>>) -> Option<()> {
    from.set_read_timeout(Some(Duration::from_secs(30))).ok()?;
    let mut bytes = Vec::new();
    let mut buffer = [0; 4096];
    while !bytes.windows(4).any(|w| w == b"\r\n\r\n") {
        match from.read(&mut buffer) {
            Ok(count) if count > 0 => bytes.extend_from_slice(&buffer[..count]),
            _ => break,
        }
    }
    let head = String::from_utf8_lossy(&bytes).into_owned();
    let line = head.lines().next().unwrap_or_default().to_owned();
    heard.lock().unwrap().push(Heard { line, head });
    let mut upstream = TcpStream::connect(("127.0.0.1", to)).ok()?;
    upstream.write_all(&bytes).ok()?;
    std::io::copy(&mut upstream, &mut from).ok()?;
    Some(())
}
