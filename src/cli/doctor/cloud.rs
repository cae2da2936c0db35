//! The checks of AWS: who we are there, the way to it, the tables and the topic. In a build without the feature `aws`,
//! `no_cloud.rs` stands in the place of this file.

mod endpoints;
mod identity;
mod tables;
mod topic;

use aws_config::SdkConfig;

use super::report::Finding;
use super::{Task, task};
use crate::app::App;
use crate::aws;
use crate::cli::checks::Check;
use crate::settings::{LoadedSettings, Settings, SnsSettings, StoreKind};
use tables::Table;
use topic::Topic;

/// How AWS is spoken to, where the settings need it.
#[derive(Default)]
pub(super) struct Cloud {
    tables: Option<SdkConfig>,
    /// Each topic, and what it is asked with, in its region.
    topics: Vec<(SnsSettings, SdkConfig)>,
}

impl Cloud {
    /// Looks for region and credentials, which takes [`aws::PREFLIGHT_MAX`] at most.
    pub(super) async fn find(loaded: &LoadedSettings, app: &App) -> (Self, Vec<Finding>) {
        let Settings { store, notify, .. } = &loaded.settings;
        let uses_tables = store.kind == StoreKind::Dynamodb;
        let topics = notify.topics();
        if !uses_tables && topics.is_empty() {
            return (Self::default(), Vec::new());
        }
        let (config, findings) = identity::examine(loaded, app.clock.now()).await;
        let mut asked = Vec::new();
        for sns in topics {
            let config = aws::load(Some(sns.region().to_owned()), &loaded.settings.proxies).await;
            asked.push((sns, config));
        }
        (Self { tables: uses_tables.then_some(config), topics: asked }, findings)
    }

    /// Every check of AWS that fits the settings, each after those that it needs.
    pub(super) fn tasks<'a>(&'a self, app: &'a App) -> Vec<Task<'a>> {
        let Settings { store, notify, apis, history, .. } = &app.settings;
        let mut tasks = Vec::new();
        let sns = self.topics.first().map(|(_, config)| config);
        if self.tables.is_some() || sns.is_some() {
            tasks.push(task(Check::Clock, endpoints::examine(app, self.tables.as_ref(), sns)));
        }
        if let Some(config) = &self.tables {
            let table = |check, name| Table::new(config, check, name);
            if apis.from_store {
                tasks.push(task(Check::ConfigsTable, table(Check::ConfigsTable, &store.config_table).form()));
            }
            tasks.push(task(Check::StatesTable, table(Check::StatesTable, &store.state_table).form()));
            tasks.push(task(Check::StatesWrite, table(Check::StatesWrite, &store.state_table).writes()));
            if history.enabled {
                tasks.push(task(Check::HistoryTable, table(Check::HistoryTable, &history.table).history()));
            }
        }
        for (sns, config) in &self.topics {
            let topic = || Topic::new(config, sns);
            tasks.push(task(Check::Topic, topic().attributes()));
            tasks.push(task(Check::Subscriptions, topic().subscriptions(notify.webhook.is_some())));
            tasks.push(task(Check::Publish, topic().pretend_to_publish()));
        }
        tasks
    }
}
