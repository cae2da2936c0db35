//! Reads the files of other monitors as rows of api-health: text in, rows out, and of each field what became of it.

mod asking;
mod blackbox;
mod channels;
mod export;
mod gatus;
mod kuma;
mod reading;
mod report;
mod secrets;
mod table;
mod tree;
mod upptime;
mod words;

#[cfg(test)]
mod tests;

use std::path::PathBuf;
use std::rc::Rc;

pub use channels::{Channel, to_toml as channels_to_toml};
pub use export::{Export, Program, Unsaid, export};
pub use reading::{Environment, Row};
pub use report::{Entry, Verdict};
pub use secrets::ToSet;

/// The program that a file is of.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Source {
    Gatus,
    Kuma,
    Blackbox,
    Upptime,
    Csv,
}

/// A file as it was read.
#[derive(Clone, Debug)]
pub struct File {
    /// What people call it.
    pub name: String,
    pub content: Content,
}

/// What a file holds.
#[derive(Clone, Debug)]
pub enum Content {
    Bytes(Vec<u8>),
    /// A database, which is not read as a whole.
    Database(PathBuf),
}

impl Source {
    /// All of them, by what they are called.
    pub const ALL: [(&'static str, Self); 5] = [
        ("gatus", Self::Gatus),
        ("kuma", Self::Kuma),
        ("blackbox", Self::Blackbox),
        ("upptime", Self::Upptime),
        ("csv", Self::Csv),
    ];

    /// What columns of a table may be mapped to.
    pub fn columns() -> Vec<&'static str> {
        table::fields()
    }
}

/// What came out of all files.
#[derive(Debug, Default)]
pub struct Import {
    pub rows: Vec<Row>,
    pub entries: Vec<Entry>,
    pub channels: Vec<Channel>,
    pub secrets: Vec<ToSet>,
    /// How many fields the files have.
    pub fields: usize,
}

/// A file that cannot be read at all.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Fault {
    /// `config.yaml, line 3, column 5`.
    pub location: String,
    pub what: String,
    pub why: String,
    pub remedy: String,
}

/// Reads files that belong together. `mapped` are pairs of one of [`Source::columns`] and the name of a column.
///
/// # Errors
/// What is wrong with each file that cannot be read.
pub fn read(
    source: Source,
    files: &[File],
    environment: Environment<'_>,
    mapped: &[(String, String)],
) -> Result<Import, Vec<Fault>> {
    match source {
        Source::Gatus => gatus::read(files, environment),
        Source::Kuma => kuma::read(files, environment),
        Source::Blackbox => blackbox::read(files, environment),
        Source::Upptime => upptime::read(files, environment),
        Source::Csv => table::read(files, environment, mapped),
    }
}

/// A document of a file, and the name of that file.
type Document = (Rc<str>, Rc<tree::Node>);

/// Documents of one file.
type Trees = Result<Vec<Rc<tree::Node>>, tree::TreeFault>;

/// What is read of each file, with its name; or what is wrong with each that cannot be read.
fn each<T>(files: &[File], read: impl Fn(&File) -> Result<T, Fault>) -> Result<Vec<(Rc<str>, T)>, Vec<Fault>> {
    let (mut found, mut faults) = (Vec::new(), Vec::new());
    for file in files {
        match read(file) {
            Ok(one) => found.push((Rc::from(file.name.as_str()), one)),
            Err(fault) => faults.push(fault),
        }
    }
    if faults.is_empty() { Ok(found) } else { Err(faults) }
}

/// The documents of all files of YAML or JSON, or those that `within` finds in each.
fn documents(files: &[File], within: fn(&Rc<tree::Node>) -> Trees) -> Result<Vec<Document>, Vec<Fault>> {
    let found = each(files, |file| {
        let text = text(file)?;
        let read = || -> Trees {
            let inner: Result<Vec<_>, _> = tree::documents(text)?.iter().map(within).collect();
            Ok(inner?.concat())
        };
        read().map_err(|of| {
            let place = format!("{}, line {}, column {}", file.name, of.line, of.column);
            fault(&place, "the text", &format!("is no YAML that can be read: {}", of.why), "it as YAML or JSON")
        })
    })?;
    let of_file =
        |(file, trees): (Rc<str>, Vec<Rc<tree::Node>>)| trees.into_iter().map(move |tree| (Rc::clone(&file), tree));
    Ok(found.into_iter().flat_map(of_file).collect())
}

/// Refuses files of which none has one of these keys: they are of something else.
fn has_any(trees: &[Document], keys: &[&str], program: &str) -> Result<(), Vec<Fault>> {
    if trees.iter().any(|(_, tree)| keys.iter().any(|key| tree.get(key).is_some())) {
        return Ok(());
    }
    let location = trees.first().map_or(program, |(file, _)| file);
    let why = format!("is not one of {program}: it has no {}", keys[0]);
    Err(vec![fault(location, "the file", &why, "--from with the program that it is of, or another file")])
}

/// The text of a file.
fn text(file: &File) -> Result<&str, Fault> {
    let Content::Bytes(bytes) = &file.content else {
        return Err(fault(&file.name, "the file", "is a database", "--from kuma, or a file of text"));
    };
    std::str::from_utf8(bytes).map_err(|error| {
        let line = 1 + bytes[..error.valid_up_to()].iter().filter(|byte| **byte == b'\n').count();
        fault(&format!("{}, line {line}", file.name), "the text", "is not UTF-8", "it again as UTF-8")
    })
}

fn fault(location: &str, what: &str, why: &str, remedy: &str) -> Fault {
    Fault { location: location.into(), what: what.into(), why: why.into(), remedy: remedy.into() }
}

/// What came out, with what the files held.
fn done(reading: reading::Reading<'_>, fields: usize) -> Import {
    let (mut entries, secrets) = (reading.report.entries, reading.secrets.to_set);
    entries.sort_by(|a, b| (&a.file, a.line, &a.path).cmp(&(&b.file, b.line, &b.path)));
    Import { rows: reading.rows, entries, channels: reading.channels, secrets, fields }
}
