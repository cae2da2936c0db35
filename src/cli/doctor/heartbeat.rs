//! The last heartbeats in the store: whether somebody watches, wherever that is, and whether each API is probed in time.

use api_health_actors::ports::{StateStore, StoredHeartbeat};
use api_health_core::{ApiId, Heartbeat, Timestamp};

use super::report::Finding;
use crate::cli::checks::Check;
use crate::cli::text;

/// APIs that are named, of those that are late and of those that could not be told.
const NAMED_MAX: usize = 3;

/// Reads them. `beats`: whether heartbeats are written by these settings.
pub(super) async fn look(store: &dyn StateStore, beats: bool, now: Timestamp) -> Finding {
    match store.read_heartbeats().await {
        Ok(found) => judge(found, beats, now),
        Err(error) => Finding::fault(Check::Heartbeat, error.to_string(), "do what that says"),
    }
}

fn judge(found: Vec<StoredHeartbeat>, beats: bool, now: Timestamp) -> Finding {
    if let Some(Err(unreadable)) = found.iter().find(|beat| beat.is_err()) {
        let what = format!("cannot be read: {}", text::line(&unreadable.why));
        return Finding::warn(Check::Heartbeat, what, "start the daemon, which writes a new one");
    }
    let found: Vec<Heartbeat> = found.into_iter().flatten().collect();
    let Some(heartbeat) = Heartbeat::together(&found) else {
        return Finding::ok(Check::Heartbeat, "none is stored yet: `run` has not watched for long, or sends none");
    };
    let overdue: Vec<Heartbeat> = found.iter().filter(|beat| beat.is_overdue(now)).cloned().collect();
    if let Some(silent) = Heartbeat::together(&overdue) {
        let (when, who) = (text::ago(silent.at, now), who(&silent));
        if !beats {
            let what = format!(
                "off (store.heartbeat_seconds = 0), so whether somebody watches is not known; the last one came {when}, from {who}"
            );
            return Finding::ok(Check::Heartbeat, what);
        }
        let but = match found.len() - overdue.len() {
            0 => "nobody watches, or it cannot write",
            _ => "it no longer watches, or cannot write, and the others have not taken its APIs over",
        };
        return Finding::warn(
            Check::Heartbeat,
            format!("the last one came {when}, from {who}: {but}"),
            "systemctl status api-health; journalctl -u api-health -n 50",
        );
    }
    let (when, who) = (text::ago(heartbeat.at, now), who(&heartbeat));
    let late = (heartbeat.late > 0).then(|| {
        let named = named(heartbeat.late, &heartbeat.late_api_ids);
        let what = format!("{} of {} not probed in time: {named}", heartbeat.late, heartbeat.apis);
        (what, "see the log for probers that die, and the machine for load (top, vmstat 1)")
    });
    let blind = (heartbeat.inconclusive > 0).then(|| {
        let named = named(heartbeat.inconclusive, &heartbeat.inconclusive_api_ids);
        let what =
            format!("of {} of {} the last probe could not tell: {named}", heartbeat.inconclusive, heartbeat.apis);
        (what, "see why (api-health status, the log): the way out and the name service of the machine that watches")
    });
    // What most probes cannot tell is not known of anybody: nobody would be alerted.
    let is_blind = heartbeat.inconclusive > heartbeat.apis / 2;
    let (what, todo): (Vec<String>, Vec<&str>) = late.into_iter().chain(blind).unzip();
    if !what.is_empty() {
        let (what, todo) = (format!("{when}, from {who}; {}", what.join("; ")), todo.join("; "));
        return match is_blind {
            true => Finding::fault(Check::Heartbeat, what, todo),
            false => Finding::warn(Check::Heartbeat, what, todo),
        };
    }
    let apis = text::count(usize::try_from(heartbeat.apis).unwrap_or(usize::MAX), "API");
    Finding::ok(Check::Heartbeat, format!("{when}, from {who}; {apis}, each probed in time"))
}

fn who(heartbeat: &Heartbeat) -> String {
    format!("{}, version {}", text::line(&heartbeat.instance), text::line(&heartbeat.version))
}

fn named(count: u64, ids: &[ApiId]) -> String {
    let mut named: Vec<&str> = ids.iter().take(NAMED_MAX).map(ApiId::as_str).collect();
    if count > named.len() as u64 {
        named.push("…");
    }
    named.join(", ")
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

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
            inconclusive: 0,
            inconclusive_api_ids: Vec::new(),
        };
        let judged = |beat: &Heartbeat, after| judge(vec![Ok(beat.clone())], true, at.plus(Duration::from_secs(after)));
        let well = judged(&beat, 40);
        assert_eq!(
            (well.mark, well.what.as_str()),
            (Mark::Ok, "40 s ago, from ip-10-0-0-1:7:1, version 0.1.0; 5 APIs, each probed in time")
        );
        let silent = judged(&beat, 3_600);
        assert!(silent.mark == Mark::Warn && silent.what.contains("came 1 h ago"), "{silent:?}");
        let ids = ["a", "b", "c", "d"].map(|id| ApiId::parse(id).unwrap()).to_vec();
        let late = judged(&Heartbeat { late: 4, late_api_ids: ids.clone(), ..beat.clone() }, 40);
        assert!(late.mark == Mark::Warn && late.what.ends_with("; 4 of 5 not probed in time: a, b, c, …"), "{late:?}");
        assert_eq!(judge(vec![], true, at).mark, Mark::Ok);
        let blind = |inconclusive| Heartbeat { inconclusive, inconclusive_api_ids: ids[..2].to_vec(), ..beat.clone() };
        let some = judged(&blind(2), 40);
        assert!(
            some.mark == Mark::Warn && some.what.ends_with("; of 2 of 5 the last probe could not tell: a, b"),
            "{some:?}"
        );
        let most = judged(&Heartbeat { late: 1, late_api_ids: ids[3..].to_vec(), ..blind(3) }, 40);
        assert_eq!(most.mark, Mark::Fault, "{most:?}");
        assert!(
            most.what.contains("1 of 5 not probed in time: d; of 3 of 5") && most.what.ends_with("a, b, …"),
            "{most:?}"
        );
        // Of several workers, each that is silent is named, and the others are not.
        let of = |instance: &str, at| Heartbeat { at, instance: instance.into(), ..beat.clone() };
        let later = at.plus(Duration::from_secs(3_600));
        let both = judge(vec![Ok(of("a:1:1", later)), Ok(of("b:2:2", later))], true, later);
        assert_eq!(both.what, "now, from a:1:1, b:2:2, version 0.1.0; 10 APIs, each probed in time");
        let one = judge(vec![Ok(of("a:1:1", later)), Ok(of("b:2:2", at))], true, later);
        assert!(
            one.mark == Mark::Warn && one.what.starts_with("the last one came 1 h ago, from b:2:2, version"),
            "{one:?}"
        );
        // A silence that was asked for is none that worries.
        let off = judge(vec![Ok(beat.clone())], false, at.plus(Duration::from_secs(3_600)));
        assert!(off.mark == Mark::Ok && off.what.contains("off (store.heartbeat_seconds = 0)"), "{off:?}");
    }
}
