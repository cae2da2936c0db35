//! Rows that a person writes in the DynamoDB console, and tables that are not there.

use api_health::configs::dynamodb_table::DynamoConfigTable;
use api_health::configs::raw::RowTable;
use api_health_actors::ports::SourceError;
use aws_sdk_dynamodb::primitives::Blob;
use aws_sdk_dynamodb::types::AttributeValue;
use serde_json::json;

use crate::support::dynamodb::{client, create_table};
use crate::support::moto::Moto;
use crate::support::tools;
use crate::worlds::block_on;

#[test]
fn sets_become_lists_and_what_json_cannot_hold_hides_nothing() {
    block_on(async {
        let client = client(&Moto::shared().endpoint);
        let name = create_table(&client, "api_id").await;
        let put = client.put_item().table_name(&name).item("api_id", AttributeValue::S("a".into()));
        put.item("tags", AttributeValue::Ss(vec!["x".into(), "y".into()]))
            .item("numbers", AttributeValue::Ns(vec!["1".into()]))
            .item("timeout_seconds", AttributeValue::N("10".into()))
            .item("body", AttributeValue::B(Blob::new("abc")))
            .send()
            .await
            .unwrap();
        let rows = DynamoConfigTable::new(client, &name).rows().await.unwrap();
        assert_eq!(
            json!(rows[0].fields),
            json!({
                "api_id": "a", "tags": ["x", "y"], "numbers": [1], "timeout_seconds": 10,
                "body": [{ "unreadable": "binary, 3 bytes" }]
            })
        );
    });
}

#[test]
fn a_table_that_cannot_be_read_is_told_by_who_must_act() {
    block_on(async {
        let missing = DynamoConfigTable::new(client(&Moto::shared().endpoint), "no-such-table");
        let error = missing.rows().await.unwrap_err();
        assert!(matches!(error, SourceError::Misconfigured(_)), "{error:?}");
        assert_eq!(
            error.to_string(),
            "DynamoDB table no-such-table: this source does not exist in region eu-central-1; \
             write the name of a table that exists there, or create it with the key api_id (S)"
        );
        let endpoint = format!("http://127.0.0.1:{}", tools::free_port());
        let refused = DynamoConfigTable::new(client(&endpoint), "configs").rows().await.unwrap_err();
        assert!(matches!(refused, SourceError::Unavailable(_)), "{refused:?}");
    });
}
