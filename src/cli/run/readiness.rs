//! Whether the program does what it is for, and a line in the log whenever that changes.

use std::time::Duration;

use api_health_actors::system::Running;

/// How often it is looked at.
pub(super) const LOOK_EVERY: Duration = Duration::from_secs(1);

/// The keeper answers within microseconds; one that takes this long is stuck.
const ANSWER_MAX: Duration = Duration::from_secs(5);

/// So many looks in a row must agree that it is not ready: a store that is throttled comes and goes within seconds.
const LOOKS_TO_DOUBT: u32 = 3;

/// What was found at the last look.
#[derive(Debug, Default)]
pub(super) struct Readiness {
    /// What was said last.
    said: Option<Result<(), &'static str>>,
    doubts: u32,
}

impl Readiness {
    /// Looks, and says what changed.
    pub(super) async fn look(&mut self, running: &Running, without_configs: bool) {
        let report = tokio::time::timeout(ANSWER_MAX, running.report()).await.ok().flatten();
        let found = match report {
            None => Err("the state-keeper does not answer"),
            Some(report) if report.store_is_gone => Err("the store takes no writes"),
            Some(_) if without_configs => Err("no configs could be read yet"),
            Some(_) => Ok(()),
        };
        if let Some(change) = self.changed(found) {
            match change {
                Ok(()) => tracing::info!("ready: configs are read, and the store takes writes"),
                Err(why) => tracing::warn!(why, "not ready"),
            }
        }
    }

    /// What is new, if anything is.
    fn changed(&mut self, found: Result<(), &'static str>) -> Option<Result<(), &'static str>> {
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
        let (yes, no) = (Ok(()), Err("the store takes no writes"));
        let found = [yes, yes, no, no, yes, no, no, no, no, yes, yes];
        let said: Vec<_> = found.into_iter().map(|found| readiness.changed(found)).collect();
        let (y, n) = (Some(yes), Some(no));
        assert_eq!(said, [y, None, None, None, None, None, None, n, None, y, None]);
    }
}
