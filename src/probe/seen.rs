//! What was met on the way through an exchange, kept as it came until it is known whether anybody wants it as evidence.
//!
//! An exchange that goes well hands it from one owner to the next, and it is dropped at the end unread.

use std::net::SocketAddr;

use api_health_core::PhaseTimes;
use api_health_core::evidence::{BODY_KEPT_BYTES_MAX, Seen};
use bytes::Bytes;

use super::certificate;
use super::wire::Headers;

/// A longer certificate is not kept: one for a hundred names has a quarter of it.
pub(super) const CERTIFICATE_BYTES_MAX: usize = 16 * 1024;

/// As it came.
#[derive(Debug, Default)]
pub(super) struct Raw {
    /// Those of the name, if it has several.
    pub(super) addresses: Vec<SocketAddr>,
    /// That of the server, in DER.
    pub(super) certificate: Option<Vec<u8>>,
    /// Of an answer that broke off; that of a whole one is in the reply.
    pub(super) head: Option<Headers>,
    pub(super) body: BodyStart,
}

/// How a body begins: its first piece, which is kept as it came, and some of those behind it.
#[derive(Debug, Default)]
pub(super) struct BodyStart {
    first: Bytes,
    rest: Vec<u8>,
    goes_on: bool,
}

impl BodyStart {
    pub(super) fn add(&mut self, piece: Bytes) {
        let room = BODY_KEPT_BYTES_MAX - self.first.len() - self.rest.len();
        self.goes_on |= piece.len() > room;
        if self.first.is_empty() {
            // A long piece would keep its whole buffer alive.
            self.first = if piece.len() > room { Bytes::copy_from_slice(&piece[..room]) } else { piece };
        } else {
            self.rest.extend_from_slice(&piece[..piece.len().min(room)]);
        }
    }
}

impl Raw {
    /// The same as evidence of an exchange with this `reply`, these `phases` and this `address`.
    pub(super) fn seen(&self, reply: Option<&Headers>, phases: &PhaseTimes, address: Option<SocketAddr>) -> Seen {
        let mut addresses: Vec<_> = self.addresses.iter().map(SocketAddr::ip).collect();
        if addresses.is_empty() && phases.resolve.is_some() {
            addresses.extend(address.map(|only| only.ip()));
        }
        Seen {
            addresses,
            status_line: reply.or(self.head.as_ref()).map(|head| head.status_line().to_vec()).unwrap_or_default(),
            body_start: [&self.body.first[..], &self.body.rest].concat(),
            body_goes_on: self.body.goes_on,
            certificate: self.certificate.as_deref().and_then(certificate::shown),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn of_a_body_so_many_bytes_are_kept_however_it_comes() {
        for size in [1, 7, 300, BODY_KEPT_BYTES_MAX, 5_000] {
            let body: Vec<u8> = (0..=255).cycle().take(5_000).collect();
            let mut start = BodyStart::default();
            body.chunks(size).for_each(|piece| start.add(Bytes::copy_from_slice(piece)));
            let raw = Raw { body: start, ..Raw::default() };
            let seen = raw.seen(None, &PhaseTimes::default(), None);
            assert_eq!((&seen.body_start[..], seen.body_goes_on), (&body[..BODY_KEPT_BYTES_MAX], true), "{size}");
        }
        let mut start = BodyStart::default();
        start.add(Bytes::from_static(b"whole"));
        assert!(!Raw { body: start, ..Raw::default() }.seen(None, &PhaseTimes::default(), None).body_goes_on);
    }
}
