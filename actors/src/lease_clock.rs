//! Whether the lease is valid at this moment. Any thread can ask before every step, without a message.

use std::future::Future;
use std::pin::{Pin, pin};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::task::Poll;
use std::time::Duration;

use api_health_core::BootTime;
use api_health_core::own::member::{LeaseState, Member};

/// The clock that leases go by.
pub type BootClock = Arc<dyn Fn() -> BootTime + Send + Sync>;

/// A view of the lease that the holder keeps up to date. Cheap to clone.
#[derive(Clone)]
pub struct LeaseClock(Arc<Inner>);

struct Inner {
    now: BootClock,
    /// Milliseconds of `now`; 0: there is no session.
    deadline_ms: AtomicU64,
    session: AtomicU64,
    is_refused: AtomicBool,
    has_met_others: AtomicBool,
    /// No holder keeps it up to date any more.
    is_closed: AtomicBool,
}

impl LeaseClock {
    /// A clock without a session.
    pub(crate) fn new(now: BootClock) -> Self {
        Self::with(now, 0, 0)
    }

    /// The clock of a worker that owns everything by other means, such as the lock of an SQLite file: it never lapses. Its session
    /// is [`Self::ENDLESS_SESSION`].
    pub fn always_valid() -> Self {
        Self::with(Arc::new(|| Duration::ZERO), u64::MAX, Self::ENDLESS_SESSION)
    }

    /// The session that never ends.
    pub const ENDLESS_SESSION: u64 = 0;

    fn with(now: BootClock, deadline_ms: u64, session: u64) -> Self {
        Self(Arc::new(Inner {
            now,
            deadline_ms: AtomicU64::new(deadline_ms),
            session: AtomicU64::new(session),
            is_refused: AtomicBool::new(false),
            has_met_others: AtomicBool::new(false),
            is_closed: AtomicBool::new(false),
        }))
    }

    /// Whether this worker may act for shards that it gained in `session`. Once that session has ended it never may, even if the
    /// message of the loss is still on its way.
    pub fn may_act(&self, session: u64) -> bool {
        self.left(session).is_some()
    }

    /// How long [`Self::may_act`] stays true if the lease is not renewed; `None`: it is not.
    pub fn left(&self, session: u64) -> Option<Duration> {
        // In the order opposite to the one in which they are set: a new deadline is never taken for the old session's.
        let deadline = Duration::from_millis(self.0.deadline_ms.load(Ordering::SeqCst));
        let is_present = self.0.session.load(Ordering::SeqCst) == session;
        let may_act = is_present && !self.is_closed();
        deadline.checked_sub((self.0.now)()).filter(|left| may_act && !left.is_zero())
    }

    /// The state of the lease, to the millisecond.
    pub fn lease_state(&self) -> LeaseState {
        let deadline_ms = self.0.deadline_ms.load(Ordering::SeqCst);
        let deadline = Duration::from_millis(deadline_ms);
        match deadline_ms {
            _ if self.is_closed() => LeaseState::NoSession,
            0 => LeaseState::NoSession,
            _ if (self.0.now)() < deadline => LeaseState::Valid { until: deadline },
            _ => LeaseState::Lapsed { since: deadline, is_refused: self.0.is_refused.load(Ordering::SeqCst) },
        }
    }

    pub fn session(&self) -> u64 {
        self.0.session.load(Ordering::SeqCst)
    }

    /// For how long the lease has been lapsed; `None`: it is valid, or there is no session.
    pub fn lapsed_for(&self) -> Option<Duration> {
        match self.lease_state() {
            LeaseState::Lapsed { since, .. } => Some((self.0.now)().saturating_sub(since)),
            _ => None,
        }
    }

    /// Whether another session was ever seen to renew its lease.
    pub fn has_met_others(&self) -> bool {
        self.0.has_met_others.load(Ordering::SeqCst)
    }

    /// Ends the lease for good.
    pub(crate) fn close(&self) {
        self.0.is_closed.store(true, Ordering::SeqCst);
    }

    pub(crate) fn is_closed(&self) -> bool {
        self.0.is_closed.load(Ordering::SeqCst)
    }

    /// Takes over the state of `member`.
    pub(crate) fn show(&self, member: &Member, now: BootTime) {
        let (until, is_refused) = match member.lease_state(now) {
            LeaseState::NoSession => return self.0.deadline_ms.store(0, Ordering::SeqCst),
            LeaseState::Valid { until } => (until, false),
            LeaseState::Lapsed { since, is_refused } => (since, is_refused),
        };
        let session = member.session().map_or(0, |session| session.number);
        if self.0.session.load(Ordering::SeqCst) != session {
            self.0.deadline_ms.store(0, Ordering::SeqCst);
            self.0.session.store(session, Ordering::SeqCst);
        }
        self.0.is_refused.store(is_refused, Ordering::SeqCst);
        self.0.has_met_others.store(member.has_met_others(), Ordering::SeqCst);
        let deadline_ms = u64::try_from(until.as_millis()).unwrap_or(u64::MAX);
        self.0.deadline_ms.store(deadline_ms, Ordering::SeqCst);
    }

    /// Runs `work` while [`Self::may_act`] is true: that is checked before each step, and the work is dropped at the deadline. `None`:
    /// it was cancelled, or never begun.
    pub async fn while_valid<F: Future>(&self, session: u64, work: F) -> Option<F::Output> {
        let mut work = pin!(work);
        let mut deadline: Option<Pin<Box<tokio::time::Sleep>>> = None;
        std::future::poll_fn(move |cx| {
            loop {
                let Some(left) = self.left(session) else { return Poll::Ready(None) };
                if let Poll::Ready(output) = work.as_mut().poll(cx) {
                    return Poll::Ready(Some(output));
                }
                // At the deadline the clock is read again: the lease may have been renewed. At least a millisecond, since timers
                // are no finer.
                let deadline = deadline
                    .get_or_insert_with(|| Box::pin(tokio::time::sleep(left.clamp(Duration::from_millis(1), FAR))));
                if deadline.as_mut().poll(cx).is_pending() {
                    return Poll::Pending;
                }
                let again = left.clamp(Duration::from_millis(1), FAR);
                deadline.as_mut().reset(tokio::time::Instant::now() + again);
            }
        })
        .await
    }
}

/// A timer is never set further than this.
const FAR: Duration = Duration::from_secs(3_600);

#[cfg(test)]
mod tests {
    use std::sync::atomic::AtomicU64;

    use super::*;
    use crate::testkit::in_virtual_time;

    fn boot_time() -> BootClock {
        let started = tokio::time::Instant::now();
        Arc::new(move || started.elapsed() + Duration::from_secs(1))
    }

    #[test]
    fn an_owner_for_ever_may_always_act_and_nobody_may_without_a_session() {
        let clock = LeaseClock::always_valid();
        assert!(clock.may_act(LeaseClock::ENDLESS_SESSION));
        assert_eq!((clock.lapsed_for(), clock.has_met_others()), (None, false));
        assert!(!clock.may_act(1), "of another session");
        let clock = LeaseClock::new(Arc::new(|| Duration::ZERO));
        assert!(!clock.may_act(0));
        assert_eq!(clock.lease_state(), LeaseState::NoSession);
    }

    #[test]
    fn work_is_cut_at_the_deadline_and_goes_on_if_that_moves() {
        in_virtual_time(async {
            let clock = LeaseClock::with(boot_time(), 10_000, 3);
            let steps = AtomicU64::new(0);
            let work = async {
                loop {
                    tokio::time::sleep(Duration::from_secs(1)).await;
                    steps.fetch_add(1, Ordering::Relaxed);
                }
            };
            let renew = async {
                tokio::time::sleep(Duration::from_secs(5)).await;
                clock.0.deadline_ms.store(20_000, Ordering::SeqCst);
                std::future::pending::<()>().await;
            };
            let cut = async { clock.while_valid::<_>(3, work).await.map(|(): ()| ()) };
            assert!(matches!(
                futures_util::future::select(pin!(cut), pin!(renew)).await,
                futures_util::future::Either::Left((None, _))
            ));
            assert_eq!((clock.0.now)(), Duration::from_secs(20));
            assert_eq!(steps.load(Ordering::Relaxed), 18);
            assert_eq!(clock.while_valid(3, async { 1 }).await, None, "never begun");
        });
    }

    #[test]
    fn work_that_ends_in_time_has_its_result() {
        in_virtual_time(async {
            let clock = LeaseClock::with(boot_time(), 10_000, 3);
            assert_eq!(clock.while_valid(3, async { 7 }).await, Some(7));
            assert_eq!(clock.while_valid(2, async { 7 }).await, None, "of a session that is over");
            assert_eq!(LeaseClock::always_valid().while_valid(LeaseClock::ENDLESS_SESSION, async { 7 }).await, Some(7));
        });
    }
}
