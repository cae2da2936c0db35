//! Files that were damaged: whatever is still YAML is read, and each of its fields is judged once.

use proptest::prelude::*;

use super::*;

/// What is done to a line.
#[derive(Clone, Debug)]
enum Damage {
    Delete,
    Repeat,
    /// Another value behind the colon, or in place of an item.
    Value(&'static str),
    Deeper,
}

fn damage() -> impl Strategy<Value = Damage> {
    let values = vec![
        "",
        "null",
        "[]",
        "{}",
        "[1, {a: b}]",
        "{x: [y]}",
        "-1",
        "99999999999999999999",
        "\"\"",
        "[STATUS] == pat(*)",
        "[BODY].a[ == 1",
        "${",
        "$",
        "\"é\\u0000\"",
        "*",
        "https://",
        "://x",
        "true",
        "1e400",
        "0x10",
        "$1${1}",
        "a: b",
    ];
    prop_oneof![
        Just(Damage::Delete),
        Just(Damage::Repeat),
        Just(Damage::Deeper),
        prop::sample::select(values).prop_map(Damage::Value),
    ]
}

fn damaged(text: &str, damages: &[(prop::sample::Index, Damage)]) -> String {
    let mut lines: Vec<String> = text.lines().map(str::to_owned).collect();
    for (at, damage) in damages {
        if lines.is_empty() {
            break;
        }
        let at = at.index(lines.len());
        match damage {
            Damage::Delete => drop(lines.remove(at)),
            Damage::Repeat => lines.insert(at, lines[at].clone()),
            Damage::Deeper => lines[at].insert_str(0, "  "),
            Damage::Value(value) => {
                let end =
                    lines[at].find(": ").map(|colon| colon + 2).or_else(|| lines[at].find("- ").map(|dash| dash + 2));
                let kept = end.unwrap_or(lines[at].len());
                lines[at].truncate(kept);
                lines[at].push_str(value);
            }
        }
    }
    lines.join("\n")
}

fn texts() -> Vec<(Source, String)> {
    let of = |source: Source, name: &str| {
        let entries = std::fs::read_dir(folder(name)).unwrap().map(|entry| entry.unwrap().path());
        let texts = entries.filter(|path| path.extension().is_some_and(|kind| kind != "sql"));
        texts.map(|path| (source, std::fs::read_to_string(path).unwrap())).collect::<Vec<_>>()
    };
    Source::ALL.into_iter().flat_map(|(name, source)| of(source, name)).collect()
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 400, failure_persistence: None, ..ProptestConfig::default() })]
    #[test]
    fn a_damaged_file_is_read_or_refused_and_each_field_is_judged_once(
        which in any::<prop::sample::Index>(),
        damages in prop::collection::vec((any::<prop::sample::Index>(), damage()), 1..6),
    ) {
        let texts = texts();
        let (source, text) = &texts[which.index(texts.len())];
        let text = damaged(text, &damages);
        let damaged = File { name: "damaged".into(), content: Content::Bytes(text.clone().into()) };
        if let Ok(import) = read(*source, &[damaged], &environment, &[]) {
            check_sum(&import, &text);
            let rows: Vec<_> = import.rows.iter().map(|row| row.fields.clone()).collect();
            export(Program::Gatus, &rows);
            export(Program::Blackbox, &rows);
        }
    }
}
