//! The place of an API inside each of its ticks.

use std::time::Duration;

use crate::api_id::ApiId;

/// The grid that slots lie on. An idle machine pays 3 to 8 times the price of a probe for waking up.
pub const SLOT_QUANTUM: Duration = Duration::from_millis(50);

/// A tick is at most this long for the purpose of slots: a job that runs once a day at 09:00 should run at nine or
/// shortly after, not at any time of the day.
pub const SPREAD_MAX: Duration = Duration::from_secs(300);

/// The place of one API inside each of its ticks.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Slot(Option<u64>);

impl Slot {
    /// The slot of an API: a stable hash of its id.
    pub fn of(api_id: &ApiId) -> Self {
        Self(Some(api_id.stable_hash()))
    }

    /// At the very beginning of the tick, all at once: `spread = false`.
    pub const AT_TICK: Self = Self(None);

    /// The offset inside a tick of that length, on the grid of [`SLOT_QUANTUM`]; never past [`SPREAD_MAX`].
    pub fn within(self, tick: Duration) -> Duration {
        let quanta = tick.min(SPREAD_MAX).as_millis() / SLOT_QUANTUM.as_millis();
        match (self.0, u64::try_from(quanta)) {
            (Some(hash), Ok(quanta)) if quanta > 0 => {
                // The high bits choose, by multiplication: even for every number of quanta.
                let chosen = (u128::from(hash) * u128::from(quanta)) >> 64;
                SLOT_QUANTUM * u32::try_from(chosen).unwrap_or(0)
            }
            _ => Duration::ZERO,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn slots_fill_a_tick_evenly() {
        let tick = Duration::from_secs(10);
        let mut per_second = [0_u32; 10];
        for n in 0..10_000 {
            let offset = Slot::of(&ApiId::parse(&format!("api-{n:05}")).unwrap()).within(tick);
            per_second[usize::try_from(offset.as_secs()).unwrap()] += 1;
        }
        assert!(per_second.iter().all(|&n| (850..1_150).contains(&n)), "{per_second:?}");
    }
}
