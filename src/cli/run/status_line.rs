//! The line that `systemctl status` shows: `1,000 APIs: 3 down, 1 unknown; 5 alerts owed; 16.7 probes/s; store ok`.

use std::collections::VecDeque;
use std::time::Duration;

use api_health_actors::state_keeper::KeeperReport;
use api_health_core::Timestamp;
use api_health_core::words::{count, number};
use tokio::time::Instant;

use super::readiness::NotReady;

/// A line follows another one no sooner than this.
const EVERY_MIN: Duration = Duration::from_secs(3);

/// A line that differs in nothing but the rate of probes waits for this long.
const RATE_EVERY: Duration = Duration::from_secs(30);

/// The rate of probes is taken over this many looks, a second apart: a minute.
const LOOKS_MAX: usize = 60;

/// What the line is made of.
pub(super) struct StatusSummary<'a> {
    /// APIs that are watched.
    pub(super) apis: usize,
    /// What the keeper says, if it does.
    pub(super) report: Option<KeeperReport>,
    /// What is wrong, and since when.
    pub(super) trouble: Option<(NotReady, Timestamp)>,
    /// Why no configs could be read yet, where that is so.
    pub(super) why_no_configs: Option<&'a str>,
    /// The sources that could not be read the last time, and why.
    pub(super) unreadable: &'a [String],
    /// Probes begun since the start.
    pub(super) probes: u64,
}

/// What was told last, and what the rate is read off.
pub(super) struct StatusLine {
    looks: VecDeque<(Instant, u64)>,
    told: Option<(Instant, String, String)>,
}

impl StatusLine {
    /// Nothing was told yet.
    pub(super) fn new(now: Instant) -> Self {
        Self { looks: VecDeque::from([(now, 0)]), told: None }
    }

    /// The line, if it is time to tell it.
    pub(super) fn next(&mut self, summary: &StatusSummary<'_>, now: Instant) -> Option<String> {
        self.looks.push_back((now, summary.probes));
        if self.looks.len() > LOOKS_MAX {
            self.looks.pop_front();
        }
        let (words, rate) = (words(summary), self.rate());
        if let Some((at, told_words, told_rate)) = &self.told {
            let wait = match (*told_words == words, *told_rate == rate) {
                (true, true) => return None,
                (true, false) => RATE_EVERY,
                (false, _) => EVERY_MIN,
            };
            if now.duration_since(*at) < wait {
                return None;
            }
        }
        let line = words.replacen("RATE", &rate, 1);
        self.told = Some((now, words, rate));
        Some(line)
    }

    /// Probes per second over the last minute.
    fn rate(&self) -> String {
        let (Some((from, before)), Some((to, now))) = (self.looks.front(), self.looks.back()) else {
            return String::new();
        };
        let seconds = to.duration_since(*from).as_secs_f64().max(1.0);
        #[expect(clippy::cast_precision_loss, reason = "a count of probes in a minute needs no more than 53 bits")]
        let rate = now.saturating_sub(*before) as f64 / seconds;
        if rate < 0.05 && now > before { "under 0.1".to_owned() } else { format!("{rate:.1}") }
    }
}

/// The line with `RATE` where the rate goes.
fn words(summary: &StatusSummary<'_>) -> String {
    let apis = count(summary.apis, "API");
    let store = match summary.trouble {
        Some((NotReady::StoreGone, since)) => format!("store takes no writes since {since}"),
        _ => "store ok".to_owned(),
    };
    if let Some(why) = summary.why_no_configs {
        return format!("no configs could be read yet, tried again and again; {store}; {why}");
    }
    let line = match (summary.report, summary.trouble) {
        (Some(report), _) => {
            let (down, unknown, owed) = (number(report.down), number(report.unknown), count(report.owed, "alert"));
            format!("{apis}: {down} down, {unknown} unknown; {owed} owed; RATE probes/s; {store}")
        }
        (None, Some((_, since))) => format!("{apis}; the state-keeper does not answer since {since}; RATE probes/s"),
        (None, None) => format!("{apis}; RATE probes/s"),
    };
    if summary.unreadable.is_empty() {
        return line;
    }
    // What may be long, and is cut, comes last.
    format!("{line}; the last good configs run, since some cannot be read: {}", summary.unreadable.join("; "))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn summary<'a>(down: usize, probes: u64) -> StatusSummary<'a> {
        let report = KeeperReport { down, unknown: 1, owed: 5, ..KeeperReport::default() };
        StatusSummary {
            apis: 1_000,
            report: Some(report),
            trouble: None,
            why_no_configs: None,
            unreadable: &[],
            probes,
        }
    }

    #[test]
    fn the_line_has_all_figures_and_what_is_wrong() {
        let start = Instant::now();
        let line = |summary: &StatusSummary<'_>| {
            StatusLine::new(start).next(summary, start + Duration::from_secs(60)).unwrap()
        };
        assert_eq!(line(&summary(3, 1_000)), "1,000 APIs: 3 down, 1 unknown; 5 alerts owed; 16.7 probes/s; store ok");
        let since = Timestamp::from_millis(1_795_332_600_000);
        let gone = StatusSummary { trouble: Some((NotReady::StoreGone, since)), ..summary(3, 1) };
        assert_eq!(
            line(&gone),
            "1,000 APIs: 3 down, 1 unknown; 5 alerts owed; under 0.1 probes/s; store takes no writes since 2026-11-22T07:30:00.000Z"
        );
        let none = StatusSummary { apis: 0, why_no_configs: Some("apis.toml: is not there"), ..summary(0, 0) };
        assert_eq!(
            line(&none),
            "no configs could be read yet, tried again and again; store ok; apis.toml: is not there"
        );
        let unreadable = ["DynamoDB table configs: throttled".to_owned()];
        let partly = StatusSummary { unreadable: &unreadable, ..summary(3, 60) };
        assert_eq!(
            line(&partly),
            "1,000 APIs: 3 down, 1 unknown; 5 alerts owed; 1.0 probes/s; store ok; the last good configs run, since some \
             cannot be read: DynamoDB table configs: throttled"
        );
        let silent =
            StatusSummary { report: None, trouble: Some((NotReady::KeeperSilent, since)), apis: 1, ..summary(0, 60) };
        assert_eq!(
            line(&silent),
            "1 API; the state-keeper does not answer since 2026-11-22T07:30:00.000Z; 1.0 probes/s"
        );
    }

    #[test]
    fn a_line_is_told_when_it_changes_and_not_at_each_look() {
        let start = Instant::now();
        let mut status = StatusLine::new(start);
        let mut told = Vec::new();
        for second in 1..=120 {
            // One goes down; the rate changes all the time.
            let summary = summary(usize::from(second > 50), second * second);
            if status.next(&summary, start + Duration::from_secs(second)).is_some() {
                told.push(second);
            }
        }
        assert_eq!(told, [1, 31, 51, 81, 111]);
        let mut status = StatusLine::new(start);
        let told = (1..=120).filter(|second| {
            let at = start + Duration::from_secs(*second);
            status.next(&summary(usize::try_from(*second).unwrap(), 0), at).is_some()
        });
        assert_eq!(told.count(), 40);
    }
}
