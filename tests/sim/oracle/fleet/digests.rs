//! Storms: what is one message, and that alerts go out together where there are many.

use std::collections::{HashMap, HashSet};
use std::time::Duration;

use api_health_core::ApiId;
use api_health_core::keep::STORM_WITHIN;

use super::{Answered, Checked, Fleet};
use crate::oracle::is_a_digest;

/// In a storm one may go out alone where none joins it: at most one every five seconds; and one more that waited while the clock stood.
const ALONE_IN_A_STORM: usize = 4;

/// So many digests have failed in a row where alerts alone were taken meanwhile: the channel may not know digests.
const DIGESTS_FAILED: usize = 3;

/// What each process sent by each channel lately.
#[derive(Default)]
pub(super) struct Storms {
    /// So many of the next alerts belong to one message, which is the so many-th.
    in_digest: usize,
    digests: usize,
    alone: HashMap<(usize, &'static str), Vec<Duration>>,
    /// The calls of alerts in a digest, and which that is.
    calls: HashMap<u64, usize>,
    /// The digests that failed since one was taken.
    failed: HashMap<(usize, &'static str), HashSet<usize>>,
    /// Digests may be refused there, for good or again and again, and then alerts go out one by one.
    refused: HashSet<(usize, &'static str)>,
}

impl Fleet<'_> {
    pub(super) fn digest_began(&mut self, apis: &[ApiId]) -> Checked {
        self.count("told in a digest");
        self.storms.in_digest = apis.len();
        self.storms.digests += 1;
        if !is_a_digest(apis) {
            return Err(self.violation("a_digest_has_each_api_once", None, format!("{apis:?}")));
        }
        Ok(())
    }

    /// What came of a call.
    pub(super) fn call_ended(&mut self, call: u64, channel: &'static str, answered: Answered) {
        let (storms, there) = (&mut self.storms, (self.process, channel));
        let digest = storms.calls.remove(&call);
        if answered == Answered::Permanent {
            storms.refused.insert(there);
        } else if let Some(digest) = digest {
            let failed = storms.failed.entry(there).or_default();
            if answered == Answered::Ok {
                failed.clear();
            } else {
                failed.insert(digest);
            }
            if failed.len() >= DIGESTS_FAILED {
                storms.refused.insert(there);
            }
        }
    }

    /// An alert is offered: alone, or in the digest that has just begun.
    pub(super) fn storms_are_told_in_digests(&mut self, call: u64, channel: &'static str) -> Checked {
        if self.storms.in_digest > 0 {
            self.storms.in_digest -= 1;
            self.storms.calls.insert(call, self.storms.digests);
            return Ok(());
        }
        let (process, now, above) = (self.process, self.at, self.script.digest_above);
        // One that leaves waits for nobody.
        let leaves = self.history.processes[process].asked_to_leave.is_some_and(|at| at <= now);
        if above == 0 || leaves || self.storms.refused.contains(&(process, channel)) {
            return Ok(());
        }
        let alone = self.storms.alone.entry((process, channel)).or_default();
        alone.retain(|at| now.saturating_sub(*at) < STORM_WITHIN);
        alone.push(now);
        let count = alone.len();
        if count > above + ALONE_IN_A_STORM {
            let what = format!("process {process} sends {count} one by one to {channel}, and {above} are a storm");
            return Err(self.violation("storms_are_told_in_digests", None, what));
        }
        Ok(())
    }
}
