//! Rows in the form of other programs, and what those cannot say.

mod blackbox;
mod gatus;

use serde_json::{Map, Value};

/// The program in whose form rows are written.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Program {
    /// Targets for Prometheus, as JSON for `file_sd_configs`.
    Blackbox,
    /// Endpoints, as YAML.
    Gatus,
}

impl Program {
    /// All of them, by what they are called.
    pub const ALL: [(&'static str, Self); 2] = [("blackbox", Self::Blackbox), ("gatus", Self::Gatus)];
}

/// What came out.
#[derive(Debug, Default)]
pub struct Export {
    pub text: String,
    pub unsaid: Vec<Unsaid>,
}

/// A field that the other program has no word for.
#[derive(Debug, PartialEq, Eq)]
pub struct Unsaid {
    pub api_id: String,
    pub field: String,
    pub why: String,
}

/// Writes rows, in which each field of which a default exists is set.
pub fn export(program: Program, rows: &[Map<String, Value>]) -> Export {
    match program {
        Program::Blackbox => blackbox::export(rows),
        Program::Gatus => gatus::export(rows),
    }
}

/// A row of which each field is taken or said to be left out.
struct Fields<'r> {
    api_id: &'r str,
    rest: Vec<(&'r String, &'r Value)>,
}

impl<'r> Fields<'r> {
    fn of(row: &'r Map<String, Value>) -> Self {
        let api_id = row.get("api_id").and_then(Value::as_str).unwrap_or_default();
        Self { api_id, rest: row.iter().filter(|(_, value)| !value.is_null()).collect() }
    }

    fn take(&mut self, name: &str) -> Option<&'r Value> {
        let at = self.rest.iter().position(|(known, _)| *known == name)?;
        Some(self.rest.remove(at).1)
    }

    fn text(&mut self, name: &str) -> Option<&'r str> {
        self.take(name)?.as_str()
    }

    fn unsaid(&self, field: &str, why: impl Into<String>) -> Unsaid {
        Unsaid { api_id: self.api_id.to_owned(), field: field.to_owned(), why: why.into() }
    }

    fn texts(&mut self, name: &str) -> Vec<&'r str> {
        match self.take(name) {
            Some(Value::Array(items)) => items.iter().filter_map(Value::as_str).collect(),
            Some(Value::String(text)) => vec![text],
            _ => Vec::new(),
        }
    }
}
