//! The last heartbeat in the store: whether somebody watches, wherever that is, and whether each API is probed in time.

use api_health_actors::ports::{StateStore, StoredHeartbeat};
use api_health_core::Timestamp;

use super::checks::Check;
use super::report::Finding;
use crate::cli::text;

/// Late APIs that are named.
const NAMED_MAX: usize = 3;

/// Reads it.
pub(super) async fn look(store: &dyn StateStore, now: Timestamp) -> Finding {
    match store.read_heartbeat().await {
        Ok(found) => judge(found, now),
        Err(error) => Finding::fault(Check::Heartbeat, error.to_string(), "what that says"),
    }
}

fn judge(found: Option<StoredHeartbeat>, now: Timestamp) -> Finding {
    let heartbeat = match found {
        None => {
            return Finding::ok(Check::Heartbeat, "none is stored yet: `run` has not watched for long, or sends none");
        }
        Some(Err(unreadable)) => {
            let what = format!("cannot be read: {}", text::line(&unreadable.why));
            return Finding::warn(Check::Heartbeat, what, "start the daemon, which writes a new one");
        }
        Some(Ok(heartbeat)) => heartbeat,
    };
    let when = text::ago(heartbeat.at, now);
    let who = format!("{}, version {}", text::line(&heartbeat.instance), text::line(&heartbeat.version));
    if heartbeat.is_overdue(now) {
        return Finding::warn(
            Check::Heartbeat,
            format!("the last one came {when}, from {who}: nobody watches, or it cannot write"),
            "systemctl status api-health; journalctl -u api-health -n 50",
        );
    }
    if heartbeat.late > 0 {
        let mut named: Vec<&str> = heartbeat.late_api_ids.iter().take(NAMED_MAX).map(|id| id.as_str()).collect();
        if heartbeat.late > named.len() as u64 {
            named.push("…");
        }
        return Finding::warn(
            Check::Heartbeat,
            format!(
                "{when}, from {who}; {} of {} not probed in time: {}",
                heartbeat.late,
                heartbeat.apis,
                named.join(", ")
            ),
            "see the log for probers that die, and the machine for load (top, vmstat 1)",
        );
    }
    let apis = text::count(usize::try_from(heartbeat.apis).unwrap_or(usize::MAX), "API");
    Finding::ok(Check::Heartbeat, format!("{when}, from {who}; {apis}, each probed in time"))
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use api_health_core::ApiId;
    use api_health_core::heartbeat::Heartbeat;

    use super::*;
    use crate::cli::doctor::report::Mark;

    #[test]
    fn a_silent_daemon_and_late_probes_are_told() {
        let at = Timestamp::from_millis(1_795_000_000_000);
        let beat = Heartbeat {
            at,
            instance: "ip-10-0-0-1:7:1".into(),
            version: "0.1.0".into(),
            period: Some(Duration::from_secs(60)),
            checkpoint: Duration::from_secs(3_600),
            apis: 5,
            up: 5,
            down: 0,
            unknown: 0,
            owed: 0,
            probes: 5,
            probes_since: at,
            late: 0,
            late_api_ids: Vec::new(),
        };
        let judged = |beat: &Heartbeat, after| judge(Some(Ok(beat.clone())), at.plus(Duration::from_secs(after)));
        let well = judged(&beat, 40);
        assert_eq!(
            (well.mark, well.what.as_str()),
            (Mark::Ok, "40 s ago, from ip-10-0-0-1:7:1, version 0.1.0; 5 APIs, each probed in time")
        );
        let silent = judged(&beat, 3_600);
        assert!(silent.mark == Mark::Warn && silent.what.contains("came 1 h ago"), "{silent:?}");
        let ids = ["a", "b", "c", "d"].map(|id| ApiId::parse(id).unwrap()).to_vec();
        let late = judged(&Heartbeat { late: 4, late_api_ids: ids, ..beat }, 40);
        assert!(late.mark == Mark::Warn && late.what.ends_with("; 4 of 5 not probed in time: a, b, c, …"), "{late:?}");
        assert_eq!(judge(None, at).mark, Mark::Ok);
    }
}
