//! What became of each field of a file: taken, near or lost. A field is handed out once and has to be judged once, so that their
//! sum is the number of fields that stand in the file.

use std::rc::Rc;

use super::tree::{Node, Value};

/// What became of a field.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Verdict {
    /// It means the same here.
    Taken,
    /// It means nearly the same, and how it differs.
    Near(String),
    /// It means nothing here, and why.
    Lost(String),
}

/// A field, or a part of the file with all its fields, and what became of it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Entry {
    pub file: Rc<str>,
    /// From 1; 0 in a file that has no lines.
    pub line: usize,
    /// `endpoints[2].client.timeout`.
    pub path: String,
    /// How many fields stand there.
    pub fields: usize,
    pub verdict: Verdict,
    /// The index of the row that it belongs to.
    pub row: Option<usize>,
}

/// A field that is not judged yet.
#[must_use = "each field is judged once"]
#[derive(Clone, Debug)]
pub(crate) struct Field {
    pub(crate) file: Rc<str>,
    pub(crate) path: String,
    pub(crate) node: Rc<Node>,
}

/// The fields of a mapping that nobody has asked for yet.
#[must_use = "what is left over is lost"]
#[derive(Debug)]
pub(crate) struct Fields {
    file: Rc<str>,
    path: String,
    entries: Vec<(String, Rc<Node>)>,
}

/// All that was judged.
#[derive(Debug, Default)]
pub(crate) struct Report {
    pub(crate) entries: Vec<Entry>,
    /// The row that is being read.
    pub(crate) row: Option<usize>,
}

impl Report {
    pub(crate) fn taken(&mut self, field: Field) {
        self.judge(field, Verdict::Taken);
    }

    pub(crate) fn near(&mut self, field: Field, how: impl Into<String>) {
        self.judge(field, Verdict::Near(how.into()));
    }

    pub(crate) fn lost(&mut self, field: Field, why: impl Into<String>) {
        self.judge(field, Verdict::Lost(why.into()));
    }

    /// Near, if it differs, and else taken.
    pub(crate) fn judged(&mut self, field: Field, differs: Option<String>) {
        self.judge(field, differs.map_or(Verdict::Taken, Verdict::Near));
    }

    pub(crate) fn near_unless(&mut self, is_same: bool, field: Field, how: impl Into<String>) {
        self.judge(field, if is_same { Verdict::Taken } else { Verdict::Near(how.into()) });
    }

    pub(crate) fn lost_unless(&mut self, is_said: bool, field: Field, why: impl Into<String>) {
        self.judge(field, if is_said { Verdict::Taken } else { Verdict::Lost(why.into()) });
    }

    /// Those of the fields that are there; what they say stands elsewhere.
    pub(crate) fn all_taken(&mut self, fields: &mut Fields, names: &[&str]) {
        names.iter().filter_map(|name| fields.take(name)).for_each(|field| self.taken(field));
    }

    /// Those of the fields that are there, each with why it is lost.
    pub(crate) fn all_lost(&mut self, fields: &mut Fields, names: &[(&str, &str)]) {
        for (name, why) in names {
            if let Some(field) = fields.take(name) {
                self.lost(field, *why);
            }
        }
    }

    /// All that nobody has asked for, for one reason.
    pub(crate) fn others_lost(&mut self, fields: Fields, why: &str) {
        fields.into_fields().into_iter().for_each(|field| self.lost(field, why));
    }

    fn judge(&mut self, field: Field, verdict: Verdict) {
        let Field { file, path, node } = field;
        self.entries.push(Entry { file, line: node.line, path, fields: node.leaves, verdict, row: self.row });
    }

    /// The fields of a mapping; anything else is lost, but nothing at all is as good as an empty mapping.
    pub(crate) fn fields(&mut self, field: Field) -> Fields {
        let (path, file) = (field.path.clone(), Rc::clone(&field.file));
        let entries = field.node.table().to_vec();
        match &field.node.value {
            Value::Table(entries) if !entries.is_empty() => {}
            Value::Table(_) => self.taken(field),
            _ if field.node.is_null() => self.taken(field),
            _ => self.lost(field, "it is no mapping"),
        }
        Fields { file, path, entries }
    }

    /// The items of a list; anything else is lost, but nothing at all is as good as an empty list.
    pub(crate) fn items(&mut self, field: Field) -> Vec<Field> {
        let item = |(index, node): (usize, &Rc<Node>)| Field {
            file: Rc::clone(&field.file),
            path: format!("{}[{index}]", field.path),
            node: Rc::clone(node),
        };
        let items: Vec<Field> = field.node.list().iter().enumerate().map(item).collect();
        match &field.node.value {
            Value::List(list) if !list.is_empty() => {}
            Value::List(_) => self.taken(field),
            _ if field.node.is_null() => self.taken(field),
            _ => self.lost(field, "it is no list"),
        }
        items
    }

    /// Whatever nobody has asked for.
    pub(crate) fn rest(&mut self, fields: Fields) {
        self.rest_but(fields, "nothing is known of it", |_| None);
    }

    /// The same, where of some it is known why they are lost. What others refer to is read where they refer to it.
    pub(crate) fn rest_but(&mut self, fields: Fields, else_why: &str, why: impl Fn(&str) -> Option<&'static str>) {
        for field in fields.into_fields() {
            match why(&field.path) {
                Some(why) => self.lost(field, why),
                None => self.lost_unless(field.node.anchored, field, else_why),
            }
        }
    }
}

impl Field {
    pub(crate) fn root(file: &Rc<str>, node: &Rc<Node>) -> Self {
        Self { file: Rc::clone(file), path: String::new(), node: Rc::clone(node) }
    }

    pub(crate) fn scalar(&self) -> Option<&str> {
        self.node.scalar()
    }

    /// Its text, which is empty where there is none.
    pub(crate) fn text(&self) -> String {
        self.scalar().unwrap_or_default().to_owned()
    }

    pub(crate) fn flag(&self) -> Option<bool> {
        self.node.flag()
    }

    /// The last part of its path.
    pub(crate) fn name(&self) -> &str {
        self.path.rsplit('.').next().unwrap_or_default()
    }
}

impl Fields {
    /// The field of that name, once.
    pub(crate) fn take(&mut self, name: &str) -> Option<Field> {
        let at = self.entries.iter().position(|(key, _)| key == name)?;
        let (name, node) = self.entries.remove(at);
        Some(self.field(&name, node))
    }

    /// A look at a field that somebody else judges.
    pub(crate) fn peek(&self, name: &str) -> Option<&Rc<Node>> {
        self.entries.iter().find(|(key, _)| key == name).map(|(_, node)| node)
    }

    /// The text of such a field, which is empty where there is none.
    pub(crate) fn text(&self, name: &str) -> &str {
        self.peek(name).and_then(|node| node.scalar()).unwrap_or_default()
    }

    pub(crate) fn into_fields(mut self) -> Vec<Field> {
        let entries = std::mem::take(&mut self.entries);
        entries.into_iter().map(|(name, node)| self.field(&name, node)).collect()
    }

    fn field(&self, name: &str, node: Rc<Node>) -> Field {
        let dot = if self.path.is_empty() || self.path.ends_with(':') { "" } else { "." };
        Field { file: Rc::clone(&self.file), path: format!("{}{dot}{name}", self.path), node }
    }
}
