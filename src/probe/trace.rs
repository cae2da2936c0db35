//! What is known of an exchange while it runs: the phase it is in, the times, and what was really on the wire.
//!
//! The future of the exchange and the layer under awc share it, on one thread. Since it outlives that future, a timeout
//! can still say what was under way.

use std::cell::{Cell, RefCell};
use std::net::SocketAddr;
use std::time::Duration;

use api_health_core::assertion::TlsVersion;
use api_health_core::certificate::Validity;
use api_health_core::figures::{CertificateEnds, PhaseSums};
use api_health_core::{Failure, IpFamily, Phase, PhaseTimes, ProbeFigures};
use tokio::time::Instant;

use super::seen::CERTIFICATE_BYTES_MAX;
use super::wire::Head;

pub(super) struct Trace {
    /// Of the hop under way.
    shown: RefCell<Shown>,
    /// When its phase began.
    since: Cell<Instant>,
    head: RefCell<Option<Head>>,
    failure: RefCell<Option<Failure>>,
    deadline: Instant,
    has_client_certificate: Cell<bool>,
    /// The proxy to which a connection is being opened: a fault of it, or of the way to it, says nothing of the API.
    dialled_proxy: RefCell<Option<String>>,
}

/// What one hop has shown.
#[derive(Default)]
pub(super) struct Shown {
    phase: Phase,
    times: PhaseTimes,
    /// Of the hops before this one.
    earlier: PhaseSums,
    address: Option<SocketAddr>,
    by_proxy: bool,
    client_certificate_wanted: bool,
    addresses: Vec<SocketAddr>,
    certificate: Option<Vec<u8>>,
    tls: Option<TlsVersion>,
    validity: Option<Validity>,
    ends: Option<CertificateEnds>,
}

impl Shown {
    /// How long each phase took, over all hops.
    fn phases(&self) -> PhaseSums {
        let mut phases = self.earlier;
        phases.add(&self.times);
        phases
    }
}

impl Trace {
    /// Of an exchange that begins `now` and ends by the `deadline`.
    pub(super) fn new(now: Instant, deadline: Instant) -> Self {
        Self {
            shown: RefCell::default(),
            since: Cell::new(now),
            head: RefCell::default(),
            failure: RefCell::default(),
            deadline,
            has_client_certificate: Cell::default(),
            dialled_proxy: RefCell::default(),
        }
    }

    /// Begins the next hop, since phases and address are those of the last one. What the one before has shown is returned.
    pub(super) fn begin_hop(&self) -> Shown {
        let earlier = self.shown.borrow().phases();
        let shown = self.shown.replace(Shown { earlier, ..Shown::default() });
        self.begin(Phase::Resolve);
        self.head.take();
        self.failure.take();
        shown
    }

    /// As it was before a hop that led nowhere.
    pub(super) fn restore(&self, shown: Shown) {
        self.begin_hop();
        self.dialled_proxy.take();
        self.shown.replace(shown);
    }

    /// What was measured until now, but for what the answer itself says.
    pub(super) fn figures(&self) -> ProbeFigures {
        let shown = self.shown.borrow();
        let address = shown.address.filter(|_| !shown.by_proxy);
        let family = address.map(|address| IpFamily::of(address.ip()));
        ProbeFigures { phases: shown.phases(), family, tls: shown.tls, ..ProbeFigures::default() }.with_ends(shown.ends)
    }

    pub(super) fn begin(&self, phase: Phase) {
        self.shown.borrow_mut().phase = phase;
        self.since.set(Instant::now());
    }

    /// When the exchange is given up.
    pub(super) fn deadline(&self) -> Instant {
        self.deadline
    }

    /// A connection to this proxy is being opened, or to none any longer.
    pub(super) fn dials_proxy(&self, proxy: Option<String>) {
        self.shown.borrow_mut().by_proxy = true;
        self.dialled_proxy.replace(proxy);
    }

    /// Whether this hop goes by way of a proxy, whose address is the one that is known.
    pub(super) fn is_by_proxy(&self) -> bool {
        self.shown.borrow().by_proxy
    }

    pub(super) fn take_dialled_proxy(&self) -> Option<String> {
        self.dialled_proxy.take()
    }

    /// The server asked for a client certificate.
    pub(super) fn want_client_certificate(&self) {
        self.shown.borrow_mut().client_certificate_wanted = true;
    }

    pub(super) fn wants_client_certificate(&self) -> bool {
        self.shown.borrow().client_certificate_wanted
    }

    /// Whether there is one to show in the handshake that begins.
    pub(super) fn set_client_certificate(&self, is_there: bool) {
        self.has_client_certificate.set(is_there);
    }

    pub(super) fn has_client_certificate(&self) -> bool {
        self.has_client_certificate.get()
    }

    /// The handshake is over: what was agreed upon, and how long the server's certificate is good, and when it or another one that it showed
    /// ends.
    pub(super) fn tls_agreed(
        &self,
        version: Option<TlsVersion>,
        certificate: Option<Validity>,
        ends: Option<CertificateEnds>,
    ) {
        let mut shown = self.shown.borrow_mut();
        (shown.tls, shown.validity, shown.ends) = (version, certificate, ends);
    }

    pub(super) fn tls(&self) -> Option<TlsVersion> {
        self.shown.borrow().tls
    }

    pub(super) fn validity(&self) -> Option<Validity> {
        self.shown.borrow().validity
    }

    /// The present phase came to its end, and `next` begins.
    pub(super) fn enter_phase(&self, next: Phase) {
        let now = Instant::now();
        self.end_at(now);
        self.shown.borrow_mut().phase = next;
        self.since.set(now);
    }

    /// The last phase came to its end.
    pub(super) fn end(&self) {
        self.end_at(Instant::now());
    }

    fn end_at(&self, now: Instant) {
        let mut shown = self.shown.borrow_mut();
        let Shown { phase, times, .. } = &mut *shown;
        let slot = match phase {
            Phase::Resolve => &mut times.resolve,
            Phase::Connect => &mut times.connect,
            Phase::Tls => &mut times.tls,
            Phase::FirstByte => &mut times.first_byte,
            Phase::Body => &mut times.body,
        };
        *slot = Some(now.saturating_duration_since(self.since.get()));
    }

    /// How long the present phase has lasted.
    pub(super) fn in_phase(&self) -> Duration {
        self.since.get().elapsed()
    }

    pub(super) fn phase(&self) -> Phase {
        self.shown.borrow().phase
    }

    pub(super) fn times(&self) -> PhaseTimes {
        self.shown.borrow().times
    }

    pub(super) fn address(&self) -> Option<SocketAddr> {
        self.shown.borrow().address
    }

    pub(super) fn connected_to(&self, address: SocketAddr) {
        self.shown.borrow_mut().address = Some(address);
    }

    /// The name leads to these. A single one is known as the one that is connected to.
    pub(super) fn found(&self, addresses: &[SocketAddr]) {
        self.shown.borrow_mut().addresses = if addresses.len() > 1 { addresses.to_vec() } else { Vec::new() };
    }

    pub(super) fn take_addresses(&self) -> Vec<SocketAddr> {
        std::mem::take(&mut self.shown.borrow_mut().addresses)
    }

    /// The server showed this certificate.
    pub(super) fn showed(&self, certificate: &[u8]) {
        if certificate.len() <= CERTIFICATE_BYTES_MAX {
            self.shown.borrow_mut().certificate = Some(certificate.to_vec());
        }
    }

    pub(super) fn take_certificate(&self) -> Option<Vec<u8>> {
        self.shown.borrow_mut().certificate.take()
    }

    /// Keeps the first failure: what follows from it is not news.
    pub(super) fn fail(&self, failure: Failure) {
        self.failure.borrow_mut().get_or_insert(failure);
    }

    pub(super) fn has_failed(&self) -> bool {
        self.failure.borrow().is_some()
    }

    pub(super) fn take_failure(&self) -> Option<Failure> {
        self.failure.take()
    }

    pub(super) fn set_head(&self, head: Head) {
        self.head.replace(Some(head));
    }

    pub(super) fn take_head(&self) -> Option<Head> {
        self.head.take()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_hop_that_led_nowhere_takes_nothing_of_the_one_before() {
        let now = Instant::now();
        let trace = Trace::new(now, now + Duration::from_secs(9));
        let shown = |trace: &Trace| {
            let certificate = trace.shown.borrow().certificate.clone();
            (trace.phase(), trace.times(), trace.address(), trace.is_by_proxy(), certificate, trace.tls())
        };
        trace.dials_proxy(None);
        trace.connected_to(([10, 0, 0, 1], 3128).into());
        trace.enter_phase(Phase::FirstByte);
        trace.showed(b"a certificate");
        trace.tls_agreed(Some(TlsVersion::V1_3), None, None);
        let before = shown(&trace);
        let hop = trace.begin_hop();
        trace.dials_proxy(Some("10.0.0.1:3128".into()));
        assert_eq!((trace.address(), trace.tls()), (None, None));
        trace.restore(hop);
        assert_eq!(shown(&trace), before);
        assert_eq!(trace.take_dialled_proxy(), None);
    }
}
