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
    let fault = |what: String| Check::TestMessage.fault(what, "mend what is named above, then api-health alerts test");
    let (alert, notifiers) = match (alerts::test_alert(app), alerts::notifiers(app, as_json, out).await) {
        (Ok(alert), Ok(notifiers)) => (Arc::new(alert), notifiers),
        (Err(error), _) | (_, Err(error)) => return fault(error.to_string()).into(),
    };
    let mut found = Vec::new();
    for notifier in &notifiers {
        let (began, channel) = (tokio::time::Instant::now(), notifier.channel());
        found.push(match notifier.deliver(Arc::clone(&alert)).await {
            Ok(()) => {
                let took = text::millis(began.elapsed());
                Check::TestMessage.ok(format!("{channel} took it over in {took}: see that it arrived"))
            }
            Err(error) => fault(format!("{channel} did not take it: {error}")),
        });
    }
    found
}
