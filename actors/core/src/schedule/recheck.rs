//! When a suspect is asked again. APIs that failed in one moment, as those of one host do when it dies, must not come back in one
//! moment: each has a share of the wait that is its own, by its id.

use std::time::Duration;

use crate::api_id::ApiId;

/// This part of a wait is what rechecks are spread over,
const PART: u32 = 5;
/// and no more than this.
const SPREAD_MAX: Duration = Duration::from_secs(10);

/// The wait for a recheck of this length: up to a fifth shorter, so that an outage is told no later than was promised.
pub fn recheck_wait(recheck: Duration, api_id: &ApiId) -> Duration {
    recheck.saturating_sub(share(recheck, api_id))
}

/// The wait for an API that asked not to be asked again for so long: up to a fifth longer. Many may have named one point in time.
pub fn patient_wait(patience: Duration, api_id: &ApiId) -> Duration {
    patience.saturating_add(share(patience, api_id))
}

/// In whole milliseconds, so that what is told of the next probe is when it comes.
fn share(wait: Duration, api_id: &ApiId) -> Duration {
    let width_ms = (wait / PART).min(SPREAD_MAX).as_millis();
    // Neither the bits that choose the slot nor those that choose the place in the first round: APIs that failed in that round, one after
    // the other, would otherwise be asked again all at once.
    let chosen = (u128::from(api_id.stable_hash().rotate_left(32)) * width_ms) >> 64;
    Duration::from_millis(u64::try_from(chosen).unwrap_or(0))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn ids() -> impl Iterator<Item = ApiId> {
        (0..1_000).map(|n| ApiId::parse(&format!("api-{n}")).unwrap())
    }

    #[test]
    fn those_that_failed_in_one_moment_are_asked_again_over_a_fifth_of_the_wait() {
        for (seconds, width_ms) in [(1, 200), (5, 1_000), (3_600, 10_000)] {
            let wait = Duration::from_secs(seconds);
            let mut tenths = [0; 10];
            for id in ids() {
                let (sooner, later) = (recheck_wait(wait, &id), patient_wait(wait, &id));
                assert_eq!(later - wait, wait - sooner);
                tenths[usize::try_from((wait - sooner).as_millis() * 10 / width_ms).unwrap()] += 1;
            }
            assert!(tenths.iter().all(|n| (60..=150).contains(n)), "{seconds} s: {tenths:?}");
        }
    }

    #[test]
    fn no_wait_is_no_wait() {
        assert!(ids().all(|id| recheck_wait(Duration::ZERO, &id) == Duration::ZERO));
    }
}
