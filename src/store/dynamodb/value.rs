//! Items as JSON and back: what a person writes in the console, and what the program reads.

use aws_sdk_dynamodb::types::AttributeValue;
use serde_json::{Map, Number, Value, json};
use std::collections::HashMap;

/// An item as a JSON object. Sets become lists. What JSON cannot hold (binary, a number beyond its reach) becomes
/// something that no field takes, so that it is refused by name and hides nothing else.
pub(crate) fn object(item: HashMap<String, AttributeValue>) -> Map<String, Value> {
    item.into_iter().map(|(name, value)| (name, json(value))).collect()
}

fn json(value: AttributeValue) -> Value {
    match value {
        AttributeValue::S(text) => Value::String(text),
        AttributeValue::N(digits) => number(&digits),
        AttributeValue::Bool(truth) => Value::Bool(truth),
        AttributeValue::Null(_) => Value::Null,
        AttributeValue::L(list) => list.into_iter().map(json).collect(),
        AttributeValue::M(map) => Value::Object(object(map)),
        AttributeValue::Ss(texts) => texts.into(),
        AttributeValue::Ns(numbers) => numbers.iter().map(|digits| number(digits)).collect(),
        AttributeValue::B(bytes) => odd(&format!("binary, {} bytes", bytes.as_ref().len())),
        AttributeValue::Bs(set) => odd(&format!("a set of {} binaries", set.len())),
        _ => odd("of a type that this version does not know"),
    }
}

/// A list of an object: neither a plain value, nor a list of plain values, nor an object, so that no field takes it.
fn odd(what: &str) -> Value {
    json!([{ "unreadable": what }])
}

/// DynamoDB's numbers have 38 digits and come as text.
fn number(digits: &str) -> Value {
    let whole = digits.parse::<i64>().map(Number::from).or_else(|_| digits.parse::<u64>().map(Number::from));
    match whole.ok().or_else(|| Number::from_f64(digits.parse().ok()?)) {
        Some(number) => Value::Number(number),
        None => odd(&format!("the number {digits}")),
    }
}

/// A JSON object as an item.
pub(crate) fn item(fields: Map<String, Value>) -> HashMap<String, AttributeValue> {
    fields.into_iter().map(|(name, value)| (name, attribute(value))).collect()
}

fn attribute(value: Value) -> AttributeValue {
    match value {
        Value::Null => AttributeValue::Null(true),
        Value::Bool(truth) => AttributeValue::Bool(truth),
        Value::Number(number) => AttributeValue::N(number.to_string()),
        Value::String(text) => AttributeValue::S(text),
        Value::Array(list) => AttributeValue::L(list.into_iter().map(attribute).collect()),
        Value::Object(map) => AttributeValue::M(item(map)),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use aws_sdk_dynamodb::primitives::Blob;

    #[test]
    fn what_a_console_writes_becomes_json() {
        let n = |digits: &str| AttributeValue::N(digits.into());
        for (attribute, expected) in [
            (n("60"), json!(60)),
            (n("-1"), json!(-1)),
            (n("18446744073709551615"), json!(u64::MAX)),
            (n("2.5"), json!(2.5)),
            (AttributeValue::Ss(vec!["a".into(), "b".into()]), json!(["a", "b"])),
            (AttributeValue::Ns(vec!["1".into(), "2".into()]), json!([1, 2])),
            (AttributeValue::Null(true), json!(null)),
            (n("not a number"), json!([{ "unreadable": "the number not a number" }])),
            (AttributeValue::B(Blob::new("abc")), json!([{ "unreadable": "binary, 3 bytes" }])),
            (AttributeValue::Bs(vec![Blob::new("abc")]), json!([{ "unreadable": "a set of 1 binaries" }])),
        ] {
            assert_eq!(json(attribute), expected);
        }
    }

    #[test]
    fn json_comes_back_as_it_went() {
        let fields = json!({ "a": [1, -2, 2.5, "", null, true, { "b": {} }, []], "ü": "🦀" });
        let Value::Object(fields) = fields else { unreachable!() };
        assert_eq!(object(item(fields.clone())), fields);
    }
}
