//! One line for a kind of trouble, not one for each API: when a clock is set or a network is gone, ten thousand APIs have the
//! same to say. The first few say it by name, the others are counted, and the count is said once a minute.
//!
//! A kind is the place in the code that a line comes from; of those there are few. News of an API (its status changed) is
//! never left out, nor is what somebody asked to see (`info` and `debug`).

use std::collections::HashMap;
use std::fmt::Debug;
use std::sync::{Mutex, PoisonError};
use std::time::Duration;

use tracing::callsite::Identifier;
use tracing::field::{Field, Visit};
use tracing::{Event, Level, Metadata};

/// So many lines of a kind are said in a minute.
const LINES_OF_A_KIND_MAX: u32 = 5;

const WINDOW: Duration = Duration::from_secs(60);

/// What was said of a kind since its window began.
struct LineKind {
    since: Duration,
    said: u32,
    left_out: u64,
    level: Level,
    message: String,
}

/// How many lines of a kind were left out, for whoever says so.
#[derive(Debug, PartialEq)]
pub(super) struct LeftOut {
    pub(super) level: Level,
    pub(super) lines: u64,
    pub(super) message: String,
}

#[derive(Default)]
pub(super) struct Limiter {
    kinds: Mutex<HashMap<Identifier, LineKind>>,
}

impl Limiter {
    /// Whether this line is said.
    pub(super) fn allows(&self, event: &Event<'_>, now: impl FnOnce() -> Duration) -> bool {
        let metadata = event.metadata();
        if !is_trouble_of_an_api(metadata) {
            return true;
        }
        let now = now();
        let mut kinds = self.kinds.lock().unwrap_or_else(PoisonError::into_inner);
        let kind = kinds.entry(metadata.callsite()).or_insert_with(|| LineKind {
            since: now,
            said: 0,
            left_out: 0,
            level: *metadata.level(),
            message: String::new(),
        });
        if kind.left_out == 0 && now.saturating_sub(kind.since) >= WINDOW {
            (kind.since, kind.said) = (now, 0);
        }
        if kind.said < LINES_OF_A_KIND_MAX {
            kind.said += 1;
            return true;
        }
        if kind.left_out == 0 {
            kind.message.clear();
            event.record(&mut Message(&mut kind.message));
        }
        kind.left_out += 1;
        false
    }

    /// What is to be said of the windows that are over.
    pub(super) fn take_due(&self, now: Duration) -> Vec<LeftOut> {
        let mut kinds = self.kinds.lock().unwrap_or_else(PoisonError::into_inner);
        let due = kinds.values_mut().filter(|k| k.left_out > 0 && now.saturating_sub(k.since) >= WINDOW);
        due.map(|kind| {
            (kind.since, kind.said) = (now, 0);
            let lines = std::mem::take(&mut kind.left_out);
            LeftOut { level: kind.level, lines, message: std::mem::take(&mut kind.message) }
        })
        .collect()
    }
}

fn is_trouble_of_an_api(metadata: &Metadata<'_>) -> bool {
    let has = |name| metadata.fields().field(name).is_some();
    *metadata.level() <= Level::WARN && has("api_id") && !has("incident_id")
}

/// Takes the text of an event.
struct Message<'a>(&'a mut String);

impl Visit for Message<'_> {
    fn record_debug(&mut self, field: &Field, value: &dyn Debug) {
        if field.name() == "message" {
            *self.0 = format!("{value:?}");
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::sync::Arc;
    use tracing_subscriber::Layer;
    use tracing_subscriber::layer::{Context, SubscriberExt};

    /// Counts what is said, at a time that the test sets.
    struct Said {
        limiter: Arc<Limiter>,
        now: Arc<Mutex<Duration>>,
        lines: Arc<Mutex<u64>>,
    }

    impl<S: tracing::Subscriber> Layer<S> for Said {
        fn on_event(&self, event: &Event<'_>, _: Context<'_, S>) {
            if self.limiter.allows(event, || *self.now.lock().unwrap()) {
                *self.lines.lock().unwrap() += 1;
            }
        }
    }

    #[test]
    fn of_ten_thousand_apis_with_one_trouble_five_are_named_and_the_others_are_counted_once_a_minute() {
        let (limiter, now, lines) = (Arc::<Limiter>::default(), Arc::default(), Arc::default());
        let said = Said { limiter: Arc::clone(&limiter), now: Arc::clone(&now), lines: Arc::clone(&lines) };
        let said_by = |storm: &dyn Fn()| {
            storm();
            std::mem::take(&mut *lines.lock().unwrap())
        };
        tracing::subscriber::with_default(tracing_subscriber::registry().with(said), || {
            let clock_set = || (0..10_000).for_each(|n| tracing::warn!(api_id = n, "the wall clock was set"));
            let other = || (0..7).for_each(|n| tracing::event!(Level::ERROR, api_id = n, "another trouble"));
            assert_eq!((said_by(&clock_set), said_by(&other)), (5, 5), "each kind by itself");
            assert_eq!(limiter.take_due(Duration::from_secs(59)), []);
            let mut due = limiter.take_due(Duration::from_secs(60));
            due.sort_by_key(|kind| kind.lines);
            let kind = |level, lines, message: &str| LeftOut { level, lines, message: message.into() };
            assert_eq!(
                due,
                [kind(Level::ERROR, 2, "another trouble"), kind(Level::WARN, 9_995, "the wall clock was set")]
            );
            assert_eq!(limiter.take_due(Duration::from_secs(999)), [], "once");
            *now.lock().unwrap() = Duration::from_secs(61);
            assert_eq!(said_by(&clock_set), 5, "by name again in the next minute");

            let news = || (0..99).for_each(|n| tracing::warn!(api_id = n, incident_id = n, "status changed"));
            let asked_for = || (0..99).for_each(|n| tracing::info!(api_id = n, "watched"));
            let of_no_api = || (0..99).for_each(|_| tracing::warn!("refused"));
            assert_eq!([said_by(&news), said_by(&asked_for), said_by(&of_no_api)], [99, 99, 99]);
        });
    }
}
