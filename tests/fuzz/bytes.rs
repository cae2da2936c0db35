//! Bytes of any kind, and valid ones with a few things wrong.

use proptest::collection::vec;
use proptest::prelude::*;
use proptest::sample::{Index, select};

/// Texts that parsers have been known to trip over.
pub const TRICKY: &[&str] = &[
    "",
    " ",
    "\0",
    "\u{feff}",
    "\u{85}",
    "\u{2028}",
    "\u{202e}",
    "\u{1b}[2J",
    "\r\n",
    "ü",
    "🦀",
    "\"",
    "'",
    "\\",
    "null",
    "true",
    "-1",
    "0",
    "1e999",
    "-0.0",
    "NaN",
    "18446744073709551616",
    "9223372036854775808",
    "99999999999999999999999999999999999999",
    "${env:TOKEN}",
    "${env:NONE}",
    "${file:/nowhere}",
    "${file:x}",
    "${credential:x}",
    "${credential:../x}",
    "${",
    "$${",
    "${}",
    "${env:}",
    "${env:A\u{1b}}",
    "http://169.254.169.254/",
    "http://[::ffff:a9fe:a9fe]/",
    "https://a.test/",
    "https://u:pass@a.test/",
    "https://[::1",
    "http://",
    "https://a.test/#x",
    "https://a.test:99999/",
    "//a.test",
    "http:a",
    "HTTP://A.TEST",
    "http://xn--/",
    "http://a%2e.test/",
    "2xx",
    "2xx,",
    "299-200",
    "0xx",
    "100-599",
    "*/2 * * * *",
    "0 0 31 2 *",
    "@daily",
    "* * * * * * *",
    "UTC",
    "Europe/Berlin",
    "../../etc/passwd",
    "2026-11-22T07:30:00Z",
    "9999-99-99T99:99:99Z",
    "[[api]]",
    "api_id",
    "schema",
    "owed",
];

/// One thing that goes wrong with bytes.
#[derive(Clone, Debug)]
enum Edit {
    Flip(Index, u8),
    Insert(Index, Vec<u8>),
    Remove(Index, usize),
    Repeat(Index, usize, usize),
    CutOff(Index),
}

impl Edit {
    fn apply(&self, bytes: &mut Vec<u8>) {
        let at = |index: &Index| index.index(bytes.len() + 1);
        match self {
            Self::Flip(index, mask) => {
                let at = at(index);
                if let Some(byte) = bytes.get_mut(at) {
                    *byte ^= mask;
                }
            }
            Self::Insert(index, new) => {
                let at = at(index);
                bytes.splice(at..at, new.iter().copied());
            }
            Self::Remove(index, count) => {
                let at = at(index);
                bytes.drain(at..(at + count).min(bytes.len()));
            }
            Self::Repeat(index, count, times) => {
                let at = at(index);
                let piece = bytes[at..(at + count).min(bytes.len())].repeat(*times);
                bytes.splice(at..at, piece);
            }
            Self::CutOff(index) => bytes.truncate(at(index)),
        }
    }
}

fn edit(words: &'static [&'static str]) -> impl Strategy<Value = Edit> {
    let any_at = any::<Index>;
    let text = prop_oneof![
        select(words).prop_map(|word| word.as_bytes().to_vec()),
        select(TRICKY).prop_map(|word| word.as_bytes().to_vec()),
        vec(any::<u8>(), 1..8),
    ];
    prop_oneof![
        3 => (any_at(), 1..=255_u8).prop_map(|(at, mask)| Edit::Flip(at, mask)),
        4 => (any_at(), text).prop_map(|(at, text)| Edit::Insert(at, text)),
        3 => (any_at(), 1..40_usize).prop_map(|(at, count)| Edit::Remove(at, count)),
        2 => (any_at(), 1..60_usize, 1..40_usize).prop_map(|(at, count, times)| Edit::Repeat(at, count, times)),
        1 => any_at().prop_map(Edit::CutOff),
    ]
}

/// One of `seeds` with one to five things wrong, with `words` of its language among what is put in.
pub fn mutated(seeds: Vec<Vec<u8>>, words: &'static [&'static str]) -> impl Strategy<Value = Vec<u8>> {
    (select(seeds), vec(edit(words), 1..6)).prop_map(|(mut bytes, edits)| {
        for edit in edits {
            edit.apply(&mut bytes);
        }
        bytes
    })
}

/// Mostly valid, at times anything at all.
pub fn bytes(seeds: Vec<Vec<u8>>, words: &'static [&'static str]) -> impl Strategy<Value = Vec<u8>> {
    prop_oneof![
        6 => mutated(seeds, words),
        1 => vec(any::<u8>(), 0..400),
        1 => vec(select(words).prop_map(str::as_bytes), 0..40).prop_map(|words| words.concat()),
    ]
}

/// Text of any kind, short or long.
pub fn text() -> impl Strategy<Value = String> {
    prop_oneof![
        4 => select(TRICKY).prop_map(str::to_owned),
        2 => any::<String>(),
        2 => vec(select(TRICKY), 1..6).prop_map(|words| words.concat()),
        1 => (select(TRICKY), 1..3_000_usize).prop_map(|(word, times)| word.repeat(times)),
    ]
}

/// JSON of any shape.
pub fn json() -> impl Strategy<Value = serde_json::Value> {
    use serde_json::Value;
    let leaf = prop_oneof![
        Just(Value::Null),
        any::<bool>().prop_map(Value::from),
        any::<i64>().prop_map(Value::from),
        any::<u64>().prop_map(Value::from),
        any::<f64>().prop_map(Value::from),
        (0..100_u32).prop_map(Value::from),
        text().prop_map(Value::from),
    ];
    leaf.prop_recursive(4, 40, 6, |inner| {
        prop_oneof![
            vec(inner.clone(), 0..6).prop_map(Value::from),
            proptest::collection::btree_map(text(), inner, 0..6)
                .prop_map(|map| Value::Object(map.into_iter().collect())),
        ]
    })
}
