//! Records that make no sense are moved to another key of the same table, where a person can look at them.

use std::collections::HashMap;

use api_health_actors::ports::UnreadableState;
use aws_sdk_dynamodb::error::BuildError;
use aws_sdk_dynamodb::operation::transact_write_items::TransactWriteItemsError;
use aws_sdk_dynamodb::types::{AttributeValue, Delete, Put, TransactWriteItem};

use super::{DynamoStateStore, Item, KEY, is_no_state, read_item, value};
use crate::fault::Fault;
use crate::store::record;

/// The key of a record that was set aside: this, the key that it had, `:` and a number.
const PREFIX: &str = "api-health:set-aside:";

/// The attribute that says what was wrong with it.
const WHY: &str = "set_aside_why";

/// The most bytes of its old key in the new one; a key has 2,048 at most.
const KEY_BYTES_MAX: usize = 1_024;

/// Whether an item is one that was set aside.
pub(super) fn is_quarantined(item: &Item) -> bool {
    matches!(item.get(KEY), Some(AttributeValue::S(key)) if key.starts_with(PREFIX))
}

/// Moves a record that cannot be read, in one transaction, so that it is under one key or the other. It is looked at again
/// first; and if it is written to between that and the move, whoever wrote it wins and nothing is moved.
pub(super) async fn quarantine(store: &DynamoStateStore, record: &UnreadableState) -> Result<(), Fault> {
    let Some(item) = store.get(&record.api_id).await? else { return Ok(()) };
    if is_no_state(&item) {
        return Ok(());
    }
    if !read_item(item.clone()).is_err_and(|unreadable| !unreadable.is_newer) {
        return Ok(());
    }
    let call = store.call("dynamodb:DeleteItem"); // a transaction needs the permissions of its parts
    let unbuilt = |e: BuildError| call.odd(&format!("cannot set a record aside: {e}"));
    let key = AttributeValue::S(record.api_id.clone());
    let unchanged = Unchanged::of(&item);
    let delete = Delete::builder()
        .table_name(&store.table)
        .key(KEY, key)
        .condition_expression(unchanged.condition)
        .set_expression_attribute_names(Some(unchanged.names))
        .set_expression_attribute_values(Some(unchanged.values))
        .build()
        .map_err(unbuilt)?;
    let mut copy = item;
    copy.insert(KEY.into(), AttributeValue::S(new_key(&record.api_id, &copy)));
    copy.insert(WHY.into(), AttributeValue::S(record.why.clone()));
    let put = Put::builder().table_name(&store.table).set_item(Some(copy)).build().map_err(unbuilt)?;
    let request = store
        .client
        .transact_write_items()
        .transact_items(TransactWriteItem::builder().put(put).build())
        .transact_items(TransactWriteItem::builder().delete(delete).build());
    let answer = request.send().await;
    let error = answer.as_ref().err().and_then(|error| error.as_service_error());
    let Some(TransactWriteItemsError::TransactionCanceledException(canceled)) = error else {
        return call.answer(answer).map(drop);
    };
    let reasons = canceled.cancellation_reasons();
    let code = reasons.iter().filter_map(|reason| reason.code()).find(|code| *code != "None").unwrap_or_default();
    match code {
        "ConditionalCheckFailed" => Ok(()), // somebody wrote to it just now
        "ItemCollectionSizeLimitExceeded" | "ValidationError" => {
            Err(call.odd(&format!("cannot set a record aside: {code}")))
        }
        _ => Err(call.busy(code)),
    }
}

/// The condition that a record is as it was read, as far as a record reaches: what a person might mend is in these fields.
struct Unchanged {
    condition: String,
    names: HashMap<String, String>,
    values: HashMap<String, AttributeValue>,
}

impl Unchanged {
    fn of(item: &Item) -> Self {
        let (mut terms, mut names, mut values) = (Vec::new(), HashMap::new(), HashMap::new());
        for (n, field) in record::FIELDS.iter().enumerate() {
            names.insert(format!("#f{n}"), (*field).to_owned());
            match item.get(*field) {
                Some(value) => {
                    terms.push(format!("#f{n} = :v{n}"));
                    values.insert(format!(":v{n}"), value.clone());
                }
                None => terms.push(format!("attribute_not_exists(#f{n})")),
            }
        }
        Self { condition: terms.join(" AND "), names, values }
    }
}

/// The same for the same record, and mostly another for another.
fn new_key(api_id: &str, item: &Item) -> String {
    let text = serde_json::Value::Object(value::object(item.clone())).to_string();
    let number = text.bytes().fold(0_u32, |sum, byte| sum.wrapping_mul(31).wrapping_add(byte.into()));
    let end = (0..=KEY_BYTES_MAX.min(api_id.len())).rev().find(|end| api_id.is_char_boundary(*end)).unwrap_or(0);
    format!("{PREFIX}{}:{number}", &api_id[..end])
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_longest_key_gives_one_that_dynamodb_takes() {
        for api_id in ["a".repeat(2_048), "ü".repeat(1_024), "🦀".repeat(512), "a".to_owned() + &"🦀".repeat(511)]
        {
            let item = Item::from([(KEY.to_owned(), AttributeValue::S(api_id.clone()))]);
            let key = new_key(&api_id, &item);
            assert!(key.starts_with(PREFIX) && key.len() <= 2_048, "{}", key.len());
            assert!(is_quarantined(&Item::from([(KEY.to_owned(), AttributeValue::S(key))])));
        }
    }

    #[test]
    fn one_record_has_one_key_and_another_has_another() {
        let record = |version: &str| {
            let inner = (0..50).map(|n| (format!("f{n}"), AttributeValue::N(n.to_string()))).collect();
            Item::from([
                (KEY.to_owned(), AttributeValue::S("a".into())),
                ("version".to_owned(), AttributeValue::N(version.into())),
                ("incident".to_owned(), AttributeValue::M(inner)), // in no order, and another one each time
            ])
        };
        assert_eq!(new_key("a", &record("1")), new_key("a", &record("1")));
        assert_ne!(new_key("a", &record("1")), new_key("a", &record("2")));
    }
}
