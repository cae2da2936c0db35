//! How long a lease lasts, and how often it is renewed.

use std::time::Duration;

use crate::time::BootTime;

/// The times of a fleet. A worker that knows of no other takes its time, since nobody waits for it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Terms {
    /// How long a lease lasts while another worker lives.
    pub lease: Duration,
    /// How often it is renewed, and how often the others are looked at; at most a third of the lease.
    pub renew: Duration,
    /// How long the lease of a worker lasts that is alone, or owns nothing as a standby.
    pub quiet_lease: Duration,
    /// How often that one is renewed.
    pub quiet_renew: Duration,
    /// How often a worker that is alone looks for others, and for what people asked.
    pub quiet_read: Duration,
    /// After a call that failed, the next is made so much later.
    pub retry: Duration,
    /// After a swap that came second, the next follows within this.
    pub swap_again: Duration,
}

impl Terms {
    /// A lease of 10 s, renewed every 3 s; alone 90 s, renewed every 60 s with a look each 30 s. A failed renewal of the long
    /// lease has 20 s for being tried again before it lapses.
    pub const DEFAULT: Self = Self {
        lease: Duration::from_secs(10),
        renew: Duration::from_secs(3),
        quiet_lease: Duration::from_secs(90),
        quiet_renew: Duration::from_secs(60),
        quiet_read: Duration::from_secs(30),
        retry: Duration::from_secs(1),
        swap_again: Duration::from_millis(100),
    };

    /// Until when a lease of that length may be used that was asked for at `sent`: a tenth less than whoever watches it waits,
    /// for clocks whose rates differ, and counted from before the request, since the watcher counts from after it.
    pub fn deadline(sent: BootTime, lease: Duration) -> BootTime {
        sent.saturating_add(lease.saturating_sub(lease / 10))
    }

    /// A worker whose reads lie further apart than this was blind in between, and judges nobody by that time.
    pub fn blind_after(&self) -> Duration {
        self.lease / 2
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_lease_ends_for_its_holder_a_tenth_before_it_ends_for_the_others() {
        let sent = Duration::from_secs(100);
        assert_eq!(Terms::deadline(sent, Terms::DEFAULT.lease), Duration::from_secs(109));
        assert_eq!(Terms::deadline(sent, Terms::DEFAULT.quiet_lease), Duration::from_secs(181));
    }

    #[test]
    fn a_renewal_may_fail_and_be_tried_again_before_the_lease_lapses() {
        let terms = Terms::DEFAULT;
        assert!(terms.renew * 3 <= terms.lease && terms.renew < terms.blind_after());
        assert!(terms.quiet_renew + Duration::from_secs(20) < Terms::deadline(Duration::ZERO, terms.quiet_lease));
    }
}
