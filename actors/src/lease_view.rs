//! The lease as the keeper sees it: whether it is valid now, and while an attempt goes on.

use std::future::Future;
use std::sync::{Arc, Mutex, PoisonError};

use api_health_core::Heartbeat;
use api_health_core::keep::Lease;
use api_health_core::own::member::LeaseState;
use tokio::sync::watch;

use crate::lease_clock::LeaseClock;
use crate::lease_holder::{LeaseHandle, Renewals};
use crate::ports::StoreError;

/// The heartbeat that the next renewal carries.
pub type NextHeartbeat = Arc<Mutex<Option<Box<Heartbeat>>>>;

/// What the keeper needs of the lease. Cheap to clone.
#[derive(Clone)]
pub struct LeaseView {
    clock: LeaseClock,
    renewing: Option<Renewing>,
}

#[derive(Clone)]
struct Renewing {
    handle: LeaseHandle,
    renewals: watch::Receiver<Renewals>,
    next_heartbeat: NextHeartbeat,
}

/// A lease that was valid when an attempt began, and is checked while the attempt goes on.
#[derive(Clone)]
pub struct AttemptLease {
    clock: LeaseClock,
    session: u64,
}

impl LeaseView {
    /// For a process that owns everything by other means, such as the lock of an SQLite file.
    pub fn always_valid() -> Self {
        Self { clock: LeaseClock::always_valid(), renewing: None }
    }

    /// For a lease that is renewed, with the heartbeat for its renewals.
    pub fn of(handle: LeaseHandle, next_heartbeat: NextHeartbeat) -> Self {
        let (clock, renewals) = (handle.clock().clone(), handle.renewals());
        Self { clock, renewing: Some(Renewing { handle, renewals, next_heartbeat }) }
    }

    /// The lease now.
    pub fn now(&self) -> Lease {
        match self.clock.lease_state() {
            LeaseState::Valid { .. } => Lease::Valid,
            LeaseState::NoSession => Lease::NoSession,
            LeaseState::Lapsed { is_refused, .. } => Lease::Lapsed {
                lapsed_for: self.clock.lapsed_for().unwrap_or_default(),
                met_others: self.clock.has_met_others(),
                refused: is_refused,
            },
        }
    }

    pub fn for_attempt(&self) -> AttemptLease {
        AttemptLease { clock: self.clock.clone(), session: self.clock.session() }
    }

    /// Has the lease renewed with this heartbeat, at the latest with its next regular renewal. `None`: there is no lease to
    /// renew.
    pub async fn renew_with(&self, heartbeat: &Heartbeat) -> Option<Result<(), StoreError>> {
        let Renewing { handle, renewals, next_heartbeat } = self.renewing.as_ref()?;
        *next_heartbeat.lock().unwrap_or_else(PoisonError::into_inner) = Some(Box::new(heartbeat.clone()));
        let mut renewals = renewals.clone();
        let before = renewals.borrow_and_update().clone();
        handle.renew_now();
        loop {
            if renewals.changed().await.is_err() {
                return Some(Err(StoreError::Unavailable("the lease is no longer renewed".into())));
            }
            let now = renewals.borrow_and_update().clone();
            if now.done > before.done {
                return Some(Ok(()));
            }
            if let (true, Some(error)) = (now.failed > before.failed, now.error) {
                return Some(Err(error));
            }
        }
    }
}

impl AttemptLease {
    /// Runs `work` while the lease is valid; `None`: it was cancelled, or never begun.
    pub async fn while_valid<F: Future>(&self, work: F) -> Option<F::Output> {
        self.clock.while_valid(self.session, work).await
    }
}
