//! Backoff between the tries of a write, with jitter, so that writes that failed together are not retried together.

use std::time::Duration;

const STEP_MIN: Duration = Duration::from_millis(100);

/// The step never grows past this, so that no wait is longer than twice this.
const STEP_MAX: Duration = Duration::from_secs(5);

/// The wait after an error that a person must mend first.
pub(super) const STORE_WAIT_PERMANENT: Duration = Duration::from_secs(15);

/// How long to wait after one more failure, when `failures` came before it: doubling steps with full jitter, which depends only on
/// `salt` and `failures`, so that a record always gets the same wait.
pub(super) fn store_wait(failures: u32, salt: u64) -> Duration {
    let step = STEP_MIN.saturating_mul(1_u32.checked_shl(failures).unwrap_or(u32::MAX)).min(STEP_MAX);
    let mut bits = salt ^ (u64::from(failures) + 1).wrapping_mul(0x9e37_79b9_7f4a_7c15);
    bits = (bits ^ (bits >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
    bits = (bits ^ (bits >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
    bits ^= bits >> 31;
    let drawn = (u128::from(bits) * step.as_nanos()) >> 63;
    Duration::from_nanos(u64::try_from(drawn).unwrap_or(u64::MAX))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn waits_grow_up_to_their_bound_and_are_spread_from_zero() {
        let mean = |failures| (0..1_000).map(|salt| store_wait(failures, salt)).sum::<Duration>() / 1_000;
        for failures in 0..5 {
            let expected = STEP_MIN * (1 << failures);
            assert!((expected * 9 / 10..expected * 11 / 10).contains(&mean(failures)), "{failures}");
        }
        for failures in [6, 31, 32, 1_000, u32::MAX] {
            let late: Vec<Duration> = (0..200).map(|salt| store_wait(failures, salt)).collect();
            assert!(late.iter().all(|wait| *wait <= STEP_MAX * 2));
            assert!(late.iter().any(|wait| *wait < STEP_MAX / 4) && late.iter().any(|wait| *wait > STEP_MAX));
        }
    }
}
