//! A YAML or JSON text as a tree in which every value knows its line, so that whatever cannot be taken over can be pointed at.

use std::collections::HashMap;
use std::rc::Rc;

use saphyr_parser::{Event, Parser, ScalarStyle, Span};

/// The most values of one file, counted as if every alias were written out.
pub(crate) const VALUES_MAX: usize = 1_000_000;
/// The deepest nesting.
pub(crate) const DEPTH_MAX: usize = 64;

/// One value.
#[derive(Debug)]
pub(crate) struct Node {
    /// From 1; 0 where it stands in no text.
    pub(crate) line: usize,
    pub(crate) value: Value,
    /// How many values without children are in it.
    pub(crate) leaves: usize,
    /// Whether it, or something in it, has an anchor that other parts refer to.
    pub(crate) anchored: bool,
}

/// What stands there. A mapping keeps the order of its keys.
#[derive(Debug)]
pub(crate) enum Value {
    /// Its text, and whether it was written without quotes.
    Scalar(String, bool),
    List(Vec<Rc<Node>>),
    Table(Vec<(String, Rc<Node>)>),
}

/// Why a text cannot be read, and where.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct TreeFault {
    pub(crate) line: usize,
    pub(crate) column: usize,
    pub(crate) why: String,
}

impl Node {
    pub(crate) fn new(line: usize, value: Value) -> Self {
        let (leaves, anchored) = match &value {
            Value::Scalar(..) => (1, false),
            Value::List(items) => sum(items.iter()),
            Value::Table(entries) => sum(entries.iter().map(|(_, node)| node)),
        };
        Self { line, value, leaves: leaves.max(1), anchored }
    }

    /// A value that stands in a database or a table.
    pub(crate) fn text(line: usize, text: impl Into<String>) -> Self {
        Self::new(line, Value::Scalar(text.into(), false))
    }

    /// The text of a scalar that is not null.
    pub(crate) fn scalar(&self) -> Option<&str> {
        match &self.value {
            Value::Scalar(_, true) if self.is_null() => None,
            Value::Scalar(text, _) => Some(text),
            _ => None,
        }
    }

    pub(crate) fn is_null(&self) -> bool {
        matches!(&self.value, Value::Scalar(text, true) if matches!(text.as_str(), "" | "~" | "null" | "Null" | "NULL"))
    }

    pub(crate) fn list(&self) -> &[Rc<Node>] {
        if let Value::List(items) = &self.value { items } else { &[] }
    }

    pub(crate) fn table(&self) -> &[(String, Rc<Node>)] {
        if let Value::Table(entries) = &self.value { entries } else { &[] }
    }

    pub(crate) fn get(&self, name: &str) -> Option<&Rc<Node>> {
        self.table().iter().find(|(key, _)| key == name).map(|(_, node)| node)
    }

    /// The text of a field, which is empty where there is none.
    pub(crate) fn of(&self, name: &str) -> &str {
        self.get(name).and_then(|node| node.scalar()).unwrap_or_default()
    }

    pub(crate) fn flag_of(&self, name: &str) -> Option<bool> {
        self.get(name)?.flag()
    }

    /// `true`, `yes`, `on`, `1` and their opposites.
    pub(crate) fn flag(&self) -> Option<bool> {
        match self.scalar()?.to_ascii_lowercase().as_str() {
            "true" | "yes" | "on" | "1" => Some(true),
            "false" | "no" | "off" | "0" => Some(false),
            _ => None,
        }
    }
}

fn sum<'a>(nodes: impl Iterator<Item = &'a Rc<Node>>) -> (usize, bool) {
    nodes.fold((0, false), |(leaves, anchored), node| (leaves.saturating_add(node.leaves), anchored | node.anchored))
}

/// A list or mapping that is not over yet.
struct Open {
    line: usize,
    anchor: usize,
    is_table: bool,
    items: Vec<Rc<Node>>,
    entries: Vec<(String, Rc<Node>)>,
    key: Option<String>,
    merged: Vec<Rc<Node>>,
}

/// The documents of a text. An empty one is left out.
///
/// # Errors
/// Text that is neither YAML nor JSON, that is nested too deep, or whose aliases stand for too much.
pub(crate) fn documents(text: &str) -> Result<Vec<Rc<Node>>, TreeFault> {
    let mut builder = Builder::default();
    for event in Parser::new_from_str(text.trim_start_matches('\u{feff}')) {
        let (event, span) = event.map_err(|error| {
            let at = error.marker();
            TreeFault { line: at.line(), column: at.col() + 1, why: error.info().to_owned() }
        })?;
        builder.take(event, span)?;
    }
    Ok(builder.documents)
}

#[derive(Default)]
struct Builder {
    documents: Vec<Rc<Node>>,
    stack: Vec<Open>,
    anchors: HashMap<usize, Rc<Node>>,
    values: usize,
}

impl Builder {
    fn take(&mut self, event: Event<'_>, span: Span) -> Result<(), TreeFault> {
        let line = span.start.line();
        let fault = |why: String| TreeFault { line, column: span.start.col() + 1, why };
        match event {
            Event::DocumentStart(_) => self.anchors.clear(), // they hold within one document
            Event::Scalar(text, style, anchor, tag) => {
                let plain = style == ScalarStyle::Plain && tag.is_none();
                self.add(Node::new(line, Value::Scalar(text.into_owned(), plain)), anchor);
            }
            Event::SequenceStart(anchor, _) => self.open(line, anchor, false),
            Event::MappingStart(anchor, _) => self.open(line, anchor, true),
            Event::SequenceEnd | Event::MappingEnd => {
                if let Some(open) = self.stack.pop() {
                    let anchor = open.anchor;
                    self.add(open.close(), anchor);
                }
            }
            Event::Alias(anchor) => {
                let node = self.anchors.get(&anchor).cloned();
                let node = node.ok_or_else(|| fault("it refers to something that it is itself a part of".into()))?;
                self.push(node);
            }
            _ => {}
        }
        if self.stack.len() > DEPTH_MAX {
            return Err(fault(format!("it is nested deeper than {DEPTH_MAX} levels")));
        }
        if self.values > VALUES_MAX {
            return Err(fault(format!("with what its aliases stand for it has more than {VALUES_MAX} values")));
        }
        Ok(())
    }

    fn open(&mut self, line: usize, anchor: usize, is_table: bool) {
        let (items, entries, merged) = (Vec::new(), Vec::new(), Vec::new());
        self.stack.push(Open { line, anchor, is_table, items, entries, key: None, merged });
    }

    fn add(&mut self, node: Node, anchor: usize) {
        let node = Rc::new(Node { anchored: node.anchored || anchor > 0, ..node });
        if anchor > 0 {
            self.anchors.insert(anchor, Rc::clone(&node));
        }
        self.push(node);
    }

    fn push(&mut self, node: Rc<Node>) {
        self.values = self.values.saturating_add(node.leaves);
        let Some(parent) = self.stack.last_mut() else {
            if !node.is_null() {
                self.documents.push(node);
            }
            return;
        };
        if !parent.is_table {
            parent.items.push(node);
        } else if let Some(key) = parent.key.take() {
            match (key.as_str(), &node.value) {
                ("<<", Value::Table(_)) => parent.merged.push(node),
                ("<<", Value::List(items)) => parent.merged.extend(items.iter().cloned()),
                _ => parent.entries.push((key, node)),
            }
        } else {
            // A key that is no scalar can be nobody's field.
            parent.key = Some(node.scalar().unwrap_or_default().to_owned());
        }
    }
}

impl Open {
    fn close(mut self) -> Node {
        for merged in &self.merged {
            for (key, node) in merged.table() {
                if !self.entries.iter().any(|(known, _)| known == key) {
                    self.entries.push((key.clone(), Rc::clone(node)));
                }
            }
        }
        Node::new(self.line, if self.is_table { Value::Table(self.entries) } else { Value::List(self.items) })
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn one(text: &str) -> Rc<Node> {
        documents(text).unwrap().remove(0)
    }

    #[test]
    fn every_value_knows_its_line() {
        let tree = one("# a\na: 1\nb:\n  - x\n  - {c: \"2\"}\n");
        assert_eq!((tree.get("a").unwrap().line, tree.leaves), (2, 3));
        let items = tree.get("b").unwrap().list();
        assert_eq!((items[0].line, items[1].get("c").unwrap().line), (4, 5));
        assert_eq!(items[1].get("c").unwrap().scalar(), Some("2"));
        assert_eq!(documents("a: 1\n---\nb: 2\n---\n").unwrap().len(), 2);
        assert_eq!(one("{\"a\": [1,\n\t2]}").get("a").unwrap().list()[1].line, 2, "JSON is YAML");
    }

    #[test]
    fn merged_keys_yield_to_those_that_are_written() {
        let tree = one("x: &d\n  a: 1\n  b: 2\ny:\n  <<: *d\n  b: 3\nz:\n  <<: [*d, {c: 4}]\n");
        let y = tree.get("y").unwrap();
        assert_eq!((y.get("a").unwrap().scalar(), y.get("b").unwrap().scalar()), (Some("1"), Some("3")));
        assert_eq!(tree.get("z").unwrap().leaves, 3);
        assert!(tree.get("x").unwrap().anchored && !y.anchored);
    }

    #[test]
    fn bombs_and_broken_texts_are_refused_with_their_line() {
        let mut bomb = String::from("a0: &a0 [x, x, x, x, x, x, x, x, x, x]\n");
        for level in 1..9 {
            let before = vec![format!("*a{}", level - 1); 10].join(", ");
            bomb.push_str(&format!("a{level}: &a{level} [{before}]\n"));
        }
        let fault = documents(&bomb).unwrap_err();
        assert!(fault.why.contains("aliases") && fault.line > 4, "{fault:?}");
        assert!(documents(&"[".repeat(60_000)).is_err());
        assert!(documents(&format!("{}1{}", "[".repeat(65), "]".repeat(65))).unwrap_err().why.contains("nested"));
        assert!(documents(&"- ".repeat(10_000)).is_err());
        assert!(documents("a: &a\n  b: *a\n").is_err());
        let fault = documents("a: 1\nb: [1, 2\nc: 3\n").unwrap_err();
        assert!(fault.line >= 2, "{fault:?}");
    }

    proptest! {
        #[test]
        fn any_text_is_read_or_refused(text in "[a-c:\\-?&*<>|\\[\\]{}\"'#!%@,\\n\\t 0~]{0,80}") {
            if let Ok(documents) = documents(&text) {
                prop_assert!(documents.iter().all(|node| node.leaves > 0));
            }
        }
    }
}
