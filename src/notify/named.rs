//! A channel under a name of its own: the adapters of SNS and of the terminal know but one name each.

use std::sync::Arc;

use api_health_actors::ports::{Notifier, NotifierOfMany, NotifyError};
use api_health_core::Alert;
use futures_util::future::LocalBoxFuture;

/// What carries its alerts, and the name.
pub struct Named {
    name: String,
    inner: Arc<dyn Notifier>,
}

impl Named {
    pub fn new(name: String, inner: Arc<dyn Notifier>) -> Self {
        Self { name, inner }
    }
}

impl Notifier for Named {
    fn channel(&self) -> &str {
        &self.name
    }

    fn deliver(&self, alert: Arc<Alert>) -> LocalBoxFuture<'_, Result<(), NotifyError>> {
        self.inner.deliver(alert)
    }

    fn digests(&self) -> Option<&dyn NotifierOfMany> {
        self.inner.digests()
    }
}
