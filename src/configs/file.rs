//! The TOML file of `[[api]]` tables: read into rows, and written from rows.

use std::io::{ErrorKind, Read};
use std::path::Path;

use api_health_actors::ports::SourceError;
use api_health_core::ConfigFault;
use serde::Serialize;
use serde_json::{Map, Value};
use toml::de::{DeTable, DeValue};

use super::fields::FIELDS;
use super::nearest::nearest_of;
use super::pipes::{open_to_read, regular};
use super::raw::{Location, RawRow};
use super::source::ROWS_MAX;
use super::toml_text::{self, LineStarts, SyntaxFault, start, to_map};
use super::values::{ValueFault, quote};

/// The longest file: room for tens of thousands of rows.
pub const FILE_BYTES_MAX: u64 = 16 * 1024 * 1024;

/// What to do with a file that is too long.
const SEVERAL: &str = "several shorter files: file below [apis] takes a list of them, or their folder, and apis import takes one after the other";

/// What a file is expected to be, in what is to be written in place of one that is not there.
const OF_APIS: &str = "a file with an [[api]] table for each API";

/// The other way out where a file is not there.
const OR_MAKE_IT: &str = ", or make that file";

/// The one key of the top level.
const KEY: &str = "api";

/// Reads a file's text.
///
/// # Errors
/// A file that is not there, may not be read, is too long or not UTF-8: each says what to do.
pub fn read_text(path: &Path) -> Result<String, SourceError> {
    let not_utf8 = ValueFault::new("the file", "is not UTF-8", "it again as UTF-8").at(path.display().to_string());
    String::from_utf8(read_bytes(path)?).map_err(|_| SourceError::Misconfigured(not_utf8))
}

/// Reads a file that need not be text.
///
/// # Errors
/// As [`read_text`].
pub fn read_bytes(path: &Path) -> Result<Vec<u8>, SourceError> {
    let name = path.display().to_string();
    let refuse = |why: String, remedy: &str| {
        SourceError::Misconfigured(ValueFault::new("the file", why, remedy).at(name.clone()))
    };
    let open = || -> std::io::Result<Vec<u8>> {
        let mut bytes = Vec::new();
        open_to_read(path)?.take(FILE_BYTES_MAX + 1).read_to_end(&mut bytes)?;
        Ok(bytes)
    };
    let bytes = open().map_err(|error| match error.kind() {
        ErrorKind::NotFound if path.is_symlink() => {
            refuse("is a link to nowhere".into(), "it anew, or remove the link")
        }
        ErrorKind::NotFound => refuse("is not there".into(), &format!("the path of {OF_APIS}{OR_MAKE_IT}")),
        ErrorKind::PermissionDenied => refuse("may not be read by this user".into(), "it readable (chmod, chown)"),
        ErrorKind::IsADirectory => refuse("is a folder".into(), "the path of a file"),
        ErrorKind::Unsupported => refuse("is a socket".into(), "the path of a file"),
        ErrorKind::WouldBlock => refuse("is a pipe into which nobody writes".into(), "the path of a regular file"),
        _ => SourceError::Unavailable(format!("{name}: cannot be read: {error}")),
    })?;
    if bytes.len() as u64 > FILE_BYTES_MAX {
        return Err(refuse(format!("is longer than {FILE_BYTES_MAX} bytes"), SEVERAL));
    }
    Ok(bytes)
}

/// The same fault of a file that is none of APIs but `what`.
pub fn of_another_kind(fault: ConfigFault, what: &str) -> ConfigFault {
    let remedy = if fault.remedy == SEVERAL { "a shorter one".into() } else { fault.remedy.replace(OF_APIS, what) };
    ConfigFault { remedy, ..fault }
}

/// The same of one that another monitor wrote, and nobody can make.
pub fn of_another_monitor(fault: ConfigFault) -> ConfigFault {
    let fault = of_another_kind(fault, "a file of theirs");
    ConfigFault { remedy: fault.remedy.replace(OR_MAKE_IT, ""), ..fault }
}

/// Reads the text of a file that is read again and again, and so must be a regular file: opening a pipe could block
/// for ever, and each try would hold a thread.
///
/// # Errors
/// As [`read_text`], and what is no regular file.
pub fn read_regular(path: &Path) -> Result<String, SourceError> {
    regular(path).map_err(SourceError::Misconfigured)?;
    read_text(path) // which says what else is wrong
}

/// The rows of a file. `name` is what people call it; it begins every location.
///
/// # Errors
/// Text that is not TOML, and keys beside `[[api]]`.
pub fn parse(name: &str, text: &str) -> Result<Vec<RawRow>, SourceError> {
    let document = toml_text::parse(text).map_err(|faults| not_toml(name, &faults))?;
    let misplaced =
        |line: usize, fault: ValueFault| SourceError::Misconfigured(fault.at(format!("{name}, line {line}")));
    if let Some((key, _)) = document.table.iter().find(|(key, _)| key.get_ref() != KEY) {
        let key_text: &str = key.get_ref();
        let remedy = if nearest_of(key_text, [KEY]).is_some() {
            "[[api]] before the fields of each API".to_owned()
        } else if FIELDS.iter().any(|f| f.name == key_text) {
            format!("[[api]] on a line before {key_text}")
        } else {
            "[[api]] tables alone; settings go into api-health.toml".to_owned()
        };
        let fault = ValueFault::new(format!("the key {}", quote(key_text)), "is not known here", remedy);
        return Err(misplaced(document.lines.line(start(key)), fault));
    }
    let Some((key, value)) = document.table.iter().next() else { return Ok(Vec::new()) };
    let one_table = || {
        let fault = ValueFault::new("api", "is not a list of tables", "[[api]], with two brackets, before each API");
        misplaced(document.lines.line(start(key)), fault)
    };
    let DeValue::Array(list) = value.get_ref() else { return Err(one_table()) };
    not_too_many(name, list.len())?;
    list.iter()
        .map(|item| match item.get_ref() {
            DeValue::Table(table) => {
                let line = document.lines.line(start(item));
                let location = Location::in_file(name, line, places(table, text, &document.lines, 0));
                Ok(RawRow { location, fields: to_map(table) })
            }
            _ => Err(one_table()),
        })
        .collect()
}

/// Refuses more APIs than one source may have.
///
/// # Errors
/// There are more.
pub(super) fn not_too_many(name: &str, apis: usize) -> Result<(), SourceError> {
    if apis <= ROWS_MAX {
        return Ok(());
    }
    let why = format!("are more than {ROWS_MAX}");
    let fault = ValueFault::new(format!("{apis} APIs"), why, "fewer, or use several instances of api-health");
    Err(SourceError::Misconfigured(fault.at(name)))
}

/// Gives the rows of a file to `take` one after the other, as [`parse`] finds them, without ever holding all of them. `false`: what it
/// gave is to be forgotten, since only the whole text can say what it means.
///
/// A file is cut before each line that begins with `[[api]]`. Where that is no header but part of a longer text, the part before
/// it ends in the middle of that text, and is not TOML.
pub fn stream(name: &str, text: &str, mut take: impl FnMut(RawRow)) -> bool {
    let (before, mut rest) = text.split_at(next_header(text, 0));
    if !DeTable::parse(before).is_ok_and(|document| document.get_ref().is_empty()) {
        return false;
    }
    let mut line = 1 + before.matches('\n').count();
    while !rest.is_empty() {
        let (one, after) = rest.split_at(next_header(rest, 1));
        let Ok(document) = DeTable::parse(one) else { return false };
        let mut keys = document.get_ref().iter();
        let (Some((key, value)), None) = (keys.next(), keys.next()) else { return false };
        let DeValue::Array(list) = value.get_ref() else { return false };
        let ([item], KEY) = (&list[..], &**key.get_ref()) else { return false };
        let DeValue::Table(table) = item.get_ref() else { return false };
        let location = Location::in_file(name, line, places(table, one, &LineStarts::of(one), line - 1));
        take(RawRow { location, fields: to_map(table) });
        line += one.matches('\n').count();
        rest = after;
    }
    true
}

/// Where the fields of a row stand: the value, or the name where that is none. So many lines come before the text.
fn places(
    table: &DeTable<'_>,
    text: &str,
    lines: &LineStarts,
    before: usize,
) -> impl Iterator<Item = (Box<str>, usize, usize)> {
    table.iter().map(move |(key, value)| {
        let name: &str = key.get_ref();
        let is_field = FIELDS.iter().any(|field| field.name == name);
        let (line, column) = lines.position(text, if is_field { start(value) } else { start(key) });
        (name.into(), before + line, column)
    })
}

/// Where the next line begins that looks like a header, from the byte `from` on; the end of the text if there is none.
fn next_header(text: &str, from: usize) -> usize {
    let is_at_begin = |at: usize| at >= from && (at == 0 || text[..at].ends_with('\n'));
    text.match_indices("[[api]]").map(|(at, _)| at).find(|at| is_at_begin(*at)).unwrap_or(text.len())
}

fn not_toml(name: &str, faults: &[SyntaxFault]) -> SourceError {
    let Some(first) = faults.first() else {
        return SourceError::Unavailable(format!("{name}: is not TOML")); // cannot be: there is at least one fault
    };
    SourceError::Misconfigured(syntax_fault(name, first, faults.len() - 1))
}

/// A syntax fault as one of a config; `more` is how many others are not reported.
pub fn syntax_fault(name: &str, fault: &SyntaxFault, more: usize) -> ConfigFault {
    let also = match more {
        0 => String::new(),
        1 => ", and one more fault below".to_owned(),
        _ => format!(", and {more} more faults below"),
    };
    let why = format!("is not TOML ({}{also})", fault.message);
    let location = format!("{name}, line {}, column {}", fault.line, fault.column);
    ValueFault::new("the text", why, "it as TOML: key = value, with text in quotes").at(location)
}

/// Rows as a file that [`parse`] reads back to the same fields. A field that is null is left out, since TOML has none.
///
/// # Errors
/// A value that TOML cannot hold, with its row.
pub fn to_toml(rows: &[RawRow]) -> Result<String, String> {
    let mut text = String::new();
    for row in rows {
        let failed = |e: toml::ser::Error| format!("{}: {e}", row.location);
        if !text.is_empty() {
            text.push('\n');
        }
        text.push_str("[[api]]\n");
        // Tables last: what follows a table's own header would belong to that table.
        let (tables, plain): (Vec<_>, Vec<_>) = in_order(&row.fields).into_iter().partition(|(_, v)| is_flat_table(v));
        for (name, value) in plain {
            let mut inline = String::new();
            without_null(value).serialize(toml::ser::ValueSerializer::new(&mut inline)).map_err(failed)?;
            let with_zero = toml::to_string(&Map::from_iter([(name.clone(), Value::from(0))])).map_err(failed)?;
            let key = with_zero.strip_suffix("0\n").unwrap_or(&with_zero); // `name = 0`, the name quoted if it must be
            text.push_str(&format!("{key}{inline}\n"));
        }
        for (name, value) in tables {
            let inner = Map::from_iter([(name.clone(), without_null(value))]);
            let outer = Map::from_iter([(KEY.to_owned(), Value::Object(inner))]);
            text.push_str(&toml::to_string(&outer).map_err(failed)?);
        }
    }
    Ok(text)
}

/// A table of texts, as `headers` is: it reads best under a header of its own.
fn is_flat_table(value: &Value) -> bool {
    value.as_object().is_some_and(|table| table.values().all(Value::is_string))
}

/// Known fields in the order of the reference page, then the others by name; null left out.
fn in_order(fields: &Map<String, Value>) -> Vec<(&String, &Value)> {
    let place = |name: &str| FIELDS.iter().position(|f| f.name == name).unwrap_or(FIELDS.len());
    let mut ordered: Vec<_> = fields.iter().filter(|(_, value)| !value.is_null()).collect();
    ordered.sort_by_key(|(name, _)| (place(name), name.as_str()));
    ordered
}

fn without_null(value: &Value) -> Value {
    match value {
        Value::Array(list) => Value::Array(list.iter().filter(|v| !v.is_null()).map(without_null).collect()),
        Value::Object(map) => {
            Value::Object(map.iter().filter(|(_, v)| !v.is_null()).map(|(k, v)| (k.clone(), without_null(v))).collect())
        }
        other => other.clone(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;
    use serde_json::json;

    fn fields_of(text: &str) -> Vec<Value> {
        parse("t", text).unwrap().into_iter().map(|row| Value::Object(row.fields)).collect()
    }

    #[test]
    fn rows_know_their_lines() {
        let text = "# mine\n[[api]]\napi_id = \"a\"\n\n[[api]]\napi_id = \"b\"\n[api.headers]\nX = \"1\"\n";
        let rows = parse("apis.toml", text).unwrap();
        assert_eq!(&*rows[0].location, "apis.toml, line 2");
        assert_eq!(&*rows[1].location, "apis.toml, line 5");
        assert_eq!(Value::Object(rows[1].fields.clone()), json!({"api_id": "b", "headers": {"X": "1"}}));
        assert_eq!(parse("apis.toml", "").unwrap(), []);
        assert_eq!(fields_of("api = [{ api_id = \"c\" }]"), [json!({"api_id": "c"})]);
    }

    #[test]
    fn an_export_is_in_the_order_of_the_reference_and_reads_well() {
        let fields = json!({"url": "https://a.test/", "api_id": "a", "zz": 1, "tags": ["x"], "enabled": null,
                            "headers": {"X-Odd name": "\"q\""}, "interval_seconds": 10.0, "body": "a\nb"});
        let Value::Object(fields) = fields else { unreachable!() };
        let text = to_toml(&[RawRow { location: "t".into(), fields }]).unwrap();
        assert_eq!(
            text,
            "[[api]]\napi_id = \"a\"\nurl = \"https://a.test/\"\nbody = \"\"\"\na\nb\"\"\"\ninterval_seconds = 10.0\n\
             tags = [\"x\"]\nzz = 1\n[api.headers]\n\"X-Odd name\" = '\"q\"'\n"
        );
    }

    /// The rows as they are found one after the other, if they are.
    fn streamed(text: &str) -> Option<Vec<RawRow>> {
        let mut rows = Vec::new();
        stream("t", text, |row| rows.push(row)).then_some(rows)
    }

    #[test]
    fn rows_are_found_one_after_the_other_where_nothing_else_can_be_meant() {
        let text = "# mine\n[[api]]\napi_id = \"a\"\n\n[[api]] # b\n[api.headers]\nX = \"1\"\n[[api]]\n";
        assert_eq!(streamed(text), Some(parse("t", text).unwrap()));
        assert_eq!((streamed(""), streamed("# nothing\n")), (Some(vec![]), Some(vec![])));
        for whole in [
            "[[api]]\nbody = \"\"\"\n[[api]]\n\"\"\"\n", // a header in a longer text
            "api = [{ api_id = \"c\" }]",
            "[other]\n[[api]]\n",
            "[[api]]\n[other]\n",
            "[[api]]\napi_id = ",
        ] {
            assert_eq!(streamed(whole), None, "{whole}");
        }
    }

    fn json_value() -> impl Strategy<Value = Value> {
        let leaf = prop_oneof![
            any::<bool>().prop_map(Value::from),
            any::<i64>().prop_map(Value::from),
            (-1e9..1e9f64).prop_map(Value::from),
            "\\PC{0,12}".prop_map(Value::from),
            "[a\\n\\t\"'\\\\$\\{\\}\u{1}]{0,8}".prop_map(Value::from),
        ];
        leaf.prop_recursive(3, 12, 4, |inner| {
            prop_oneof![
                prop::collection::vec(inner.clone(), 0..4).prop_map(Value::from),
                prop::collection::btree_map("\\PC{0,6}", inner, 0..4)
                    .prop_map(|m| Value::Object(m.into_iter().collect())),
            ]
        })
    }

    proptest! {
        #[test]
        fn what_is_exported_imports_to_the_same_rows(
            rows in prop::collection::vec(prop::collection::btree_map("(api_id|headers|tags|url|\\PC{0,6})", json_value(), 0..5), 0..4)
        ) {
            let rows: Vec<RawRow> = rows
                .into_iter()
                .map(|fields| RawRow { location: "t".into(), fields: fields.into_iter().collect() })
                .collect();
            let text = to_toml(&rows).unwrap();
            let again = parse("t", &text).map_err(|e| TestCaseError::fail(format!("{e}\n{text}")))?;
            if let Some(streamed) = streamed(&text) {
                prop_assert_eq!(&streamed, &again, "{}", text);
            }
            let fields = |rows: &[RawRow]| rows.iter().map(|r| r.fields.clone()).collect::<Vec<_>>();
            prop_assert_eq!(fields(&again), fields(&rows), "{}", text);
        }

        #[test]
        fn a_text_that_is_read_in_parts_means_the_same_as_a_whole(
            lines in prop::collection::vec(
                prop::sample::select(vec![
                    "[[api]]", "[[api]] # x", "[api]", "[api.h]", "[other]", "a = 1", "a = 2", "b = \"\"\"", "c\"\"\"",
                    "d = '''", "e'''", "f = [", "]", "# [[api]]", "", "x.y = 1", " [[api]]",
                ]),
                0..12,
            )
        ) {
            let text = lines.join("\n");
            if let Some(streamed) = streamed(&text) {
                prop_assert_eq!(Ok(streamed), parse("t", &text), "{}", text);
            }
        }
    }
}
