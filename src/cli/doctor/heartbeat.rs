//! The last heartbeats in the store: whether somebody watches, wherever that is, and whether each API is probed in time.

use api_health_actors::ports::{StateStore, StoredHeartbeat};
use api_health_core::{Heartbeat, Timestamp};

use super::report::Finding;
use crate::cli::checks::Check;
use crate::cli::status::heartbeat;
use crate::cli::text;

/// Reads them. `are_on`: whether heartbeats are written by these settings.
pub(super) async fn examine(store: &dyn StateStore, are_on: bool, now: Timestamp) -> Vec<Finding> {
    match store.read_heartbeats().await {
        Ok(found) => judge(found, are_on, now),
        Err(error) => Check::Heartbeat.fault(error.to_string(), "do what that says").into(),
    }
}

fn judge(found: Vec<StoredHeartbeat>, are_on: bool, now: Timestamp) -> Vec<Finding> {
    let check = Check::Heartbeat;
    if let Some(Err(unreadable)) = found.iter().find(|heartbeat| heartbeat.is_err()) {
        let what = format!("cannot be read: {}", text::line(&unreadable.why));
        return check.warn(what, "start the daemon, which writes a new one").into();
    }
    let each: Vec<Heartbeat> = found.into_iter().flatten().collect();
    let Some(all) = Heartbeat::together(&each) else {
        return check.ok("none is stored yet: `run` has not watched for long, or sends none").into();
    };
    let silent: Vec<String> = each.iter().filter_map(|heartbeat| heartbeat::overdue_words(heartbeat, now)).collect();
    let what = heartbeat::words(&all, &each, are_on, now);
    if !silent.is_empty() {
        let todo = "systemctl status api-health; journalctl -u api-health -n 50";
        return if are_on {
            silent.into_iter().map(|what| check.warn(what, todo)).collect()
        } else {
            check.ok(what).into()
        };
    }
    let late = "of those that are late, see the log for probers that die, and the machine for load (top, vmstat 1)";
    let blind =
        "of those that could not be told, see api-health status, the log, and the way out of the machine that watches";
    let todo: Vec<&str> = [(all.late, late), (all.inconclusive, blind)]
        .into_iter()
        .filter_map(|(count, todo)| (count > 0).then_some(todo))
        .collect();
    if todo.is_empty() {
        check.ok(what).into()
    } else if all.inconclusive > all.apis / 2 {
        check.fault(what, todo.join("; ")).into() // where most probes cannot tell, nobody would be alerted
    } else {
        check.warn(what, todo.join("; ")).into()
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use api_health_core::ApiId;

    use super::*;
    use crate::cli::doctor::report::Mark;

    #[test]
    fn a_silent_daemon_and_late_probes_are_told() {
        let at = Timestamp::from_millis(1_795_000_000_000);
        let heartbeat = Heartbeat {
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
            inconclusive: 0,
            inconclusive_api_ids: Vec::new(),
        };
        let only = |found: Vec<Finding>| <[Finding; 1]>::try_from(found).unwrap()[0].clone();
        let judged = |heartbeat: &Heartbeat, after| {
            only(judge(vec![Ok(heartbeat.clone())], true, at.plus(Duration::from_secs(after))))
        };
        let well = judged(&heartbeat, 40);
        assert_eq!((well.mark, well.what.as_str()), (Mark::Ok, "watched by ip-10-0-0-1, 40 s ago: 5 APIs, 0 late"));
        let silent = judged(&heartbeat, 3_600);
        assert!(silent.mark == Mark::Warn && silent.what.contains("heartbeat is 1 h old"), "{silent:?}");
        let ids = ["a", "b", "c", "d"].map(|id| ApiId::parse(id).unwrap()).to_vec();
        let late = judged(&Heartbeat { late: 4, late_api_ids: ids.clone(), ..heartbeat.clone() }, 40);
        assert!(late.mark == Mark::Warn && late.what.ends_with(" 5 APIs, 4 late (a, b, c, d)"), "{late:?}");
        assert_eq!(only(judge(vec![], true, at)).mark, Mark::Ok);
        let blind =
            |inconclusive| Heartbeat { inconclusive, inconclusive_api_ids: ids[..2].to_vec(), ..heartbeat.clone() };
        let some = judged(&blind(2), 40);
        assert!(some.mark == Mark::Warn && some.what.ends_with(", 2 could not be told (a, b)"), "{some:?}");
        let most = judged(&Heartbeat { late: 1, late_api_ids: ids[3..].to_vec(), ..blind(3) }, 40);
        assert_eq!(most.mark, Mark::Fault, "{most:?}");
        let todo = most.todo.unwrap();
        assert!(todo.contains("late, see the log") && todo.contains("; of those that could not be told"), "{todo}");
        // Of several workers, each that is silent is named, and the others are not.
        let of = |instance: &str, at| Heartbeat { at, instance: instance.into(), ..heartbeat.clone() };
        let later = at.plus(Duration::from_secs(3_600));
        let both = only(judge(vec![Ok(of("a:1:1", later)), Ok(of("b:2:2", later))], true, later));
        assert_eq!(both.what, "watched by 2 workers (a, b), now: 10 APIs, 0 late");
        let one = only(judge(vec![Ok(of("a:1:1", later)), Ok(of("b:2:2", at))], true, later));
        assert!(one.mark == Mark::Warn && one.what.contains("does not run on b, or"), "{one:?}");
        // A silence that was asked for is none that worries.
        let off = only(judge(vec![Ok(heartbeat.clone())], false, at.plus(Duration::from_secs(3_600))));
        assert!(off.mark == Mark::Ok && off.what.contains("off (store.heartbeat_seconds = 0)"), "{off:?}");
    }
}
