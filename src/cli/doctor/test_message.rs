//! `--send-test-message`: the one thing that the doctor does to the outside, and only when it is asked to.

use std::sync::Arc;

use super::report::Finding;
use crate::app::App;
use crate::cli::alerts;
use crate::cli::checks::Check;
use crate::cli::out::Out;
use crate::cli::text;

/// The alert of `alerts test` through every channel that is set.
pub(super) async fn send(app: &App, as_json: bool, out: &Out) -> Vec<Finding> {
    let todo = "mend what the findings above name, then api-health alerts test";
    let (alert, notifiers) = match (alerts::test_alert(app), alerts::notifiers(app, as_json, out).await) {
        (Ok(alert), Ok(notifiers)) => (Arc::new(alert), notifiers),
        (Err(error), _) | (_, Err(error)) => return vec![Finding::fault(Check::TestMessage, error.to_string(), todo)],
    };
    let mut found = Vec::new();
    for notifier in &notifiers {
        let began = tokio::time::Instant::now();
        let channel = notifier.channel();
        found.push(match notifier.deliver(Arc::clone(&alert)).await {
            Ok(()) => {
                let what = format!("{channel} took it over in {}: see that it arrived", text::millis(began.elapsed()));
                Finding::ok(Check::TestMessage, what)
            }
            Err(error) => Finding::fault(Check::TestMessage, format!("{channel} did not take it: {error}"), todo),
        });
    }
    found
}
