//! When one API should be probed: worked out from its config and from what came of the last probe.

use std::sync::Arc;
use std::time::Duration;

use api_health_actors::outcome_batcher::BATCH_DELAY;
use api_health_actors::own_side::TESTIMONY_WITHIN;
use api_health_core::{ApiConfig, Timestamp};

use crate::schedules::{self, Spec};

/// Timers have this grain, and two of them may lie between.
const GRAIN: Duration = Duration::from_millis(5);

/// First probes of all APIs are spread over 1 ms each.
const FIRST_WITHIN: Duration = Duration::from_millis(150);

/// An API of which something is forgotten is probed again within this.
const AGAIN_WITHIN: Duration = Duration::from_millis(300);

/// The longest wait before a prober that died is started again, when it was given up.
const SLOW_MAX: Duration = Duration::from_secs(376);

/// A prober that sleeps towards a time on the wall clock looks at it this often.
const LOOKS_AT_THE_CLOCK: Duration = Duration::from_secs(301);

/// Past so many deaths within this time, a prober is given up, and tried again after this long, until a life lasts for
/// that time. That is looked at once a second.
const DEATHS_MAX: usize = 5;
const DEATHS_WITHIN: Duration = Duration::from_secs(60);
const SLOW: Duration = Duration::from_secs(300);
const FORGIVEN_WITHIN: Duration = Duration::from_secs(62);

/// An outcome is stored, and what it changes is told, within this.
const ENDS_WITHIN: Duration = Duration::from_secs(3);

/// Probers that are started again at one time wait for one another.
const BRAKE: Duration = Duration::from_millis(100);

/// A moment: by the world's own time, and on the wall clock.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Moment {
    pub(crate) at: Duration,
    pub(crate) wall: Timestamp,
}

/// The probes of one API in one life of the program.
#[derive(Default)]
pub(crate) struct Cadence {
    /// The row by which it is watched, since when, and what the clock of its schedule counts from.
    pub(crate) watched: Option<(Arc<ApiConfig>, Moment)>,
    life_began: Duration,
    under_way: Option<u64>,
    last_began: Option<Duration>,
    /// The end of the last probe, and whether it left the API suspect.
    last_ended: Option<(Moment, bool)>,
    /// The tick that the probe under way serves, on the clock of its schedule.
    serves_ms: i64,
    /// Something happened since the last probe that shifts the next one.
    is_shifted: bool,
    /// More patience than usual, until the next probe.
    patience: Duration,
    deaths: Vec<Duration>,
    is_given_up: bool,
    /// A life lasted for about as long as is forgiven after: nobody can say what is remembered.
    is_unsure: bool,
    /// When the prober was started that died last, or will be.
    restarted_at: Option<Duration>,
    /// Nothing but that death shifts the next probe.
    is_only_dead: bool,
    last_outcome: Option<Duration>,
    /// What was found out is forgotten: the next probe comes before this.
    again_by: Option<Duration>,
    /// In so many probes from now a pass may wait for company: its prober, which saw a pass before, does not know that the record which
    /// was read has an outage.
    in_company: u8,
    not_before: Duration,
    /// What the witnesses say of the last probe may be waited for until then.
    testimony_until: Duration,
    /// Nothing ever happened that makes missed ticks hard to tell.
    pub(crate) is_plain: bool,
}

impl Cadence {
    pub(crate) fn new(life_began: Duration, is_plain: bool) -> Self {
        Self { life_began, is_plain, ..Self::default() }
    }

    fn own_ms(&self, spec: &Spec, moment: Moment) -> i64 {
        if spec.is_cron() { moment.wall.as_millis() } else { millis(moment.at) - millis(self.life_began) }
    }

    /// The row as it is now; `None`: it is watched no longer.
    pub(crate) fn row(&mut self, row: Option<&Arc<ApiConfig>>, now: Moment) -> Result<(), String> {
        match (&mut self.watched, row) {
            (Some((old, _)), Some(new)) if *old == *new => {}
            (Some((old, _)), Some(new)) => {
                let old_gap = gap(old) + old.timeout;
                *old = Arc::clone(new);
                // An edited row may have mended what its prober was given up for: it is tried at once.
                if (self.is_given_up || self.is_unsure) && now.at < self.not_before {
                    self.deaths.clear();
                    self.is_given_up = false;
                    self.not_before = Duration::ZERO;
                    self.restarted_at = Some(now.at);
                }
                self.shifted(old_gap);
            }
            (None, Some(new)) => {
                let is_plain = self.is_plain && now.at.saturating_sub(self.life_began) < Duration::from_secs(1);
                *self = Self { watched: Some((Arc::clone(new), now)), ..Self::new(self.life_began, is_plain) };
            }
            (Some(_), None) => {
                self.not_starved(now.at)?;
                *self = Self::new(self.life_began, false);
            }
            (None, None) => {}
        }
        Ok(())
    }

    /// What was found out may count no longer, and then it is probed again at once.
    pub(crate) fn asked_again(&mut self, certainly: bool, now: Duration) {
        self.in_company = 2;
        if self.under_way.is_some() {
            return; // that one finds out
        }
        let is_dead = now < self.not_before;
        self.shifted(Duration::ZERO);
        self.again_by = (certainly && !is_dead).then_some(now + AGAIN_WITHIN);
    }

    /// Whether it is suspect is not certain.
    pub(crate) fn may_be_asked_again(&mut self) {
        self.is_shifted = true;
    }

    fn shifted(&mut self, patience: Duration) {
        self.is_shifted = true;
        self.is_only_dead = false;
        self.is_plain = false;
        self.patience += patience;
    }

    pub(crate) fn clock_was_set(&mut self) {
        if let Some((api, _)) = &self.watched {
            let gap = gap(api);
            if Spec::of(&api.schedule).is_cron() {
                self.shifted(LOOKS_AT_THE_CLOCK + gap + gap);
            }
        }
    }

    pub(crate) fn began(&mut self, probe: u64, api: &Arc<ApiConfig>, now: Moment) -> Result<(), String> {
        let Some((row, since)) = &self.watched else { return Err("an API is probed that is not watched".into()) };
        let since = *since;
        if row != api && !self.is_shifted {
            return Err(format!("probed by another row than the one that it has: {}", api.name));
        }
        if self.under_way.replace(probe).is_some() {
            return Err("probed while the last probe is under way".into());
        }
        self.not_starved(now.at)?;
        if self.again_by.take().is_some_and(|by| now.at > by) {
            return Err("what was found out is forgotten, and it was not probed again at once".into());
        }
        if now.at + GRAIN < self.not_before {
            return Err(format!(
                "a prober that keeps dying is started again too soon: {} ms",
                millis(self.not_before - now.at)
            ));
        }
        let spec = Spec::of(&api.schedule);
        self.serves_ms = self.own_ms(spec, now);
        let company = if self.in_company > 0 { BATCH_DELAY } else { Duration::ZERO };
        self.in_company = self.in_company.saturating_sub(1);
        if !self.is_shifted {
            let due = match self.last_ended {
                Some((ended, is_suspect)) => {
                    let gap_ms = spec.gap_after_ms(self.own_ms(spec, ended));
                    let recheck = || (ended.at + schedules::recheck(api, gap_ms), None);
                    Some(if is_suspect { recheck() } else { self.tick_after(spec, api, ended) })
                }
                None if spec.is_open(self.own_ms(spec, since)) => None,
                None => Some(self.tick_after(spec, api, since)),
            };
            match due {
                Some((due, tick)) => {
                    let waited = due <= self.testimony_until && now.at <= self.testimony_until + GRAIN;
                    if (now.at > due + GRAIN + company && !waited) || now.at + GRAIN < due {
                        let ms = millis(now.at) - millis(due);
                        return Err(format!("probed {ms} ms off its time ({}; {} s)", api.schedule, due.as_secs_f64()));
                    }
                    self.serves_ms = tick.unwrap_or(self.serves_ms);
                }
                None if now.at > since.at + FIRST_WITHIN => return Err("the first probe is late".into()),
                None => {}
            }
        }
        if self.is_only_dead {
            self.restarted_in_time(spec, api, now)?;
        }
        self.is_only_dead = false;
        self.last_began = Some(now.at);
        self.last_ended = None;
        self.is_shifted = false;
        self.patience = Duration::ZERO;
        self.not_before = Duration::ZERO;
        Ok(())
    }

    /// A prober that died of its probe, and of nothing else: that outcome is lost. So it asks soon, if the tick is young, but
    /// no sooner than the recheck after the outcome before; else at its next tick.
    fn restarted_in_time(&self, spec: &Spec, api: &ApiConfig, now: Moment) -> Result<(), String> {
        let due_if = |restarted_at: Duration| {
            let wall_ms = now.wall.as_millis() + millis(restarted_at) - millis(now.at);
            let restarted = Moment { at: restarted_at, wall: Timestamp::from_millis(wall_ms) };
            let own = self.own_ms(spec, restarted);
            if !spec.is_open(own) {
                return self.tick_after(spec, api, restarted).0;
            }
            let recheck = schedules::recheck(api, spec.gap_after_ms(own));
            self.last_outcome.map_or(restarted_at, |last| restarted_at.max(last + recheck))
        };
        // It may have waited for others, across a tick's young or old age.
        let due = [self.not_before, self.not_before + BRAKE].map(due_if);
        let is_it = |due: Duration| now.at + GRAIN >= due && now.at <= due + BRAKE;
        if due.into_iter().any(is_it) {
            return Ok(());
        }
        let (ms, due) = (millis(now.at) - millis(due[0]), due[0].as_secs_f64());
        Err(format!("started again, it probed {ms} ms off its time ({}; {due} s)", api.schedule))
    }

    /// The next tick after a moment: by the world's own time, and on the clock of the schedule.
    fn tick_after(&self, spec: &Spec, api: &ApiConfig, after: Moment) -> (Duration, Option<i64>) {
        let own = self.own_ms(spec, after);
        let due = spec.due_after(&api.api_id, own);
        (after.at + Duration::from_millis((due - own).unsigned_abs()), Some(due))
    }

    /// Returns how many ticks passed while it ran.
    /// The witnesses are asked about what was just found.
    pub(crate) fn asks_witnesses(&mut self, now: Moment) {
        self.testimony_until = now.at + TESTIMONY_WITHIN;
    }

    pub(crate) fn ended(&mut self, now: Moment) -> u64 {
        self.under_way = None;
        self.last_ended = Some((now, false));
        self.last_outcome = Some(now.at);
        let Some((api, _)) = &self.watched else { return 0 };
        let spec = Spec::of(&api.schedule);
        let now_ms = self.own_ms(spec, now);
        let (mut missed, mut tick) = (0, self.serves_ms);
        loop {
            tick = spec.due_after(&api.api_id, tick);
            if tick > now_ms || missed > 1_000 {
                return missed;
            }
            missed += 1;
        }
    }

    /// The outcome leaves the API suspect, or not.
    pub(crate) fn recheck(&mut self, is_suspect: bool) {
        if let Some((_, was_suspect)) = &mut self.last_ended {
            *was_suspect = is_suspect;
        }
    }

    pub(crate) fn cut(&mut self, panicked: bool, now: Duration) {
        self.under_way = None;
        if panicked {
            let Some((api, _)) = &self.watched else { return };
            let (gap, spread) = (gap(api), u32::try_from(api.api_id.stable_hash() % 256).unwrap_or(0));
            let was_in_order = !self.is_shifted || self.is_only_dead;
            self.shifted(SLOW_MAX + gap);
            if let Some(lived) = self.restarted_at.map(|began| now.saturating_sub(began))
                && lived >= DEATHS_WITHIN
            {
                self.is_given_up = false;
                self.is_unsure = lived < FORGIVEN_WITHIN;
            }
            self.deaths.retain(|death| now - *death < DEATHS_WITHIN);
            self.deaths.push(now);
            let n = self.deaths.len();
            self.is_given_up |= n > DEATHS_MAX;
            let delay = if self.is_given_up { SLOW } else { Duration::from_millis(100) * (1 << (n - 1)) };
            self.not_before = now + delay + delay / 1_024 * spread;
            self.restarted_at = Some(self.not_before);
            self.is_only_dead = was_in_order && !self.is_unsure;
        }
    }

    /// How many probes its schedule alone asked for since `since`, and leaves the time to end; `None`: it is not watched. What the
    /// program did is no part of it. One that died counts from when it should have been started again.
    pub(crate) fn probes_due(&self, since: Duration, now: Moment) -> Option<usize> {
        let (api, watched) = self.watched.as_ref()?;
        let spec = Spec::of(&api.schedule);
        let oversleeps = if spec.is_cron() { LOOKS_AT_THE_CLOCK } else { Duration::ZERO };
        let restarted = self.restarted_at.map_or(Duration::ZERO, |at| at + BRAKE);
        let from = (since + oversleeps).max(watched.at).max(restarted);
        let until = self.own_ms(spec, now) - millis(api.timeout + ENDS_WITHIN);
        let mut at = self.own_ms(spec, now) - millis(now.at.saturating_sub(from));
        let mut due = 0;
        loop {
            at = spec.due_after(&api.api_id, at);
            if at > until {
                return Some(due);
            }
            due += 1;
            at += millis(api.timeout); // the ticks that one misses while it waits for an answer
        }
    }

    /// Nothing kept the program from probing for too long, up to now.
    pub(crate) fn not_starved(&self, now: Duration) -> Result<(), String> {
        let Some((api, since)) = &self.watched else { return Ok(()) };
        let last = self.last_began.unwrap_or(since.at);
        let bound = gap(api) + api.timeout + Duration::from_secs(1) + self.patience;
        if now.saturating_sub(last) > bound {
            let gap = now.saturating_sub(last).as_secs_f64();
            return Err(format!("not probed for {gap} s; the bound is {} s", bound.as_secs_f64()));
        }
        Ok(())
    }
}

fn gap(api: &ApiConfig) -> Duration {
    let spec = Spec::of(&api.schedule);
    // Ticks of an uneven schedule have uneven slots.
    let uneven = if spec.is_cron() { spec.longest_gap_ms() / 2 } else { 0 };
    Duration::from_millis((spec.longest_gap_ms() + uneven).unsigned_abs())
}

fn millis(span: Duration) -> i64 {
    i64::try_from(span.as_millis()).unwrap_or(i64::MAX)
}

#[cfg(test)]
mod tests {
    use api_health_actors::testkit::api;

    use super::*;

    #[test]
    fn what_is_due_goes_by_the_schedule_and_not_by_what_the_program_did() {
        let moment = |seconds: u64| Moment {
            at: Duration::from_secs(seconds),
            wall: Timestamp::from_millis(i64::try_from(seconds).unwrap() * 1_000),
        };
        let due = |every: u64, died_at: Option<u64>| {
            let mut cadence = Cadence::new(Duration::ZERO, true);
            cadence.row(Some(&Arc::new(api("a", every))), moment(0)).unwrap();
            if let Some(at) = died_at {
                cadence.cut(true, Duration::from_secs(at));
            }
            cadence.probes_due(Duration::from_secs(1_800), moment(3_600))
        };
        // No probe of it has ever ended.
        assert_eq!((due(600, None), due(60, None).map(|due| due > 20)), (Some(3), Some(true)));
        assert_eq!(due(600, Some(2_300)), Some(2), "it was not there for all of them");
        assert_eq!(Cadence::new(Duration::ZERO, true).probes_due(Duration::ZERO, moment(9)), None);
    }
}
