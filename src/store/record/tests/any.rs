//! Any state, and any JSON that may stand in the place of one.

use std::net::{IpAddr, SocketAddr};
use std::sync::Arc;
use std::time::Duration;

use api_health_core::delivery::{Delivery, OWED_MAX, OwedAlert};
use api_health_core::evidence::Certificate;
use api_health_core::flap::Flap;
use api_health_core::history::Story;
use api_health_core::history::story::AWAITING_HISTORY_MAX;
use api_health_core::hold::Held;
use api_health_core::incident::{DeliveredAlert, Ended, Incident};
use api_health_core::maintenance::Maintenance;
use api_health_core::recent::{Recent, RecentAlert, Run};
use api_health_core::{Alert, AlertKind, Evidence, PhaseTimes};
use proptest::option;
use proptest::prelude::*;
use proptest::sample::select;

use super::super::*;

/// Values that a console, JSON and both databases have been known to trip over.
pub(super) fn text() -> impl Strategy<Value = String> {
    prop_oneof![
        any::<String>(),
        select(vec!["", " ", "\u{0}", "\u{feff}", "ü", "🦀", "\"", "\\u0000", "null", "2026-11-22T07:30:00Z"])
            .prop_map(str::to_owned)
    ]
}

fn time() -> impl Strategy<Value = Timestamp> {
    prop_oneof![
        any::<i64>(),
        -10_000_000_000_000_i64..10_000_000_000_000,
        select(vec![0, -1, 1, 999, i64::MIN, i64::MAX]),
    ]
    .prop_map(Timestamp::from_millis)
}

fn delivery() -> impl Strategy<Value = Delivery> {
    (text(), any::<(bool, u32)>(), option::of(text()), option::of(time())).prop_map(
        |(channel, (delivered, failures), last_error, next_try_at)| Delivery {
            channel,
            delivered,
            failures,
            last_error,
            next_try_at,
        },
    )
}

fn owed(kind: AlertKind) -> impl Strategy<Value = OwedAlert> {
    let texts = (text(), text(), text(), text(), text());
    let times = (time(), time(), time());
    let previous = select(vec![Status::Unknown, Status::Up, Status::Down]);
    let channels = (proptest::collection::vec(text(), 0..3), proptest::collection::vec(delivery(), 0..3));
    let figures = (any::<u32>(), option::of(evidence().prop_map(Arc::new)));
    (texts.boxed(), times.boxed(), previous, figures.boxed(), channels.boxed()).prop_map(
        move |((alert_id, incident_id, name, url, reason), times, previous_status, figures, channels)| {
            let ((changes_left_out, evidence), (owed_to, deliveries)) = (figures, channels);
            let alert = Alert {
                alert_id,
                incident_id,
                kind,
                api_id: ApiId::parse("a").unwrap(),
                name,
                url,
                previous_status,
                happened_at: times.0,
                detected_at: times.1,
                incident_started_at: times.2,
                reason,
                changes_left_out,
                evidence,
            };
            OwedAlert { alert, owed_to, deliveries }
        },
    )
}

/// Ends an incident that is in the record.
fn ending(mut owed: OwedAlert) -> OwedAlert {
    owed.alert.previous_status = Status::Down;
    owed
}

/// Takes an outage back that is not.
fn withdrawing(mut owed: OwedAlert) -> OwedAlert {
    owed.alert.previous_status = Status::Unknown;
    owed
}

fn evidence() -> BoxedStrategy<Evidence> {
    let names = || proptest::collection::vec(text(), 0..3);
    let duration = || option::of(any::<u64>().prop_map(Duration::from_micros));
    let phases = (duration(), duration(), duration(), duration(), duration())
        .prop_map(|(resolve, connect, tls, first_byte, body)| PhaseTimes { resolve, connect, tls, first_byte, body })
        .boxed();
    let certificate = (text(), text(), time(), time())
        .prop_map(|(subject, issuer, not_before, not_after)| Certificate { subject, issuer, not_before, not_after })
        .boxed();
    let addresses =
        (proptest::collection::vec(any::<IpAddr>(), 0..4), any::<u16>(), option::of(any::<(IpAddr, u16)>())).boxed();
    let texts = (option::of(text()), option::of(text()), option::of(certificate)).boxed();
    // Boxed: the generators would not fit a test's stack.
    (time(), addresses, phases, texts, (names(), names()))
        .prop_map(
            |(
                seen_at,
                (addresses, more_addresses, address),
                phases,
                (status_line, body_start, certificate),
                (well, ill),
            )| {
                let address = address.map(SocketAddr::from);
                Evidence {
                    seen_at,
                    addresses,
                    more_addresses,
                    address,
                    phases,
                    status_line,
                    certificate,
                    body_start,
                    well,
                    ill,
                }
            },
        )
        .boxed()
}

fn recent() -> BoxedStrategy<Recent> {
    let verdict = select(vec![Verdict::Pass, Verdict::Fail, Verdict::Inconclusive]);
    let run = (verdict, any::<Option<u16>>(), 1..u32::MAX, time())
        .prop_map(|(verdict, code, count, first_at)| Run::new(verdict, code, count, first_at));
    let told = (select(vec![AlertKind::Down, AlertKind::Up, AlertKind::Closed]), time(), time())
        .prop_map(|(kind, happened_at, detected_at)| RecentAlert { kind, happened_at, detected_at });
    (proptest::collection::vec(run, 0..6), proptest::collection::vec(told, 0..3))
        .prop_map(|(runs, told)| Recent::of(runs, told))
        .boxed()
}

/// Any state that keeps the invariants.
pub(super) fn state() -> impl Strategy<Value = ApiState> {
    let held = (text(), time(), any::<u32>().prop_map(|changes| changes.max(1)), any::<bool>());
    let flap = (proptest::collection::vec(time(), 0..4), option::of(time()), any::<bool>())
        .prop_map(|(changes, since, is_alerted)| Flap { changes, since, is_alerted });
    let window = (time(), time(), select(vec!["", "new disks", "ü🦀"]).prop_map(str::to_owned))
        .prop_map(|(since, until, note)| Maintenance { since, until, note });
    (told(), option::of(held), option::of(flap), option::of(window)).prop_map(|(mut state, held, flap, maintenance)| {
        state.flap = flap.map(Box::new);
        state.maintenance = maintenance.map(Box::new);
        let Some((why, confirmed_at, changes, is_reversed)) = held.filter(|_| state.status != Status::Unknown) else {
            return state;
        };
        let mut held = Held { from: Status::Up, changes, confirmed_at, why, ended: None };
        if is_reversed && state.status == Status::Down {
            // It came back, and that is held.
            (state.status, held.ended) = (Status::Up, state.incident.take());
            state.streak = None;
        }
        state.held = Some(Box::new(held));
        state
    })
}

/// Any in which nothing is held.
fn told() -> impl Strategy<Value = ApiState> {
    let last = (
        time(),
        select(vec![Verdict::Pass, Verdict::Fail, Verdict::Inconclusive]),
        any::<(Option<u32>, Option<u16>)>(),
        option::of(text()),
    )
        .prop_map(|(at, verdict, (latency_ms, status_code), error)| LastProbe {
            at,
            verdict,
            latency_ms,
            status_code,
            error,
        });
    let incident = (text(), time(), text(), text(), text()).prop_map(|(incident_id, started_at, reason, name, url)| {
        let owed_to = vec!["sns".into()];
        let (reminders, confirmed_at, delivered) = (3, None, vec![]);
        Incident {
            incident_id,
            started_at,
            reason,
            name,
            url,
            owed_to,
            evidence: None,
            reminders,
            confirmed_at,
            delivered,
        }
    });
    let delivered_to = (text(), select(vec![AlertKind::Down, AlertKind::Up]), time());
    let delivered_to = delivered_to.prop_map(|(channel, kind, at)| DeliveredAlert { channel, kind, at }).boxed();
    let delivered_to = proptest::collection::vec(delivered_to, 0..3);
    let incident = (incident, option::of(evidence()), option::of(time()), delivered_to)
        .prop_map(|(incident, evidence, confirmed_at, delivered)| {
            let evidence = evidence.map(Arc::new);
            Incident { evidence, confirmed_at, delivered, ..incident }
        })
        .boxed();
    let end = (any::<(bool, u64)>(), option::of(evidence()));
    let story = (incident.clone(), (time(), time(), time()), end).prop_map(
        |(incident, (began_at, ended_at, end_confirmed_at), ((is_closed, excluded_ms), evidence))| Story {
            incident,
            began_at,
            ended_at,
            end_confirmed_at,
            is_closed,
            excluded_ms,
            end_evidence: evidence.map(Arc::new),
        },
    );
    let awaiting_history = proptest::collection::vec(story, 0..=AWAITING_HISTORY_MAX).boxed();
    let end = select(vec![AlertKind::Up, AlertKind::Closed]).prop_flat_map(owed).prop_map(ending).boxed();
    let withdrawn = owed(AlertKind::Closed).prop_map(withdrawing).boxed();
    // Boxed: the generators would not fit a test's stack.
    let outbox = (owed(AlertKind::Down).boxed(), end, 0..OWED_MAX, option::of(withdrawn));
    (
        (select(vec![Status::Unknown, Status::Up, Status::Down]), 1..u64::MAX, any::<u64>()),
        (time(), incident, option::of(last), awaiting_history),
        option::of((1..u32::MAX, time(), any::<u16>())),
        (outbox, prop_oneof![Just(0), any::<u64>()], recent(), any::<[u32; 2]>().prop_map(Ended::of)),
    )
        .prop_map(
            |(
                (status, version, missed_ticks),
                (since, incident, last_probe, awaiting_history),
                streak,
                ((down, end, count, withdrawn), epoch, recent, ended),
            )| {
                let is_down = status == Status::Down;
                // In turn, and ending on what was told last.
                let last_alerted = if is_down { Status::Down } else { end.alert.kind.status() };
                let in_turn =
                    (0..count).rev().map(|n| if (n % 2 == 0) == is_down { down.clone() } else { end.clone() });
                ApiState {
                    api_id: ApiId::parse("a").unwrap(),
                    version,
                    epoch,
                    status,
                    since: (status != Status::Unknown).then_some(since),
                    streak: streak.map(|(count, first_at, request_fingerprint)| Streak {
                        toward: if is_down { Toward::Up } else { Toward::Down },
                        request_fingerprint,
                        count,
                        first_at,
                    }),
                    incident: is_down.then_some(Box::new(incident)),
                    last_alerted,
                    owed: in_turn.chain(withdrawn).collect(),
                    awaiting_history,
                    ended,
                    last_probe,
                    recent,
                    missed_ticks,
                    held: None,
                    flap: None,
                    maintenance: None,
                }
            },
        )
}

/// JSON of any shape, and records with one field replaced or gone.
pub(super) fn odd_json() -> impl Strategy<Value = Value> {
    let leaf = prop_oneof![
        Just(Value::Null),
        any::<bool>().prop_map(Value::from),
        any::<i64>().prop_map(Value::from),
        any::<f64>().prop_map(Value::from),
        text().prop_map(Value::from),
    ];
    let any_json = leaf.prop_recursive(3, 16, 4, |inner| {
        prop_oneof![
            proptest::collection::vec(inner.clone(), 0..4).prop_map(Value::from),
            proptest::collection::btree_map(text(), inner, 0..4)
                .prop_map(|map| Value::Object(map.into_iter().collect())),
        ]
    });
    let broken = (state(), any::<prop::sample::Index>(), option::of(any_json.clone())).prop_map(|(state, at, new)| {
        let Value::Object(mut fields) = serde_json::to_value(StateRecord::from(&state)).unwrap() else {
            unreachable!()
        };
        let name = fields.keys().nth(at.index(fields.len())).unwrap().clone();
        match new {
            Some(new) => fields.insert(name, new),
            None => fields.remove(&name),
        };
        Value::Object(fields)
    });
    prop_oneof![any_json, broken]
}
