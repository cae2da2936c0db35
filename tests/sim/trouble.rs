//! When something in the world was in trouble, found from how it answered, for telling what may be late.

use std::collections::HashMap;
use std::time::Duration;

use api_health_actors::testkit::stage::{Answered, Entry, Event};

/// A store that takes longer than this to answer is in trouble.
const STORE_SLOW: Duration = Duration::from_millis(500);

/// A channel that takes longer than this fills the places there are.
const CHANNEL_SLOW: Duration = Duration::from_secs(5);

/// Spans of time.
#[derive(Default)]
pub(crate) struct Spans(Vec<(Duration, Duration)>);

impl Spans {
    /// Whether any of them touches the time from one moment to another.
    pub(crate) fn touch(&self, from: Duration, to: Duration) -> bool {
        self.0.iter().any(|(began, ended)| *began <= to && *ended >= from)
    }
}

/// What was in trouble when.
#[derive(Default)]
pub(crate) struct Troubles {
    pub(crate) store: Spans,
    pub(crate) channels: HashMap<&'static str, Spans>,
    /// Somebody else wrote, or set the clock: what follows takes a little longer.
    pub(crate) meddling: Spans,
    /// The clock was set.
    pub(crate) clock: Spans,
}

impl Troubles {
    pub(crate) fn of(journal: &[Entry]) -> Self {
        let mut troubles = Self::default();
        let mut commits = HashMap::new();
        let mut deliveries = HashMap::new();
        for Entry { at, event, .. } in journal {
            match event {
                Event::CommitBegan { call, .. } => {
                    commits.insert(*call, *at);
                }
                Event::CommitEnded { call, all_well } => {
                    if let Some(began) = commits.remove(call)
                        && (!all_well || *at - began > STORE_SLOW)
                    {
                        troubles.store.0.push((began, *at));
                    }
                }
                Event::DeliverBegan { call, channel, .. } => {
                    deliveries.insert(*call, (*channel, *at));
                }
                Event::DeliverEnded { call, answered: Answered::AskedForPatience(wait) } => {
                    if let Some((channel, began)) = deliveries.remove(call) {
                        // After that it is tried with one alert, and more with each that it takes.
                        troubles.channels.entry(channel).or_default().0.push((began, *at + *wait + CHANNEL_SLOW));
                    }
                }
                Event::DeliverEnded { call, answered } => {
                    if let Some((channel, began)) = deliveries.remove(call)
                        && (*answered == Answered::Cut || *at - began > CHANNEL_SLOW)
                    {
                        troubles.channels.entry(channel).or_default().0.push((began, *at));
                    }
                }
                Event::LifeEnded { .. } => {
                    troubles.store.0.extend(commits.drain().map(|(_, began)| (began, *at)));
                    for (_, (channel, began)) in deliveries.drain() {
                        troubles.channels.entry(channel).or_default().0.push((began, *at));
                    }
                }
                Event::ClockSet { .. } => {
                    troubles.clock.0.push((*at, *at));
                    troubles.meddling.0.push((*at, *at));
                }
                Event::Overwritten { .. } | Event::Deleted { .. } => {
                    troubles.meddling.0.push((*at, *at));
                }
                _ => {}
            }
        }
        troubles
    }
}
