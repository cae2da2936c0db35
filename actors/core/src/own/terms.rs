//! How long a lease lasts, and how often it is renewed.

use std::time::Duration;

use crate::time::BootTime;

/// The times of a fleet. A worker that is alone has longer ones, since nobody waits for it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Terms {
    /// How long a lease lasts while another worker lives.
    pub lease: Duration,
    /// How often it is renewed, and how often the records of the others are read; at most a third of the lease.
    pub renew: Duration,
    /// How long the lease of a quiet worker lasts: one that is alone, or a standby that owns nothing.
    pub quiet_lease: Duration,
    /// How often a quiet worker renews its lease.
    pub quiet_renew: Duration,
    /// How often a worker that is alone reads the assignment, for others and for asks.
    pub quiet_read: Duration,
    /// The wait after a failed call.
    pub retry: Duration,
    /// After a conflict over the assignment, the next try follows within this.
    pub swap_again: Duration,
}

impl Terms {
    /// A lease of 10 s, renewed every 3 s; alone 90 s, renewed every 60 s with a read every 30 s. A failed renewal of the long
    /// lease can be tried again for 20 s before it lapses.
    pub const DEFAULT: Self = Self {
        lease: Duration::from_secs(10),
        renew: Duration::from_secs(3),
        quiet_lease: Duration::from_secs(90),
        quiet_renew: Duration::from_secs(60),
        quiet_read: Duration::from_secs(30),
        retry: Duration::from_secs(1),
        swap_again: Duration::from_millis(100),
    };

    /// Until when its holder may use a lease that was requested at `sent`: a tenth less than the other workers wait, since the rates of
    /// clocks differ, and counted from before the request, since the others count from after it.
    pub fn deadline(sent: BootTime, lease: Duration) -> BootTime {
        sent.saturating_add(lease.saturating_sub(lease / 10))
    }

    /// A worker whose reads are further apart than this was blind in between: that time does not count against others.
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
