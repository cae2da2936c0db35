//! The promises of a notifier, kept by every adapter.
//!
//! The first tests are the list in the docs of the port, one each, over every channel. Beside them: which fault asks for
//! whose patience, and what each channel carries on the wire.

mod channels;
mod documented;
mod email;
mod faults;
mod http_server;
mod sns;
mod terminal;
#[path = "../presets/vendors.rs"]
#[allow(dead_code, unreachable_pub, reason = "the tests of the presets use the rest")]
mod vendors;
mod webhook;

use std::future::Future;
use std::sync::atomic::{AtomicI64, Ordering};
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

use api_health_actors::ports::{Clock, NotifyError};
use api_health_core::{Alert, AlertKind, ApiId, Status, Timestamp};

use channels::Channel;

/// A clock that the test sets.
pub(crate) struct TestClock(AtomicI64);

impl TestClock {
    pub(crate) fn at(text: &str) -> Arc<Self> {
        Arc::new(Self(AtomicI64::new(at(text).as_millis())))
    }

    pub(crate) fn forward(&self, seconds: i64) {
        self.0.fetch_add(seconds * 1_000, Ordering::SeqCst);
    }
}

impl Clock for TestClock {
    fn now(&self) -> Timestamp {
        Timestamp::from_millis(self.0.load(Ordering::SeqCst))
    }
}

fn at(text: &str) -> Timestamp {
    Timestamp::parse(text).unwrap()
}

/// An outage of an API whose name needs transliterating.
pub(crate) fn down() -> Arc<Alert> {
    Arc::new(Alert {
        alert_id: "shop.1795332600000.3.down".into(),
        incident_id: "shop.1795332600000.3".into(),
        kind: AlertKind::Down,
        api_id: ApiId::parse("shop").unwrap(),
        name: "Größe".into(),
        url: "https://shop.test/health".into(),
        previous_status: Status::Up,
        happened_at: at("2026-11-22T07:30:00Z"),
        detected_at: at("2026-11-22T07:30:05Z"),
        incident_started_at: at("2026-11-22T07:30:00Z"),
        reason: "status 503 is not in 2xx".into(),
        changes_left_out: 0,
        evidence: None,
    })
}

/// The recovery that ends it.
pub(crate) fn up() -> Arc<Alert> {
    Arc::new(Alert {
        alert_id: "shop.1795332600000.3.up".into(),
        kind: AlertKind::Up,
        previous_status: Status::Down,
        happened_at: at("2026-11-22T07:34:10Z"),
        detected_at: at("2026-11-22T07:34:15Z"),
        ..(*down()).clone()
    })
}

/// Runs a test as an arbiter would.
pub(crate) fn run(test: impl Future<Output = ()>) {
    actix_rt::System::new().block_on(test);
}

async fn every_channel(clock: &Arc<TestClock>) -> Vec<Channel> {
    let mut channels = vec![
        channels::sns(clock, "standard", false).await,
        channels::sns(clock, "fifo", true).await,
        channels::webhook(clock, false),
        channels::webhook(clock, true),
        channels::terminal(clock),
        email::channel(clock),
    ];
    channels.extend(vendors::VENDORS.iter().map(|vendor| channels::preset(clock, vendor)));
    channels
}

#[test]
fn promise_1_ok_means_that_the_channel_has_taken_the_alert_over() {
    run(async {
        for channel in every_channel(&TestClock::at("2026-11-22T07:30:06Z")).await {
            for alert in [down(), up()] {
                assert_eq!(channel.notifier.deliver(alert).await, Ok(()), "{}", channel.name);
            }
            let expected = ["shop.1795332600000.3.down", "shop.1795332600000.3.up"];
            assert_eq!((channel.received)(2).await, expected, "{}", channel.name);
        }
    });
}

#[test]
fn promise_2_every_repeat_carries_the_same_alert_id() {
    run(async {
        let clock = TestClock::at("2026-11-22T07:30:06Z");
        for channel in every_channel(&clock).await {
            channel.notifier.deliver(down()).await.unwrap();
            clock.forward(400);
            channel.notifier.deliver(down()).await.unwrap();
            // The next alert shows that nothing else is on its way.
            channel.notifier.deliver(up()).await.unwrap();
            let repeats = if channel.drops_repeats { 1 } else { 2 };
            let received = (channel.received)(repeats + 1).await;
            assert_eq!(received[..repeats], vec!["shop.1795332600000.3.down"; repeats], "{}", channel.name);
            assert_eq!(received[repeats..], ["shop.1795332600000.3.up"], "{}", channel.name);
        }
    });
}

#[test]
#[allow(clippy::disallowed_methods, reason = "it measures real waiting")]
fn promise_3_a_call_ends_within_its_stated_timeout() {
    run(async {
        let calls = faults::hanging().await.into_iter().map(|(name, notifier, bound)| async move {
            let started = Instant::now();
            let result = notifier.deliver(down()).await;
            let took = started.elapsed();
            assert!(matches!(result, Err(NotifyError::Retryable { .. })), "{name}: {result:?}");
            assert!(took <= bound + Duration::from_secs(2), "{name}: {took:?} is longer than {bound:?}");
            assert!(took >= Duration::from_secs(1), "{name}: did not hang at all: {took:?}, {result:?}");
        });
        futures_util::future::join_all(calls).await;
    });
}

/// Everything that is logged meanwhile.
fn captured<F: Future<Output = ()>>(does: impl FnOnce(Arc<Mutex<Vec<u8>>>) -> F) -> String {
    let log = Arc::new(Mutex::new(Vec::<u8>::new()));
    let subscriber = tracing_subscriber::fmt()
        .with_env_filter("debug,api_health=trace") // at trace the AWS SDK logs whole answers
        .with_writer({
            let log = Arc::clone(&log);
            move || LogWriter(Arc::clone(&log))
        })
        .finish();
    let guard = tracing::subscriber::set_default(subscriber);
    run(does(Arc::clone(&log)));
    drop(guard);
    String::from_utf8_lossy(&log.lock().unwrap()).into_owned()
}

#[test]
fn promise_4_no_secret_is_in_an_error_nor_in_a_log() {
    let log = captured(|_| async {
        for fault in faults::all().await {
            let error = fault.notifier.deliver(down()).await.unwrap_err();
            for text in [error.to_string(), format!("{error:?}")] {
                for secret in channels::SECRETS {
                    assert!(!text.contains(secret), "{}: {secret} is in {text}", fault.name);
                }
            }
        }
        tracing::info!("the log is captured");
    });
    assert!(log.contains("the log is captured"));
    for secret in channels::SECRETS {
        assert!(!log.contains(secret), "{secret} is in a log line: {:?}", log.lines().find(|l| l.contains(secret)));
    }
}

#[test]
fn errors_are_sorted_by_who_must_act() {
    run(async {
        for fault in faults::all().await {
            let error = fault.notifier.deliver(down()).await.unwrap_err();
            let text = error.to_string();
            match (&fault.expected, &error) {
                (faults::Expected::Retryable(after), NotifyError::Retryable { after: asked, .. }) => {
                    assert_eq!(asked, after, "{}: {text}", fault.name);
                }
                (faults::Expected::Permanent, NotifyError::Permanent { remedy, .. }) => {
                    assert!(!remedy.is_empty(), "{}", fault.name);
                }
                _ => panic!("{}: {error:?}", fault.name),
            }
            assert!(text.contains(fault.says), "{}: {text:?} does not say {:?}", fault.name, fault.says);
            assert!(text.len() < 400 && !text.contains('\n') && !text.contains(" { "), "{}: {text}", fault.name);
        }
    });
}

#[test]
fn names_of_channels_are_stable_because_they_are_stored() {
    run(async {
        let channels = every_channel(&TestClock::at("2026-11-22T07:30:06Z")).await;
        let names: Vec<_> = channels.iter().map(|c| c.notifier.channel()).collect();
        assert_eq!(names[..6], ["sns", "sns", "webhook", "webhook", "terminal", "mail/ops@example.com"]);
        assert!(names[6..].iter().all(|name| name.ends_with("-of-test")), "as the settings name them: {names:?}");
    });
}

struct LogWriter(Arc<Mutex<Vec<u8>>>);

impl std::io::Write for LogWriter {
    fn write(&mut self, bytes: &[u8]) -> std::io::Result<usize> {
        self.0.lock().unwrap().extend_from_slice(bytes);
        Ok(bytes.len())
    }

    fn flush(&mut self) -> std::io::Result<()> {
        Ok(())
    }
}
