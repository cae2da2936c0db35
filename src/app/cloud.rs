//! The adapters that speak to AWS, each over a configuration of its own (see [`crate::aws`]). In a build without the feature
//! `aws`, `no_cloud.rs` stands in the place of this file.

use std::sync::{Arc, OnceLock};

use api_health_actors::leases::Leases;
use api_health_actors::ports::{Clock, HistoryStore, Notifier, StateStore, StoreError};

use super::AppError;
use crate::aws;
use crate::configs::dynamodb_table::DynamoConfigTable;
use crate::configs::raw::RowTable;
use crate::notify::sns::SnsNotifier;
use crate::settings::{Settings, SnsSettings};
use crate::store::DynamoStateStore;
use crate::store::dynamodb::leases::DynamoLeases;
use crate::store::history::DynamoHistoryStore;

pub(super) use crate::aws::PREFLIGHT_MAX;

pub(super) async fn states(settings: &Settings, region: &Region) -> Result<Arc<dyn StateStore>, AppError> {
    Ok(Arc::new(DynamoStateStore::new(dynamodb(settings, region).await?, settings.store.state_table.clone())))
}

/// `None`: a person has to act first, which is said. What may pass by itself is left to whoever writes.
pub(super) async fn history(settings: &Settings, region: &Region) -> Result<Option<Arc<dyn HistoryStore>>, AppError> {
    let store = async || {
        let client = dynamodb(settings, region).await?;
        Ok::<_, AppError>(DynamoHistoryStore::new(client, settings.history.table.clone()))
    };
    // With a client of its own: the connections of the one that is used are made on the thread that uses it.
    if let Err(StoreError::Misconfigured { what, remedy }) = store().await?.look().await {
        tracing::warn!(
            "no history is kept: {what}; {remedy}. infra/terraform of this release makes the table and allows its use; \
             history.enabled = false says that none is wanted"
        );
        return Ok(None);
    }
    Ok(Some(Arc::new(store().await?)))
}

pub(super) async fn configs(settings: &Settings, region: &Region) -> Result<Arc<dyn RowTable>, AppError> {
    Ok(Arc::new(DynamoConfigTable::new(dynamodb(settings, region).await?, settings.store.config_table.clone())))
}

pub(super) async fn leases(settings: &Settings, region: &Region) -> Result<Arc<dyn Leases>, AppError> {
    Ok(Arc::new(DynamoLeases::new(dynamodb(settings, region).await?, settings.store.state_table.clone())))
}

/// The topic is spoken to in its own region, wherever the tables are.
pub(super) async fn topic(
    sns: &SnsSettings,
    settings: &Settings,
    clock: Arc<dyn Clock>,
    stays: bool,
) -> Result<Arc<dyn Notifier>, AppError> {
    let config = aws::load(Some(sns.region().to_owned()), &settings.proxies).await;
    let client = aws_sdk_sns::Client::new(&config);
    let notifier = SnsNotifier::new(client, sns.clone(), settings.environment.clone(), clock);
    if stays {
        notifier.look_for_listeners();
    }
    Ok(Arc::new(notifier))
}

/// The region, once it and credentials were found: each client has a configuration of its own, and none looks for them again.
pub(super) type Region = OnceLock<String>;

/// A client, once region and credentials were found.
async fn dynamodb(settings: &Settings, region: &Region) -> Result<aws_sdk_dynamodb::Client, AppError> {
    if let Some(region) = region.get() {
        return Ok(aws_sdk_dynamodb::Client::new(&aws::load(Some(region.clone()), &settings.proxies).await));
    }
    let config = aws::load(settings.region.clone(), &settings.proxies).await;
    match aws::preflight(&config).await {
        Ok(()) => {
            let found = config.region().map(ToString::to_string);
            found.map(|found| region.set(found)); // another call may have been as quick
            Ok(aws_sdk_dynamodb::Client::new(&config))
        }
        Err(error) => {
            let error = error.explain().await;
            Err(if error.may_pass { AppError::NotYet } else { AppError::Unavailable }(error.to_string()))
        }
    }
}
