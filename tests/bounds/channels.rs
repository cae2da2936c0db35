//! Channels at their bounds: blocks that wait for a terminal which takes nothing.

use std::io::{self, Write};
use std::sync::Arc;
use std::time::Duration;

use api_health::notify::terminal::{BLOCKS_WAITING_MAX, TerminalNotifier, WRITE_TIMEOUT};
use api_health_actors::ports::{Notifier as _, NotifyError};
use api_health_core::{Alert, ApiState, Outcome, Verdict, decide};
use futures_util::future::join_all;
use serde_json::json;
use tokio::time::Instant;

use crate::{NOW, StillClock, fields, row, rules};

/// An output that takes nothing, as a paused terminal does.
struct Paused(std::sync::mpsc::Receiver<()>);

impl Write for Paused {
    fn write(&mut self, _: &[u8]) -> io::Result<usize> {
        let _ = self.0.recv(); // until the test is over
        Err(io::ErrorKind::BrokenPipe.into())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

fn alert(n: usize) -> Arc<Alert> {
    let api = json!({ "api_id": format!("api-{n}"), "url": "https://a.test/", "failure_threshold": 1 });
    let api = rules().check(&row(fields(api))).unwrap();
    let outcome = Outcome {
        started_at: NOW,
        finished_at: NOW,
        verdict: Verdict::Fail,
        latency_ms: None,
        status_code: None,
        reasons: vec!["refused".into()],
        evidence: None,
        certificate: None,
        figures: api_health_core::ProbeFigures::default(),
    };
    Arc::new(decide(&ApiState::unknown(api.api_id.clone()), &outcome, &api.policy(), &[], NOW).alert().unwrap().clone())
}

#[test]
fn so_many_blocks_wait_for_a_terminal_that_takes_nothing() {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_time().start_paused(true).build().unwrap();
    let (over, paused) = std::sync::mpsc::channel();
    let notifier = TerminalNotifier::new(Paused(paused), "test".into(), false, Arc::new(StillClock)).unwrap();
    runtime.block_on(async {
        let began = Instant::now();
        let ends = join_all((0..4 * BLOCKS_WAITING_MAX).map(|n| {
            let notifier = &notifier;
            async move { (notifier.deliver(alert(n)).await, began.elapsed()) }
        }))
        .await;
        assert!(ends.iter().all(|(end, _)| matches!(end, Err(NotifyError::Retryable { .. }))));
        let waited = ends.iter().filter(|(_, after)| *after >= WRITE_TIMEOUT).count();
        // The thread holds one, and the queue so many; the others are refused at once.
        assert!((BLOCKS_WAITING_MAX..=BLOCKS_WAITING_MAX + 1).contains(&waited), "{waited} waited");
        assert!(ends.iter().all(|(_, after)| *after <= WRITE_TIMEOUT + Duration::from_millis(10)));
    });
    drop(over);
}
