//! Clients and tables on an emulator of DynamoDB.

use std::sync::atomic::{AtomicU32, Ordering};

use api_health::aws;
use aws_sdk_dynamodb::Client;
use aws_sdk_dynamodb::config::retry::RetryConfig;
use aws_sdk_dynamodb::config::{BehaviorVersion, Credentials, Region};
use aws_sdk_dynamodb::types::{
    AttributeDefinition, BillingMode, KeySchemaElement, KeyType, ScalarAttributeType, TimeToLiveSpecification,
};

/// A client as the program makes it, but for credentials and endpoint.
pub fn client(endpoint: &str) -> Client {
    let config = aws_sdk_dynamodb::Config::builder()
        .behavior_version(BehaviorVersion::latest())
        .region(Region::new("eu-central-1"))
        .credentials_provider(Credentials::new("test", "test", None, None, "test"))
        .endpoint_url(endpoint)
        .retry_config(RetryConfig::disabled())
        .timeout_config(aws::timeouts())
        .build();
    Client::from_conf(config)
}

/// A table of which no other test knows, with the key `key` (S).
pub async fn create_table(client: &Client, key: &str) -> String {
    create(client, &[(key, KeyType::Hash)]).await
}

/// The same for history: with the keys `api_id` (S) and `slot` (S), deleting what expired.
pub async fn create_history_table(client: &Client) -> String {
    let name = create(client, &[("api_id", KeyType::Hash), ("slot", KeyType::Range)]).await;
    let expiry = TimeToLiveSpecification::builder().enabled(true).attribute_name("expires_at").build().unwrap();
    client.update_time_to_live().table_name(&name).time_to_live_specification(expiry).send().await.unwrap();
    name
}

async fn create(client: &Client, keys: &[(&str, KeyType)]) -> String {
    static COUNT: AtomicU32 = AtomicU32::new(0);
    let name = format!("t{}-{}", std::process::id(), COUNT.fetch_add(1, Ordering::Relaxed));
    let mut request = client.create_table().table_name(&name).billing_mode(BillingMode::PayPerRequest);
    for (key, kind) in keys {
        let attribute =
            AttributeDefinition::builder().attribute_name(*key).attribute_type(ScalarAttributeType::S).build();
        let schema = KeySchemaElement::builder().attribute_name(*key).key_type(kind.clone()).build();
        request = request.attribute_definitions(attribute.unwrap()).key_schema(schema.unwrap());
    }
    request.send().await.unwrap();
    name
}
