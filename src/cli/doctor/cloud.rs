//! The checks of AWS: who we are there, the way to it, the tables and the topic. In a build without the feature `aws`,
//! `no_cloud.rs` stands in the place of this file.

mod endpoints;
mod identity;
mod tables;
mod topic;

use aws_config::SdkConfig;

use super::Task;
use super::report::Finding;
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
            tasks.push(Task::new(Check::Clock, endpoints::examine(app, self.tables.as_ref(), sns)));
        }
        let of_tables = [
            (Check::ConfigsTable, &store.config_table, apis.from_store),
            (Check::StatesTable, &store.state_table, true),
            (Check::StatesWrite, &store.state_table, true),
            (Check::HistoryTable, &history.table, history.enabled),
        ];
        if let Some(config) = &self.tables {
            let used = of_tables.into_iter().filter(|(.., is_used)| *is_used);
            tasks.extend(used.map(|(check, name, _)| Task::new(check, Table::new(config, check, name).examine())));
        }
        for (sns, config) in &self.topics {
            let of_topic = [Check::Topic, Check::Subscriptions, Check::Publish];
            let has_others = notify.webhook.is_some();
            tasks.extend(of_topic.map(|check| Task::new(check, Topic::new(config, check, sns).examine(has_others))));
        }
        tasks
    }
}
