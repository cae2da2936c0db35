//! The checks of AWS: who we are there, the way to it, the tables and the topic. In a build without the feature `aws`,
//! `no_cloud.rs` stands in the place of this file.

mod endpoints;
mod identity;
mod tables;
mod topic;

use super::report::Finding;
use super::{Task, task};
use crate::app::App;
use crate::aws;
use crate::cli::checks::Check;
use crate::notify::channel::ChannelSettings;
use crate::settings::{LoadedSettings, Settings, StoreKind};
use tables::Table;
use topic::Topic;

/// Looks for region and credentials, which takes [`aws::PREFLIGHT_MAX`] at most; and every other check of AWS that fits the settings,
/// each after those that it needs.
pub(super) async fn examine<'a>(loaded: &LoadedSettings, app: &'a App) -> (Vec<Finding>, Vec<Task<'a>>) {
    let Settings { store, notify, apis, history, proxies, .. } = &app.settings;
    let (uses_tables, topics) = (store.kind == StoreKind::Dynamodb, notify.topics());
    if !uses_tables && topics.is_empty() {
        return Default::default();
    }
    let (config, identity) = identity::examine(loaded, app.clock.now()).await;
    let (mut of_topics, mut sns) = (Vec::new(), None);
    let is_other = |channel: &ChannelSettings| !matches!(channel.kind.name, "sns" | "terminal");
    let has_others = notify.webhook.is_some() || notify.channels.iter().any(is_other);
    for topic in topics {
        let config = aws::load(Some(topic.region().to_owned()), proxies).await;
        let topic = Topic::new(&config, topic);
        of_topics.push(task(Check::Topic, topic.clone().attributes()));
        of_topics.push(task(Check::Subscriptions, topic.clone().subscriptions(has_others)));
        of_topics.push(task(Check::Publish, topic.pretend_to_publish()));
        sns.get_or_insert(config);
    }
    let dynamodb = uses_tables.then_some(config);
    let mut tasks = vec![task(Check::Clock, endpoints::examine(app, dynamodb.clone(), sns))];
    if let Some(config) = dynamodb {
        let table = |check, name| Table::new(&config, check, name);
        if apis.from_store {
            tasks.push(task(Check::ConfigsTable, table(Check::ConfigsTable, &store.config_table).form()));
        }
        tasks.push(task(Check::StatesTable, table(Check::StatesTable, &store.state_table).form()));
        tasks.push(task(Check::StatesWrite, table(Check::StatesWrite, &store.state_table).writes()));
        if history.enabled {
            tasks.push(task(Check::HistoryTable, table(Check::HistoryTable, &history.table).history()));
        }
    }
    tasks.extend(of_topics);
    (identity, tasks)
}
