//! Whether the program does what it is for, and a line in the log whenever that changes.

use api_health_actors::state_keeper::KeeperReport;
use api_health_core::Timestamp;

/// So many looks in a row must agree that it is not ready: a store that is throttled comes and goes within seconds.
const LOOKS_TO_DOUBT: u32 = 3;

/// Why it is not ready.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum NotReady {
    /// The keeper is stuck, or is being started again.
    KeeperSilent,
    /// The store takes no writes.
    StoreGone,
    /// No configs could be read since the start.
    Unconfigured,
    /// Some source of configs could not be read the last time.
    PartlyUnread,
}

impl NotReady {
    pub(super) const fn words(self) -> &'static str {
        match self {
            Self::KeeperSilent => "the state-keeper does not answer",
            Self::StoreGone => "the store takes no writes",
            Self::Unconfigured => "no configs could be read yet",
            Self::PartlyUnread => "some configs cannot be read; the last good ones run",
        }
    }
}

/// What was found at the last looks.
#[derive(Debug, Default)]
pub(super) struct Readiness {
    /// What was said last.
    said: Option<Result<(), NotReady>>,
    doubts: u32,
    /// What is wrong now, and since when.
    found: Option<(NotReady, Timestamp)>,
}

impl Readiness {
    /// Looks, and says what changed. `configs` is what is wrong with them. What is wrong for certain, and since when.
    pub(super) fn look(
        &mut self,
        report: Option<KeeperReport>,
        configs: Option<NotReady>,
        now: Timestamp,
    ) -> Option<(NotReady, Timestamp)> {
        let found = match report {
            None => Err(NotReady::KeeperSilent),
            Some(report) if report.store_is_gone => Err(NotReady::StoreGone),
            Some(_) => configs.map_or(Ok(()), Err),
        };
        self.found = match (found, self.found) {
            (Ok(()), _) => None,
            (Err(trouble), Some((before, since))) if before == trouble => Some((trouble, since)),
            (Err(trouble), _) => Some((trouble, now)),
        };
        if let Some(change) = self.changed(found) {
            match change {
                Ok(()) => tracing::info!("ready: configs are read, and the store takes writes"),
                Err(trouble) => tracing::warn!(why = trouble.words(), "not ready"),
            }
        }
        self.found.filter(|_| self.doubts >= LOOKS_TO_DOUBT)
    }

    /// What is new, if anything is.
    fn changed(&mut self, found: Result<(), NotReady>) -> Option<Result<(), NotReady>> {
        self.doubts = if found.is_err() { self.doubts.saturating_add(1) } else { 0 };
        let is_sure = found.is_ok() || self.doubts >= LOOKS_TO_DOUBT;
        if !is_sure || self.said == Some(found) {
            return None;
        }
        self.said = Some(found);
        Some(found)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_change_is_said_once_and_a_blip_not_at_all() {
        let mut readiness = Readiness::default();
        let (yes, no) = (Ok(()), Err(NotReady::StoreGone));
        let found = [yes, yes, no, no, yes, no, no, no, no, yes, yes];
        let said: Vec<_> = found.into_iter().map(|found| readiness.changed(found)).collect();
        let (y, n) = (Some(yes), Some(no));
        assert_eq!(said, [y, None, None, None, None, None, None, n, None, y, None]);
    }

    #[test]
    fn trouble_is_dated_to_the_first_look_that_found_it() {
        let mut readiness = Readiness::default();
        let at = Timestamp::from_millis;
        let gone = Some(KeeperReport { store_is_gone: true, ..KeeperReport::default() });
        assert_eq!(readiness.look(Some(KeeperReport::default()), None, at(1)), None);
        assert_eq!(readiness.look(gone, None, at(2)), None, "a blip?");
        assert_eq!(readiness.look(gone, None, at(3)), None);
        assert_eq!(readiness.look(gone, None, at(4)), Some((NotReady::StoreGone, at(2))));
        assert_eq!(readiness.look(None, None, at(5)), Some((NotReady::KeeperSilent, at(5))));
        assert_eq!(
            readiness.look(Some(KeeperReport::default()), Some(NotReady::Unconfigured), at(6)),
            Some((NotReady::Unconfigured, at(6)))
        );
        let partly = readiness.look(Some(KeeperReport::default()), Some(NotReady::PartlyUnread), at(7));
        assert_eq!(partly, Some((NotReady::PartlyUnread, at(7))));
        assert_eq!(readiness.look(Some(KeeperReport::default()), None, at(8)), None);
    }
}
