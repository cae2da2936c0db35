//! Settings files and the environment: any bytes in the one, any texts in the other.

use std::collections::BTreeMap;
use std::io::Write;

use api_health::settings::keys::KEYS;
use api_health::settings::{load, show};
use proptest::collection::btree_map;
use proptest::prelude::*;
use proptest::sample::select;

use crate::bytes::{bytes, text};
use crate::{SECRET, config, is_clear, soon};

const WORDS: &[&str] = &[
    "[store]\n",
    "[notify.webhook]\n",
    "[notify]\n",
    "[probe]\n",
    "[log]\n",
    "[[apis]]\n",
    "store.kind = \"dynamodb\"\n",
    "level = ",
    "\"info,[{x=(a|b)*}]=debug\"",
    "\"[a{b=c}\"",
    "\"x=off,,\"",
    "url = ",
    "\"${env:TOKEN}\"",
    "region = \"x\"\n",
    "=",
    "\n",
    "true",
    "10",
    "0",
    "-1",
    "1e3",
    "\"",
    "'",
    "{",
    "}",
    "[",
    "]",
    ".",
];

/// The example of every key, in its section.
fn seeds() -> Vec<Vec<u8>> {
    let mut sections: BTreeMap<&str, String> = BTreeMap::new();
    for key in KEYS {
        let (section, name) = key.name.rsplit_once('.').unwrap_or(("", key.name));
        if !["probe.schedule", "probe.timezone", "probe.extra_roots"].contains(&key.name) {
            sections.entry(section).or_default().push_str(&format!("{name} = {}\n", key.example));
        }
    }
    let all: String = sections
        .iter()
        .map(|(section, keys)| if section.is_empty() { keys.clone() } else { format!("[{section}]\n{keys}") })
        .collect();
    let secret = "[notify.webhook]\nurl = \"https://a.test/${env:TOKEN}\"\nsecret = \"${env:TOKEN}\"\n";
    let folder = concat!(env!("CARGO_MANIFEST_DIR"), "/tests/testdata/settings");
    let written = std::fs::read_dir(folder).unwrap().map(|entry| entry.unwrap().path());
    let mut seeds: Vec<Vec<u8>> = written
        .filter(|path| path.extension().is_some_and(|e| e == "toml"))
        .map(|path| std::fs::read(path).unwrap())
        .collect();
    seeds.extend([all.into_bytes(), secret.into()]);
    seeds
}

fn environment() -> impl Strategy<Value = BTreeMap<String, String>> {
    let names: Vec<String> = KEYS.iter().filter_map(|key| key.env).map(str::to_owned).collect();
    let names = [names, vec!["STATE_DIRECTORY".into(), "AWS_ENDPOINT_URL".into(), "AWS_PROFILE".into()]].concat();
    // What the kernel passes on has no NUL in it.
    btree_map(select(names), text().prop_map(|text| text.replace('\0', "")), 0..4)
}

#[test]
fn the_examples_of_all_keys_are_good_settings() {
    let folder = tempfile::tempdir().unwrap();
    let all = seeds().into_iter().find(|seed| seed.starts_with(b"environment")).unwrap();
    std::fs::write(folder.path().join("api-health.toml"), &all).unwrap();
    let all = String::from_utf8(all).unwrap();
    let env = |name: &str| all.contains(&format!("${{env:{name}}}")).then(|| "x".to_owned());
    let loaded = load::load(None, folder.path(), &env);
    assert!(loaded.is_ok(), "{loaded:?}");
}

proptest! {
    #![proptest_config(config(250))]

    #[test]
    fn any_file_and_environment_are_settings_or_clear_faults(
        bytes in bytes(seeds(), WORDS), environment in prop_oneof![2 => Just(BTreeMap::new()), 1 => environment()],
    ) {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("api-health.toml");
        std::fs::File::create(&path).unwrap().write_all(&bytes).unwrap();
        let env = |name: &str| match name {
            "TOKEN" => Some(SECRET.to_owned()),
            _ => environment.get(name).cloned(),
        };
        match soon(|| load::load(None, folder.path(), &env)) {
            Ok(loaded) => {
                let s = &loaded.settings;
                prop_assert!((1..=65_535).contains(&s.probe.max_in_flight));
                prop_assert!((1..=65_535).contains(&s.probe.max_in_flight_per_host));
                let is_harmless = |contact: &String| contact.bytes().all(|b| b.is_ascii_graphic());
                prop_assert!(s.probe.contact.as_ref().is_none_or(is_harmless));
                prop_assert!((1_024..=67_108_864).contains(&s.probe.body_bytes_max));
                prop_assert!((1..=300).contains(&s.run.shutdown.as_secs()));
                prop_assert!((1..=64).contains(&s.environment.chars().count()));
                prop_assert!(s.notify.terminal || s.notify.webhook.is_some() || s.notify.sns.is_some() || !bytes.is_empty());
                // A file may hold the word as a plain value of another key; what is a secret is masked.
                if !bytes.windows(SECRET.len()).any(|w| w == SECRET.as_bytes())
                    && !environment.values().any(|value| value.contains(SECRET))
                {
                    let shown = format!("{s:?}{}{}", show::table(&loaded), show::json(&loaded));
 prop_assert!(!shown.contains(SECRET), "{}", shown);
                }
            }
            Err(faults) => {
                prop_assert!((1..=51 + KEYS.len()).contains(&faults.len()), "{} issues", faults.len());
                for fault in faults {
                    is_clear(&fault.to_string(), 3_000).map_err(TestCaseError::fail)?;
                }
            }
        }
    }
}
