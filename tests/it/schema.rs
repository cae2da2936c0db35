//! The JSON Schemas, tried by a validator of somebody else's: what is good they take, and what they refuse the program refuses.

use std::collections::BTreeMap;
use std::fmt::Write as _;
use std::path::Path;
use std::process::Command;

use api_health::configs::field::{About, Unwritten, ValueKind};
use api_health::configs::fields::FIELDS;
use api_health::notify::kinds::KINDS;
use api_health::settings::keys::KEYS;

use crate::bad_input::{said_of_configs, said_of_settings};
use crate::daemon::{Home, SOON};
use crate::documentation::examples;
use crate::support::tools;

/// Files to try, by name.
struct Tried {
    home: Home,
    good: Vec<String>,
    bad: Vec<String>,
}

impl Tried {
    fn new() -> Self {
        let tried = Self { home: Home::empty(), good: Vec::new(), bad: Vec::new() };
        for (name, arguments) in [("apis.json", ["apis", "schema"]), ("settings.json", ["settings", "schema"])] {
            let ended = tried.home.start(&arguments).wait(SOON);
            assert_eq!(ended.code, Some(0), "{ended:?}");
            tried.home.write(name, &ended.output);
        }
        tried
    }

    fn good(&mut self, name: &str, text: &str) {
        self.good.push(name.into());
        self.home.write(&format!("{name}.toml"), text);
    }

    fn bad(&mut self, name: &str, text: &str) {
        self.bad.push(name.into());
        self.home.write(&format!("{name}.toml"), text);
    }

    /// What the validator says of each.
    fn said(&self) -> BTreeMap<String, String> {
        let script = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/it/schema.py");
        let output = Command::new(tools::path("venv/bin/python")).arg(script).arg(self.home.path()).output().unwrap();
        assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
        let lines = String::from_utf8(output.stdout).unwrap();
        lines.lines().filter_map(|line| line.split_once('\t')).map(|(n, said)| (n.into(), said.into())).collect()
    }

    fn path(&self, name: &str) -> std::path::PathBuf {
        self.home.path().join(format!("{name}.toml"))
    }
}

/// An API with this field, and with those that each has to have.
fn row(field: &str, value: &str) -> String {
    let mut text = "[[api]]\n".to_owned();
    for (name, usual) in [("api_id", "\"shop\""), ("url", "\"https://shop.example.com/\"")] {
        if name != field {
            writeln!(text, "{name} = {usual}").unwrap();
        }
    }
    writeln!(text, "{field} = {value}").unwrap();
    text
}

/// Values that do not do.
fn bad_values(about: &About) -> Vec<String> {
    let long = |most: usize| format!("\"{}\"", "x".repeat(most + 1));
    match about.kind {
        ValueKind::Number { least, most, .. } => {
            let below = least.checked_sub(1).map(|below| below.to_string());
            below.into_iter().chain([(most + 1).to_string(), "\"1\"".into(), "1.5".into()]).collect()
        }
        ValueKind::Flag => vec!["\"true\"".into(), "1".into()],
        ValueKind::Choice(_) => vec!["\"no-such-word\"".into(), "1".into()],
        ValueKind::Text(most, _) => vec![long(most), "true".into()],
        ValueKind::TextOrNumber(most, _) => vec![long(most), "true".into()],
        ValueKind::TextOrTexts { .. } => vec!["1".into(), "[1]".into()],
        ValueKind::Texts { most, .. } => vec!["\"a\"".into(), format!("[{}]", "\"a\", ".repeat(most + 1))],
        ValueKind::Numbers { greatest, .. } => vec![format!("[{}]", greatest + 1), "\"7\"".into()],
        ValueKind::TextsByName { .. } => vec!["\"a\"".into(), "{ a = 1 }".into()],
        ValueKind::ListsByName { .. } => vec!["\"a\"".into(), "{ a = 1 }".into()],
    }
}

#[test]
fn what_the_schemas_take_and_refuse_is_what_the_program_does() {
    let mut tried = Tried::new();
    for field in FIELDS {
        tried.good(&format!("apis-good-{}", field.name), &row(field.name, field.example));
        for (at, value) in bad_values(field).into_iter().enumerate() {
            tried.bad(&format!("apis-bad-{}-{at}", field.name), &row(field.name, &value));
        }
    }
    for key in KEYS {
        tried.good(&format!("settings-good-{}", key.name), &format!("{} = {}\n", key.name, key.example));
        for (at, value) in bad_values(key).into_iter().enumerate() {
            tried.bad(&format!("settings-bad-{}-{at}", key.name), &format!("{} = {value}\n", key.name));
        }
    }
    for (sort, marker) in [("apis", "good: apis.toml"), ("settings", "good: api-health.toml")] {
        for (at, (text, _)) in examples(marker).into_iter().enumerate() {
            tried.good(&format!("{sort}-page-{at}"), &text);
        }
    }
    tried.good("settings-packaged", include_str!("../../infra/packaging/config/api-health.toml"));
    tried.good("apis-two", &[row("method", "\"get\""), row("expected_status", "204")].concat());
    for kind in KINDS {
        let keys: String = kind.keys.iter().map(|key| format!("{} = {}\n", key.name, key.example)).collect();
        let channel = format!("[[notify.channel]]\nname = \"a\"\nkind = \"{}\"\n{keys}", kind.name);
        tried.good(&format!("settings-channel-{}", kind.name), &channel);
        tried.bad(&format!("settings-channel-bad-{}", kind.name), &(channel + "colour = \"red\"\n"));
    }
    tried.bad("settings-channel-no-kind", "[[notify.channel]]\nname = \"a\"\n");
    tried.bad("settings-channel-no-such-kind", "[[notify.channel]]\nname = \"a\"\nkind = \"pigeon\"\n");
    tried.bad("settings-channel-no-url", "[[notify.channel]]\nname = \"a\"\nkind = \"webhook\"\n");
    tried.bad("apis-misspelt", &row("timout_seconds", "5"));
    tried.bad("apis-no-url", "[[api]]\napi_id = \"shop\"\n");
    tried.bad("apis-settings", "[probe]\nspread = true\n");
    tried.bad("settings-misspelt", "[probe]\nspred = true\n");
    tried.bad("settings-no-section", "store = \"sqlite\"\n");

    let said = tried.said();
    for name in &tried.good {
        assert_eq!(said[name], "ok", "{name}: {}", std::fs::read_to_string(tried.path(name)).unwrap());
    }
    for name in &tried.bad {
        assert_ne!(said[name], "ok", "{name}: {}", std::fs::read_to_string(tried.path(name)).unwrap());
        let path = tried.path(name);
        let ours = match name.starts_with("apis-") {
            true => said_of_configs("apis.toml", &std::fs::read_to_string(&path).unwrap()),
            false => said_of_settings(&path),
        };
        assert!(!ours.is_empty(), "{name} is refused by the schema alone: {}", said[name]);
    }
    assert_eq!(said.len(), tried.good.len() + tried.bad.len());
}

#[test]
fn an_editor_is_told_what_each_key_means_and_what_holds_without_it() {
    let tried = Tried::new();
    let read = |name: &str| -> serde_json::Value {
        serde_json::from_str(&std::fs::read_to_string(tried.home.path().join(name)).unwrap()).unwrap()
    };
    let (apis, settings) = (read("apis.json"), read("settings.json"));
    let fields = &apis["properties"]["api"]["items"]["properties"];
    for field in FIELDS {
        let words = fields[field.name]["description"].as_str().unwrap();
        assert!(words.starts_with(field.meaning), "{}: {words}", field.name);
    }
    assert_eq!(fields["timeout_seconds"]["default"], 10);
    assert_eq!(apis["properties"]["api"]["items"]["required"], serde_json::json!(["api_id", "url"]));
    for key in KEYS {
        let mut at = &settings;
        for part in key.name.split('.') {
            at = &at["properties"][part];
        }
        assert!(at["description"].as_str().unwrap().starts_with(key.meaning), "{}: {at}", key.name);
        assert_eq!(at["default"].is_null(), !matches!(key.default, Unwritten::Value(_)), "{}", key.name);
    }
}
