//! Items of any kind of attribute, served by an endpoint of our own: states and config rows.

use std::cell::RefCell;
use std::rc::Rc;

use api_health::configs::dynamodb_table::DynamoConfigTable;
use api_health::configs::raw::RowTable;
use api_health::store::DynamoStateStore;
use api_health_actors::ports::StateStore;
use aws_sdk_dynamodb::Client;
use aws_sdk_dynamodb::config::retry::RetryConfig;
use aws_sdk_dynamodb::config::{BehaviorVersion, Credentials, Region};
use proptest::collection::{btree_map, vec};
use proptest::prelude::*;
use proptest::sample::{Index, select};
use serde_json::{Map, Value, json};
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::TcpListener;

use crate::bytes::text;
use crate::records::{self, check_loaded};
use crate::server::run;
use crate::{config, is_clear, rows, rules};

const ITEMS: usize = 10;

/// JSON as DynamoDB writes it.
fn attribute(value: &Value) -> Value {
    match value {
        Value::Null => json!({ "NULL": true }),
        Value::Bool(truth) => json!({ "BOOL": truth }),
        Value::Number(number) => json!({ "N": number.to_string() }),
        Value::String(text) => json!({ "S": text }),
        Value::Array(list) => json!({ "L": list.iter().map(attribute).collect::<Vec<_>>() }),
        Value::Object(map) => json!({ "M": item(map) }),
    }
}

pub fn item(fields: &Map<String, Value>) -> Value {
    fields.iter().map(|(name, value)| (name.clone(), attribute(value))).collect::<Map<_, _>>().into()
}

/// An attribute of any kind.
fn any_attribute() -> impl Strategy<Value = Value> {
    let digits = prop_oneof![
        select(vec![
            "0",
            "-0",
            "1e5",
            "1E400",
            "-1e-400",
            "99999999999999999999999999999999999999",
            "Infinity",
            "NaN",
            "0x10",
            "",
            "1_0",
            "1.50"
        ])
        .prop_map(str::to_owned),
        any::<i64>().prop_map(|n| n.to_string()),
        text(),
    ];
    let leaf = prop_oneof![
        text().prop_map(|text| json!({ "S": text })),
        digits.clone().prop_map(|digits| json!({ "N": digits })),
        any::<bool>().prop_map(|truth| json!({ "BOOL": truth })),
        Just(json!({ "NULL": true })),
        Just(json!({ "B": "aHVudGVyMg==" })),
        Just(json!({ "BS": ["AAAA", ""] })),
        vec(text(), 0..4).prop_map(|texts| json!({ "SS": texts })),
        vec(digits, 0..4).prop_map(|digits| json!({ "NS": digits })),
    ];
    leaf.prop_recursive(4, 24, 4, |inner| {
        prop_oneof![
            vec(inner.clone(), 0..4).prop_map(|list| json!({ "L": list })),
            btree_map(text(), inner, 0..4).prop_map(|map| json!({ "M": map })),
        ]
    })
}

/// One attribute of an item is of any kind, or gone, or new.
pub fn damages() -> impl Strategy<Value = Vec<(Index, Option<Value>, Option<String>)>> {
    vec((any::<Index>(), proptest::option::of(any_attribute()), proptest::option::of(text())), 0..3)
}

pub fn damage(item: &mut Value, damages: &[(Index, Option<Value>, Option<String>)]) {
    let fields = item.as_object_mut().unwrap();
    for (at, new, name) in damages {
        // A table's key is always there and always text.
        let names: Vec<String> = fields.keys().filter(|name| *name != "api_id").cloned().collect();
        let known = || (!names.is_empty()).then(|| at.get(&names).clone());
        let Some(name) = name.clone().filter(|name| name != "api_id").or_else(known) else { continue };
        match new {
            Some(new) => fields.insert(name, new.clone()),
            None => fields.remove(&name),
        };
    }
}

/// A table that holds `items`: all of them in the first segment of a scan. It takes every put, whatever its condition. Returns its
/// endpoint.
pub async fn serve(items: Vec<Value>) -> String {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let endpoint = format!("http://{}", listener.local_addr().unwrap());
    let items = Rc::new(RefCell::new(items));
    actix_rt::spawn(async move {
        loop {
            let (mut stream, _) = listener.accept().await.unwrap();
            let items = Rc::clone(&items);
            actix_rt::spawn(async move {
                let mut request = Vec::new();
                loop {
                    let text = String::from_utf8_lossy(&request).into_owned();
                    if let Some((head, body)) = text.split_once("\r\n\r\n") {
                        let length = head
                            .to_lowercase()
                            .split("content-length: ")
                            .nth(1)
                            .and_then(|l| l.lines().next()?.parse().ok());
                        if body.len() >= length.unwrap_or(0) {
                            break;
                        }
                    }
                    if stream.read_buf(&mut request).await.unwrap_or(0) == 0 {
                        return;
                    }
                }
                let asked = String::from_utf8_lossy(&request).into_owned();
                let body: Value = serde_json::from_str(asked.split_once("\r\n\r\n").unwrap().1).unwrap();
                let answer = answer(&mut items.borrow_mut(), &body);
                let body = answer.to_string();
                let head = format!(
                    "HTTP/1.1 200 OK\r\ncontent-type: application/x-amz-json-1.0\r\nx-amzn-requestid: 1\r\nconnection: close\r\ncontent-length: {}\r\n\r\n",
                    body.len()
                );
                let _ = stream.write_all(format!("{head}{body}").as_bytes()).await;
            });
        }
    });
    endpoint
}

/// What the table answers.
fn answer(items: &mut Vec<Value>, body: &Value) -> Value {
    match () {
        () if !body["KeyConditionExpression"].is_null() => json!({ "Items": *items }),
        () if body["Segment"] == 0 => json!({ "Items": *items }),
        () if !body["Segment"].is_null() => json!({ "Items": [] }),
        () if body["Item"].is_object() => {
            items.retain(|item| item["api_id"] != body["Item"]["api_id"]);
            items.push(body["Item"].clone());
            json!({})
        }
        () => match items.iter().find(|item| item["api_id"] == body["Key"]["api_id"]) {
            Some(item) => json!({ "Item": item }),
            None => json!({}),
        },
    }
}

pub fn client(endpoint: &str) -> Client {
    let config = aws_sdk_dynamodb::Config::builder()
        .behavior_version(BehaviorVersion::latest())
        .region(Region::new("eu-central-1"))
        .credentials_provider(Credentials::new("test", "test", None, None, "test"))
        .endpoint_url(endpoint)
        .retry_config(RetryConfig::disabled())
        .timeout_config(api_health::aws::timeouts())
        .build();
    Client::from_conf(config)
}

proptest! {
    #![proptest_config(config(30))]

    #[test]
    fn items_of_any_attributes_are_states_or_are_reported(
        states in records::states(ITEMS), all in vec(damages(), ITEMS),
    ) {
        let file = records::File::with(&states);
        let items: Vec<Value> = file.texts().iter().zip(&all).map(|((_, text), damages)| {
            let Value::Object(fields) = serde_json::from_str(text).unwrap() else { unreachable!() };
            let mut item = item(&fields);
            damage(&mut item, damages);
            item
        }).collect();
        let loaded = run(async {
            let store = DynamoStateStore::new(client(&serve(items).await), "t");
            store.load_all().await
        });
        let loaded = loaded.map_err(|error| TestCaseError::fail(error.to_string()))?;
        check_loaded(&loaded, ITEMS)?;
        for (state, damages) in states.iter().zip(&all) {
            prop_assert!(!damages.is_empty() || loaded.states.contains(state), "an undamaged item comes back equal");
        }
        for state in &loaded.states {
            file.replace(state.api_id.as_str(), b"{}");
            prop_assert!(states.iter().any(|known| known.api_id == state.api_id), "under its own key");
        }
    }

    #[test]
    fn items_of_any_attributes_are_config_rows_or_are_refused(
        fields in vec(rows::fields(), ITEMS), all in vec(damages(), ITEMS),
    ) {
        let items: Vec<Value> = fields.into_iter().zip(&all).enumerate().map(|(n, (mut fields, damages))| {
            fields.insert("api_id".into(), format!("row-{n}").into());
            let mut item = item(&fields);
            damage(&mut item, damages);
            item
        }).collect();
        let read = run(async {
            DynamoConfigTable::new(client(&serve(items).await), "t").rows().await
        });
        match read {
            Ok(read) => {
                prop_assert_eq!(read.len(), ITEMS);
                rows::check(&read, &rules().check_all(&read))?;
            }
            Err(error) => is_clear(&error.to_string(), 1_000).map_err(TestCaseError::fail)?,
        }
    }
}
