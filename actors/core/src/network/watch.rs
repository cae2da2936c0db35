//! Since when our own side is at fault, and when that is reported, and reported as over.
//!
//! A network that comes and goes within seconds is no news, and one that does so for hours is reported a few times and not each time: the
//! more often it went, the longer it must be well before that is said.

use std::collections::BTreeMap;
use std::time::Duration;

use super::OwnPart;

/// What lasts for so long is reported.
pub const REPORTED_AFTER: Duration = Duration::from_secs(5);

/// It is reported as over when all has been well for so long; twice as long each further time within [`LATELY`].
pub const OVER_AFTER: Duration = Duration::from_secs(5);

/// The longest that all must be well before it is reported as over.
pub const OVER_AFTER_MAX: Duration = Duration::from_secs(300);

/// Times that it was reported before this long ago do not count.
const LATELY: Duration = Duration::from_secs(1_800);

/// While it lasts the witnesses are asked again this often.
pub const ASKED_EVERY: Duration = Duration::from_secs(3);

/// A fault that nothing has spoken of for this long, or for two intervals of the API that it was found by, is over: that API may be
/// watched no longer.
const FORGOTTEN_AFTER: Duration = Duration::from_secs(600);

/// It is reported again this often while it lasts, so that whoever hears of it may start anew.
const REPORTED_EVERY: Duration = Duration::from_secs(10);

/// What is to be done.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Step {
    /// Report it, in these words; again for as long as it lasts.
    Report(String),
    /// All is well, or well again: whoever heard of it hears that. Comes soon after a start as well, since a process before this one
    /// may have reported it.
    Well,
}

#[derive(Clone, Debug)]
struct Fault {
    since: Duration,
    last: Duration,
    until: Duration,
    words: String,
}

/// How it went so far, in several parts.
#[derive(Clone, Debug, Default)]
pub struct Watch {
    faults: BTreeMap<OwnPart, Fault>,
    /// When all was well again in each part that was at fault.
    over_at: BTreeMap<OwnPart, Duration>,
    well_since: Option<Duration>,
    /// When it was reported last that it is so, while that stands.
    reported_at: Option<Duration>,
    /// How often it came lately, and when it came last.
    came: (u32, Duration),
    asked_at: Option<Duration>,
    /// It was said once that all is well.
    is_known: bool,
}

impl Watch {
    /// A failure in this part is ours, for these reasons, and will not be heard of again before `interval`.
    pub fn ill(&mut self, part: OwnPart, words: &str, interval: Duration, now: Duration) {
        let until = now.saturating_add(FORGOTTEN_AFTER.max(interval.saturating_mul(2)));
        let fault =
            self.faults.entry(part).or_insert_with(|| Fault { since: now, last: now, until, words: words.into() });
        fault.last = now;
        fault.until = fault.until.max(until);
    }

    /// That all is well is said once more.
    pub const fn tell_again(&mut self) {
        self.is_known = false;
    }

    /// Whether a fault is known in this part.
    pub fn is_at_fault(&self, part: OwnPart) -> bool {
        self.faults.contains_key(&part)
    }

    /// Whether this part was at fault after that, or still is.
    pub fn was_at_fault(&self, part: OwnPart, after: Duration) -> bool {
        self.faults.keys().any(|of| part.overlaps(*of))
            || self.over_at.iter().any(|(of, over_at)| part.overlaps(*of) && *over_at >= after)
    }

    /// The parts in which the witnesses are to be asked again now.
    pub fn asks(&mut self, now: Duration) -> Vec<OwnPart> {
        let is_due = self.asked_at.is_none_or(|at| now.saturating_sub(at) >= ASKED_EVERY);
        if self.faults.is_empty() || !is_due {
            return Vec::new();
        }
        self.asked_at = Some(now);
        self.faults.keys().copied().collect()
    }

    /// Looks whether there is something to report; `well_at` is when all was seen to be well last in a part.
    pub fn look(&mut self, well_at: impl Fn(OwnPart) -> Option<Duration>, now: Duration) -> Option<Step> {
        let over_at = &mut self.over_at;
        self.faults.retain(|part, fault| {
            let well_at = well_at(*part).filter(|at| *at > fault.last);
            let is_over = well_at.is_some() || fault.until < now;
            if is_over {
                over_at.insert(*part, well_at.unwrap_or(now));
            }
            !is_over
        });
        let Some(oldest) = self.faults.values().min_by_key(|fault| fault.since) else { return self.look_well(now) };
        self.well_since = None;
        let is_due = self.reported_at.is_none_or(|at| now.saturating_sub(at) >= REPORTED_EVERY);
        if !is_due || (self.reported_at.is_none() && now.saturating_sub(oldest.since) < REPORTED_AFTER) {
            return None;
        }
        if self.reported_at.is_none() {
            let (times, last) = self.came;
            self.came = (if times > 0 && now.saturating_sub(last) < LATELY { times.saturating_add(1) } else { 1 }, now);
        }
        self.reported_at = Some(now);
        Some(Step::Report(oldest.words.clone()))
    }

    fn look_well(&mut self, now: Duration) -> Option<Step> {
        let well_for = now.saturating_sub(*self.well_since.get_or_insert(now));
        let again = if self.reported_at.is_some() { self.came.0.saturating_sub(1).min(8) } else { 0 };
        let patience = OVER_AFTER.saturating_mul(1 << again).min(OVER_AFTER_MAX);
        if (self.is_known && self.reported_at.is_none()) || well_for < patience {
            return None;
        }
        (self.reported_at, self.is_known, self.asked_at) = (None, true, None);
        Some(Step::Well)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn at(seconds: u64) -> Duration {
        Duration::from_secs(seconds)
    }

    /// What is reported each second of a world that is ill when `is_ill` says so, and asked about each second.
    fn reports(seconds: u64, is_ill: impl Fn(u64) -> bool) -> Vec<(u64, bool)> {
        let (mut watch, mut well_at, mut last) = (Watch::default(), None, None);
        let mut reports = Vec::new();
        for second in 1..=seconds {
            if is_ill(second) {
                watch.ill(OwnPart::NETWORK, "gone", at(10), at(second));
            } else {
                well_at = Some(at(second));
            }
            let is_gone = match watch.look(|_| well_at, at(second)) {
                Some(Step::Report(words)) => {
                    assert_eq!(words, "gone");
                    true
                }
                Some(Step::Well) => false,
                None => continue,
            };
            if last.replace(is_gone) != Some(is_gone) {
                reports.push((second, is_gone));
            }
        }
        reports
    }

    #[test]
    fn what_lasts_is_told_once_and_once_when_it_is_over() {
        assert_eq!(reports(100, |second| (20..60).contains(&second)), [(6, false), (25, true), (65, false)]);
        assert_eq!(reports(100, |_| false), [(6, false)], "whoever was told by a process before this one");
    }

    #[test]
    fn what_comes_and_goes_is_no_storm() {
        assert_eq!(reports(3_600, |second| second % 6 < 3), [], "three seconds at a time, and never known to be well");
        assert_eq!(reports(3_600, |second| second > 10 && second % 6 < 3), [(6, false)]);
        let hours = reports(4 * 3_600, |second| second > 10 && second % 60 < 30);
        assert!(hours.len() < 20, "{hours:?}");
        assert!(hours.windows(2).all(|pair| pair[0].1 != pair[1].1));
    }

    #[test]
    fn a_fault_of_which_nobody_speaks_any_more_is_over() {
        let mut watch = Watch::default();
        watch.ill(OwnPart::Lookup, "gone", at(10), at(1));
        assert_eq!(watch.look(|_| None, at(7)), Some(Step::Report("gone".into())));
        assert_eq!(
            (watch.asks(at(7)), watch.asks(at(8)), watch.asks(at(10))),
            (vec![OwnPart::Lookup], vec![], vec![OwnPart::Lookup])
        );
        assert!(matches!(watch.look(|_| None, at(601)), Some(Step::Report(_))));
        assert_eq!(watch.look(|_| None, at(602)), None);
        assert_eq!((watch.look(|_| None, at(607)), watch.is_at_fault(OwnPart::Lookup)), (Some(Step::Well), false));
    }

    #[test]
    fn a_proof_in_another_part_ends_nothing() {
        let mut watch = Watch::default();
        watch.ill(OwnPart::Lookup, "gone", at(10), at(1));
        let proof = |part| (part == OwnPart::NETWORK).then_some(at(5));
        assert!(matches!(watch.look(proof, at(7)), Some(Step::Report(_))));
    }
}
