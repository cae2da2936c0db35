//! One change of one config row in DynamoDB, under the condition that the item is as it was read.
//!
//! The item is read, compared, and then written under a condition on the very attributes that were compared: what somebody
//! writes between the two makes the condition fail. Rows have no version, since people write them by hand.

use std::collections::HashMap;

use aws_sdk_dynamodb::Client;
use aws_sdk_dynamodb::types::AttributeValue;

use super::fields::FIELDS;
use super::raw::RowChange;
use super::sqlite_table::no_key;
use crate::fault::Fault;
use crate::store::dynamodb::errors::{Call, is_condition_refused, table_name};
use crate::store::dynamodb::{KEY, value};

/// Attributes of an item that a condition names. DynamoDB takes 300 operators and 4 KB of text in one expression; the
/// fields of an API are 17.
const ATTRIBUTES_IN_CONDITION: usize = 100;

type Item = HashMap<String, AttributeValue>;

/// What must hold of the item for it to be written.
#[derive(Debug, Default, PartialEq)]
struct Condition {
    text: String,
    names: HashMap<String, String>,
    values: Item,
}

impl Condition {
    /// The item is as `there`; with `None`, that there is none.
    fn still(there: Option<&Item>) -> Self {
        let mut condition = Self::default();
        let Some(item) = there else {
            condition.require(KEY, None);
            return condition;
        };
        let mut attributes: Vec<_> = item.iter().collect();
        attributes.sort_by_key(|(name, _)| *name);
        for (name, value) in attributes.into_iter().take(ATTRIBUTES_IN_CONDITION) {
            condition.require(name, Some(value.clone()));
        }
        for field in FIELDS.iter().filter(|field| !item.contains_key(field.name)) {
            condition.require(field.name, None);
        }
        condition
    }

    fn require(&mut self, name: &str, value: Option<AttributeValue>) {
        let n = self.names.len();
        if n > 0 {
            self.text.push_str(" AND ");
        }
        self.names.insert(format!("#n{n}"), name.to_owned());
        match value {
            Some(value) => {
                self.text.push_str(&format!("#n{n} = :v{n}"));
                self.values.insert(format!(":v{n}"), value);
            }
            None => self.text.push_str(&format!("attribute_not_exists(#n{n})")),
        }
    }

    /// DynamoDB refuses an empty map of values.
    fn values(self) -> Option<Item> {
        Some(self.values).filter(|values| !values.is_empty())
    }
}

/// See [`super::raw::RowTable::apply`].
pub(super) async fn apply(client: &Client, table: &str, change: RowChange) -> Result<bool, Fault> {
    let Some(api_id) = change.api_id() else { return Err(no_key(table_name(table))) };
    let key = AttributeValue::S(api_id.to_owned());
    let read = client.get_item().table_name(table).key(KEY, key.clone()).consistent_read(true).send().await;
    let there = Call::new(client, table, "dynamodb:GetItem").answer(read)?.item;
    let row = there.clone().map(value::object);
    if let Some(answer) = change.answer_without_write(row.as_ref()) {
        return Ok(answer);
    }
    let condition = Condition::still(there.as_ref());
    let (text, names) = (condition.text.clone(), condition.names.clone());
    match change.wanted() {
        Some(new) => {
            let put = client.put_item().table_name(table).set_item(Some(value::item(new.clone())));
            let put = put.condition_expression(text).set_expression_attribute_names(Some(names));
            let answer = put.set_expression_attribute_values(condition.values()).send().await;
            if is_condition_refused(&answer) {
                return Ok(false);
            }
            Call::new(client, table, "dynamodb:PutItem").answer(answer)?;
        }
        None => {
            let delete = client.delete_item().table_name(table).key(KEY, key);
            let delete = delete.condition_expression(text).set_expression_attribute_names(Some(names));
            let answer = delete.set_expression_attribute_values(condition.values()).send().await;
            if is_condition_refused(&answer) {
                return Ok(false);
            }
            Call::new(client, table, "dynamodb:DeleteItem").answer(answer)?;
        }
    }
    Ok(true)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_condition_names_every_attribute_that_is_there_and_every_field_that_is_not() {
        let none = Condition::still(None);
        assert_eq!((none.text.clone(), none.values()), ("attribute_not_exists(#n0)".to_owned(), None));
        let item: Item = (0..300).map(|n| (format!("a{n}"), AttributeValue::Bool(true))).collect();
        let many = Condition::still(Some(&item));
        assert_eq!(many.names.len(), ATTRIBUTES_IN_CONDITION + FIELDS.len());
        assert!(many.text.len() < 4_096, "{} bytes", many.text.len());
    }
}
