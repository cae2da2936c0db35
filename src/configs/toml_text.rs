//! TOML as a person wrote it: values with the lines they stand on, and syntax faults with line and column.

use serde_json::{Map, Number, Value};
use toml::Spanned;
use toml::de::{DeTable, DeValue};

/// The most syntax faults that are reported of one file.
pub const SYNTAX_FAULTS_MAX: usize = 10;

/// The longest file in which more than the first syntax fault is looked for. The parser keeps every fault that it finds,
/// hundreds of bytes for one of two bytes: a file of 16 MiB that is no TOML at all would take gigabytes.
pub const RECOVERY_BYTES_MAX: usize = 128 * 1024;

/// A parsed file. It borrows the text.
pub struct Document<'i> {
    /// The top level.
    pub table: DeTable<'i>,
    /// Where lines begin.
    pub lines: LineStarts,
}

/// Something that is not TOML.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct SyntaxFault {
    /// From 1.
    pub line: usize,
    /// From 1, in characters.
    pub column: usize,
    /// What the parser says. It holds nothing of the file's values.
    pub message: String,
}

/// Reads a whole file.
///
/// # Errors
/// What is not TOML: the first fault of each line, in order, at most [`SYNTAX_FAULTS_MAX`]; of a file that is longer than
/// [`RECOVERY_BYTES_MAX`], the first fault alone.
pub fn parse(text: &str) -> Result<Document<'_>, Vec<SyntaxFault>> {
    let lines = LineStarts::of(text);
    let first = match DeTable::parse(text) {
        Ok(table) => return Ok(Document { table: table.into_inner(), lines }),
        Err(error) => error,
    };
    let errors = match text.len() {
        0..=RECOVERY_BYTES_MAX => DeTable::parse_recoverable(text).1,
        _ => vec![first],
    };
    let fault = |error: &toml::de::Error| {
        let at = error.span().map_or(text.len(), |span| span.start);
        let (line, column) = lines.position(text, at);
        SyntaxFault { line, column, message: error.message().to_owned() }
    };
    let mut faults: Vec<_> = errors.iter().map(fault).collect();
    faults.sort_by_key(|fault| (fault.line, fault.column));
    faults.dedup_by_key(|fault| fault.line); // the first of a line is the cause, the others follow from it
    faults.truncate(SYNTAX_FAULTS_MAX);
    Err(faults)
}

/// Where the lines of a text begin.
pub struct LineStarts(Vec<usize>);

impl LineStarts {
    /// Of this text.
    pub fn of(text: &str) -> Self {
        let after_newlines = text.bytes().enumerate().filter(|(_, b)| *b == b'\n').map(|(at, _)| at + 1);
        Self(std::iter::once(0).chain(after_newlines).collect())
    }

    /// The line, from 1, that the byte at `offset` stands on.
    pub fn line(&self, offset: usize) -> usize {
        self.0.partition_point(|start| *start <= offset)
    }

    /// Line and column, from 1 and in characters, of the byte at `offset` of that text.
    pub fn position(&self, text: &str, offset: usize) -> (usize, usize) {
        let line = self.line(offset);
        let before = text.get(self.0[line - 1]..offset).unwrap_or_default();
        (line, before.chars().count() + 1)
    }
}

/// The same value as JSON. What JSON cannot say (a date, `nan`) becomes text, and whoever wants a number refuses it.
pub fn to_json(value: &DeValue<'_>) -> Value {
    match value {
        DeValue::String(text) => Value::String(text.clone().into_owned()),
        DeValue::Boolean(flag) => Value::Bool(*flag),
        DeValue::Integer(integer) => match i64::from_str_radix(integer.as_str(), integer.radix()) {
            Ok(number) => Value::Number(number.into()),
            Err(_) => Value::String(integer.to_string()),
        },
        DeValue::Float(float) => match float.as_str().parse().ok().and_then(Number::from_f64) {
            Some(number) => Value::Number(number),
            None => Value::String(float.to_string()),
        },
        DeValue::Datetime(at) => Value::String(at.to_string()),
        DeValue::Array(list) => Value::Array(list.iter().map(|item| to_json(item.get_ref())).collect()),
        DeValue::Table(table) => Value::Object(to_map(table)),
    }
}

/// The same table as JSON.
pub fn to_map(table: &DeTable<'_>) -> Map<String, Value> {
    table.iter().map(|(key, value)| (key.get_ref().clone().into_owned(), to_json(value.get_ref()))).collect()
}

/// The byte that a spanned thing begins at.
pub fn start<T>(spanned: &Spanned<T>) -> usize {
    spanned.span().start
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;
    use serde_json::json;

    #[test]
    fn values_are_read_as_json() {
        let text = "a = 1_000\nb = 1.5\nc = [\"x\", true]\nd = { e = 0x10 }\nf = 2026-11-22\ng = nan\nh = 99999999999999999999\n";
        let document = parse(text).unwrap_or_else(|faults| panic!("{faults:?}"));
        assert_eq!(
            Value::Object(to_map(&document.table)),
            json!({"a": 1000, "b": 1.5, "c": ["x", true], "d": {"e": 16}, "f": "2026-11-22", "g": "nan",
                   "h": "99999999999999999999"})
        );
    }

    #[test]
    fn every_syntax_fault_has_its_place() {
        let Err(faults) = parse("a = 1\nü = = 2\nb = \"open\n") else { panic!("not TOML") };
        let places: Vec<_> = faults.iter().map(|f| (f.line, f.column)).collect();
        assert_eq!(places, [(2, 1), (3, 10)], "columns are counted in characters");
        assert!(faults.iter().all(|f| !f.message.contains("open")), "{faults:?}");
    }

    proptest! {
        #[test]
        fn any_text_is_read_or_refused(text in "[a-z=\\[\\]{}\"'\\n #.0-9-]{0,60}") {
            match parse(&text) {
                Ok(document) => { to_map(&document.table); }
                Err(faults) => prop_assert!(!faults.is_empty()),
            }
        }
    }
}
