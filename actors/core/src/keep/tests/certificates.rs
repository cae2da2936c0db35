//! Certificates that end soon: told once for each threshold, once when renewed, and no status changes.

use proptest::prelude::*;

use super::*;
use crate::certificate::Validity;

const DAY: u64 = 24 * 3_600;

fn at_day(n: u64) -> Timestamp {
    moment(Duration::from_secs(n * DAY)).wall
}

/// Good for a year from its beginning.
fn issued(day: u64) -> Validity {
    Validity { not_before: at_day(day), not_after: at_day(day + 365) }
}

impl Desk {
    /// A desk on the day `day`, with thresholds of 30, 7 and 1 days.
    fn on_day(day: u64) -> Self {
        let mut desk = Self::watching(&["shop"]);
        desk.now = Duration::from_secs(day * DAY);
        desk.rows.insert(id("shop"), Arc::new(ApiConfig { certificate_days: [30, 7, 1].into(), ..row("shop") }));
        desk
    }

    /// A probe passes and sees that certificate.
    fn sees(&mut self, certificate: Validity) {
        self.passes(Some(certificate));
    }

    fn passes(&mut self, certificate: Option<Validity>) {
        self.passes_by(Arc::clone(&self.rows["shop"]), certificate);
    }

    /// The same by another config than the one that is known.
    fn passes_by(&mut self, api: Arc<ApiConfig>, certificate: Option<Validity>) {
        self.now += Duration::from_secs(60);
        let now = moment(self.now);
        let outcome = Outcome {
            started_at: now.wall,
            finished_at: now.wall,
            verdict: Verdict::Pass,
            latency_ms: Some(7),
            status_code: None, // as of TLS alone
            reasons: vec![],
            evidence: None,
            certificate,
            figures: crate::ProbeFigures::default(),
        };
        let completed = CompletedProbe {
            api,
            outcome,
            missed_ticks: 0,
            next_tick_in: Some(Duration::from_secs(60)),
            patience: None,
        };
        self.keeper.on_probes_completed(std::iter::once(completed), now);
        self.take();
    }

    fn on(&mut self, day: u64, certificate: Validity) {
        self.now = Duration::from_secs(day * DAY + 3_600);
        self.sees(certificate);
        self.all_goes_well();
    }

    fn told(&self) -> Vec<(&str, &str)> {
        self.heard
            .iter()
            .zip(&self.alerts)
            .map(|(line, (_, alert))| (line.trim_start_matches("api-health:certificate:"), alert.reason.as_str()))
            .collect()
    }
}

#[test]
fn each_threshold_is_told_once_and_so_is_the_renewal() {
    let mut desk = Desk::on_day(1_000);
    let old = issued(1_000);
    for day in [1_000, 1_334, 1_336, 1_337, 1_350, 1_359, 1_360, 1_364] {
        desk.on(day, old);
    }
    for _ in 0..5 {
        desk.on(1_364, issued(1_364));
    }
    let expected = [
        ("shop down", "its certificate ends in 28 days, at "),
        ("shop down", "its certificate ends in 5 days, at "),
        ("shop down", "its certificate ends in 22 hours, at "),
        ("shop up", "its certificate is good until "),
    ];
    let told = desk.told();
    assert_eq!(told.len(), expected.len(), "{told:?}");
    for ((kind, reason), (wanted, begins)) in told.iter().zip(expected) {
        assert!(*kind == wanted && reason.starts_with(begins), "{kind}: {reason}");
    }
    let ids: HashSet<&str> = desk.alerts.iter().map(|(_, alert)| alert.alert_id.as_str()).collect();
    assert_eq!(ids.len(), 4, "no two have one id");
    assert!(desk.alerts.iter().all(|(_, alert)| alert.previous_status == crate::Status::Up), "its own status is told");
    assert_eq!(desk.keeper.state(&id("shop")).unwrap().status, crate::Status::Up);
}

#[test]
fn what_is_close_to_its_end_at_first_sight_is_told_once() {
    let mut desk = Desk::on_day(1_000);
    desk.on(1_360, issued(1_000));
    desk.on(1_361, issued(1_000));
    assert_eq!(desk.told().len(), 1);
}

#[test]
fn two_servers_with_two_certificates_tell_no_story_without_an_end() {
    let mut desk = Desk::on_day(1_000);
    let (old, new) = (issued(1_000), issued(1_340));
    desk.on(1_340, old);
    for turn in 0..20 {
        desk.on(1_341, if turn % 2 == 0 { new } else { old });
    }
    assert_eq!(desk.told().len(), 1, "never three good ones in a row");
    for _ in 0..3 {
        desk.on(1_342, new);
    }
    assert_eq!(desk.told().len(), 2, "renewed");
    for turn in 0..20 {
        desk.on(1_343, if turn % 2 == 0 { new } else { old });
    }
    assert_eq!(desk.told().len(), 2, "the old one is old news");
    desk.on(1_359, old);
    assert_eq!(desk.told().len(), 3, "until its next threshold");
}

#[test]
fn a_dead_channel_hears_beginnings_and_ends_in_turn() {
    let mut desk = Desk::on_day(1_000);
    let old = issued(1_000);
    for day in [1_336, 1_360] {
        desk.now = Duration::from_secs(day * DAY);
        desk.sees(old);
        desk.store_answers();
    }
    desk.attempts.clear(); // nobody ever answers
    let state = desk.keeper.state(&ApiId::monitor_certificate(&id("shop"))).unwrap();
    assert_eq!(state.owed.len(), 1, "the second waits for the first");
}

#[test]
fn an_api_that_answers_without_tls_has_no_certificate_that_could_end() {
    let mut desk = Desk::on_day(1_000);
    desk.on(1_336, issued(1_000));
    for _ in 0..2 {
        desk.passes(None);
        desk.all_goes_well();
    }
    let told = desk.told();
    assert_eq!((told.len(), told[1].0), (2, "shop closed"));
    assert!(told[1].1.contains("it shows no certificate any more; its certificate ends in 28 days"), "{told:?}");
}

#[test]
fn another_life_remembers_what_was_told_and_a_row_that_goes_closes_it() {
    let mut desk = Desk::on_day(1_000);
    desk.on(1_336, issued(1_000));
    let (store, rows) = (desk.store.clone(), desk.rows.clone());
    let mut next = Desk::empty(setup());
    (next.store, next.now) = (store, desk.now);
    next.gain(&grants(2, true));
    next.watch(&["shop"]);
    next.rows = rows;
    next.on(1_337, issued(1_000));
    assert_eq!(next.told(), [], "told by the life before");
    next.on(1_359, issued(1_000));
    assert_eq!(next.told().len(), 1);
    let stopped = vec![(id("shop"), "its row was removed")];
    next.keeper.apply_configs(&ConfigDiff { stopped, ..ConfigDiff::default() }, moment(next.now));
    next.take();
    next.all_goes_well();
    let told = next.told();
    assert_eq!(told[1].0, "shop closed");
    assert!(told[1].1.starts_with("no longer watched: its row was removed; its certificate ends in"), "{told:?}");
}

#[test]
fn what_a_probe_by_an_old_config_saw_tells_nothing_of_the_new_one() {
    let mut desk = Desk::on_day(1_000);
    let before = Arc::new(ApiConfig { url: "https://old.test/".into(), ..(*desk.rows["shop"]).clone() });
    desk.now = Duration::from_secs(1_336 * DAY);
    desk.passes_by(before, Some(issued(1_000)));
    desk.all_goes_well();
    assert_eq!(desk.told(), []);
}

#[test]
fn thresholds_that_are_changed_renew_nothing() {
    for days in [vec![], vec![3]] {
        let mut desk = Desk::on_day(1_000);
        desk.on(1_336, issued(1_000));
        desk.rows.insert(id("shop"), Arc::new(ApiConfig { certificate_days: days.into(), ..row("shop") }));
        for _ in 0..4 {
            desk.on(1_337, issued(1_000));
        }
        let told = desk.told();
        assert_eq!((told.len(), told[1].0), (2, "shop closed"), "{told:?}");
        assert!(told[1].1.contains("its certificate_days were changed; its certificate ends in 28 days"), "{told:?}");
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(64))]

    /// Whatever the days and certificates: no alert id comes twice, what is told never crosses the same threshold of the same
    /// certificate twice, and the API's own status never changes.
    #[test]
    fn nothing_is_told_twice(days in prop::collection::vec((0_u64..40, any::<bool>()), 1..60)) {
        let mut desk = Desk::on_day(1_000);
        let (mut day, mut certificate, mut began) = (1_300, issued(1_000), 1_000);
        for (step, renews) in days {
            day += step;
            if renews || day >= 365 + began {
                (certificate, began) = (issued(day), day);
            }
            desk.on(day, certificate);
            prop_assert_eq!(desk.keeper.state(&id("shop")).unwrap().status, crate::Status::Up);
        }
        let ids: HashSet<&str> = desk.alerts.iter().map(|(_, alert)| alert.alert_id.as_str()).collect();
        prop_assert_eq!(ids.len(), desk.alerts.len());
        let begun: Vec<Timestamp> =
            desk.alerts.iter().filter(|(_, alert)| alert.kind == crate::AlertKind::Down).map(|(_, alert)| alert.happened_at).collect();
        prop_assert!(begun.windows(2).all(|two| two[0] < two[1]), "{begun:?}");
    }
}
