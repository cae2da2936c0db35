//! The checks of AWS: who we are there, the way to it, the tables and the topic. In a build without the feature `aws`,
//! `no_cloud.rs` stands in the place of this file.

mod endpoints;
mod identity;
mod tables;
mod topic;

use std::time::Duration;

use api_health_actors::ports::StoreError;
use aws_config::SdkConfig;

use super::CheckUnderWay;
use super::report::Finding;
use crate::app::App;
use crate::cli::checks::Check;
use crate::settings::{LoadedSettings, Settings, StoreKind};
use endpoints::Endpoint;
use identity::Identity;
use tables::Table;
use topic::TopicCheck;

/// Bound on looking for region and credentials, which the other checks of AWS wait for.
const IDENTITY_TIMEOUT: Duration = Duration::from_secs(15);

/// How AWS is spoken to.
pub(super) struct Cloud {
    /// `None`: not needed, or not found in time.
    identity: Option<Identity>,
    /// In the topic's region.
    sns: Option<SdkConfig>,
}

impl Cloud {
    /// Looks for region and credentials, where the settings need them.
    pub(super) async fn look(loaded: &LoadedSettings, app: &App) -> (Self, Vec<Finding>) {
        let Settings { store, notify, .. } = &loaded.settings;
        if store.kind == StoreKind::Sqlite && notify.sns.is_none() {
            return (Self { identity: None, sns: None }, Vec::new());
        }
        let looked = tokio::time::timeout(IDENTITY_TIMEOUT, identity::look(loaded, app.clock.now())).await;
        let (identity, findings) = match looked {
            Ok((found, findings)) => (Some(found), findings),
            Err(_) => (
                None,
                vec![Finding::fault(
                    Check::Credentials,
                    format!("region and credentials were not found within {} s", IDENTITY_TIMEOUT.as_secs()),
                    "see whether this machine's metadata service answers; AWS_REGION spares asking it for that",
                )],
            ),
        };
        let sns = match &notify.sns {
            Some(sns) => Some(crate::aws::load(Some(sns.region().to_owned()), &loaded.settings.proxies).await),
            None => None,
        };
        (Self { identity, sns }, findings)
    }

    fn no_credentials(&self) -> Option<&'static str> {
        match &self.identity {
            None => Some("region and credentials were not found in time"),
            Some(found) => (!found.has_credentials).then_some("there are no AWS credentials"),
        }
    }

    /// Why the tables cannot be asked.
    pub(super) fn missing(&self) -> Option<&'static str> {
        // A topic brings its region along.
        let has_region = self.identity.as_ref().is_none_or(|found| found.has_region);
        self.no_credentials().or_else(|| (!has_region).then_some("there is no AWS region"))
    }

    /// Every check of AWS that fits the settings.
    pub(super) fn checks<'a>(&'a self, app: &'a App) -> Vec<CheckUnderWay<'a>> {
        let Settings { store, notify, apis, .. } = &app.settings;
        let mut running = Vec::new();
        let uses_tables = store.kind == StoreKind::Dynamodb;
        let found = self.identity.as_ref().filter(|found| found.has_region && uses_tables);
        let mut endpoints: Vec<_> = found.map(|found| Endpoint::of_dynamodb(&found.config)).into_iter().collect();
        endpoints.extend(self.sns.as_ref().map(Endpoint::of_sns));
        if !endpoints.is_empty() {
            running.push(CheckUnderWay::new(Check::DynamodbEndpoint, endpoints::endpoints(app, endpoints)));
        }
        match (self.missing(), &self.identity) {
            _ if !uses_tables => {}
            (None, Some(Identity { config, .. })) => {
                if apis.from_store {
                    let table = Table::of_configs(config, &store.config_table);
                    running.push(CheckUnderWay::new(Check::ConfigsTable, async move { table.look_and_read().await }));
                }
                let table = || Table::of_states(config, &store.state_table);
                let (looked, written) = (table(), table());
                running.push(CheckUnderWay::new(Check::StatesTable, async move { looked.look().await }));
                running.push(CheckUnderWay::new(Check::StatesWrite, async move { written.pretend_to_write().await }));
            }
            (why, _) => running.push(CheckUnderWay::not_checked(
                &[Check::ConfigsTable, Check::StatesTable, Check::StatesWrite],
                why.unwrap_or_default(),
            )),
        }
        if let (Some(sns), Some(config)) = (&notify.sns, &self.sns) {
            running.push(match self.no_credentials() {
                None => {
                    let topic = TopicCheck::new(config, sns, notify.webhook.is_some());
                    CheckUnderWay::new(Check::Topic, async move { topic.look().await })
                }
                Some(why) => CheckUnderWay::not_checked(&[Check::Topic, Check::Subscriptions, Check::Publish], why),
            });
        }
        running
    }

    /// How many damaged records lie set aside in the table of states.
    pub(super) async fn count_quarantined(&self, table: &str) -> Result<u32, String> {
        let Some(found) = &self.identity else { return Ok(0) };
        let counted = Table::of_states(&found.config, table).count_quarantined().await;
        counted.map_err(|fault| StoreError::from(fault).to_string())
    }
}
