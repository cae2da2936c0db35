//! `api-health.toml` as it was written: values by dotted key, with their lines; unknown keys are refused here.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use api_health_actors::ports::SourceError;
use api_health_core::ConfigFault;
use serde_json::Value;
use toml::Spanned;
use toml::de::{DeString, DeTable, DeValue};

use super::keys::KEYS;
use crate::configs::field::About;
use crate::configs::file::{of_another_kind, read_text, syntax_fault};
use crate::configs::nearest::nearest;
use crate::configs::toml_text::{self, Document, start, to_json};
use crate::configs::values::{ValueFault, bounded, quote, sort_of};

/// The most faults that are reported of one file; further ones are counted.
const FAULTS_MAX: usize = 50;

/// The one key that is a list of tables.
pub(super) const CHANNELS: &str = "notify.channel";
/// The most `[[notify.channel]]`. With the three that have sections of their own an alert is owed to 15 at most: with more, an
/// outbox of 50 might not find a pair to leave out.
pub(super) const CHANNELS_MAX: usize = 12;
/// The most keys of one of them.
const KEYS_OF_A_CHANNEL_MAX: usize = 40;

/// One `[[notify.channel]]` as it was written.
#[derive(Debug)]
pub(super) struct RawChannel {
    pub(super) line: usize,
    /// Values by key, with their lines.
    pub(super) values: BTreeMap<String, (Value, usize)>,
}

/// A settings file.
#[derive(Debug, Default)]
pub(super) struct RawFile {
    pub(super) path: PathBuf,
    /// Values by dotted key, with their lines.
    pub(super) values: BTreeMap<String, (Value, usize)>,
    /// The sections that are there, empty ones included, with their lines.
    pub(super) sections: BTreeMap<String, usize>,
    pub(super) channels: Vec<RawChannel>,
    /// What is wrong with its keys: those that are not known.
    pub(super) faults: Vec<ConfigFault>,
}

impl RawFile {
    /// Reads the file at `path`.
    ///
    /// # Errors
    /// A file that cannot be read, or what is not TOML.
    pub(super) fn read(path: &Path) -> Result<Self, Vec<ConfigFault>> {
        match read_text(path) {
            Ok(text) => Self::parse(path, &text),
            Err(SourceError::Misconfigured(fault)) => Err(vec![of_another_kind(fault, "your settings file")]),
            Err(SourceError::Unavailable(why)) => {
                let fault =
                    ValueFault::new("the file", format!("cannot be read now ({why})"), "another path, or try again");
                Err(vec![fault.at(path.display().to_string())])
            }
        }
    }

    /// Reads its text.
    ///
    /// # Errors
    /// What is not TOML.
    pub(super) fn parse(path: &Path, text: &str) -> Result<Self, Vec<ConfigFault>> {
        let name = path.display().to_string();
        let document = toml_text::parse(text)
            .map_err(|faults| faults.iter().map(|f| syntax_fault(&name, f, 0)).collect::<Vec<_>>())?;
        let mut reader = FileReader { name, document: &document, file: Self::default(), faults: Vec::new(), more: 0 };
        reader.table("", &document.table);
        reader.faults.sort_by_key(|(line, _)| *line);
        let mut faults: Vec<_> = reader.faults.into_iter().map(|(_, fault)| fault).collect();
        bounded(&mut faults, FAULTS_MAX, reader.more, "file", &reader.name);
        Ok(RawFile { path: path.to_owned(), faults, ..reader.file })
    }
}

struct FileReader<'a> {
    name: String,
    document: &'a Document<'a>,
    file: RawFile,
    /// Each with its line.
    faults: Vec<(usize, ConfigFault)>,
    /// Faults that are counted and not in `faults`.
    more: usize,
}

impl FileReader<'_> {
    fn table(&mut self, prefix: &str, table: &DeTable<'_>) {
        for (key, value) in table {
            let dotted = format!("{prefix}{}", key.get_ref());
            let line = self.document.lines.line(start(key));
            let is_section =
                KEYS.iter().any(|k| k.name.strip_prefix(&dotted).is_some_and(|rest| rest.starts_with('.')));
            match value.get_ref() {
                other if dotted == CHANNELS => self.channels(other, line),
                DeValue::Table(inner) if is_section => {
                    self.file.sections.insert(dotted.clone(), line);
                    self.table(&format!("{dotted}."), inner);
                }
                other if is_section => {
                    let what = sort_of(&to_json(other));
                    let remedy = format!("[{dotted}] on a line of its own, and its keys below");
                    self.push(line, &dotted, ValueFault::new(what, "is not a section", remedy));
                }
                other if KEYS.iter().any(|k| k.name == dotted) => {
                    self.file.values.insert(dotted, (to_json(other), line));
                }
                // A file may have a million keys; to look for what was meant by each would take minutes.
                _ if self.faults.len() >= FAULTS_MAX => self.more += 1,
                _ => self.push(line, "", unknown(prefix, key.get_ref())),
            }
        }
    }

    fn channels(&mut self, value: &DeValue<'_>, line: usize) {
        let DeValue::Array(list) = value else {
            let remedy = "[[notify.channel]], with two brackets, before the keys of each channel";
            return self.push(
                line,
                CHANNELS,
                ValueFault::new(sort_of(&to_json(value)), "is not a list of tables", remedy),
            );
        };
        if list.len() > CHANNELS_MAX {
            let fault =
                ValueFault::new(format!("{} channels", list.len()), format!("are more than {CHANNELS_MAX}"), "fewer");
            return self.push(line, CHANNELS, fault);
        }
        for item in list.iter() {
            let line = self.document.lines.line(start(item));
            let DeValue::Table(table) = item.get_ref() else {
                let what = sort_of(&to_json(item.get_ref()));
                self.push(
                    line,
                    CHANNELS,
                    ValueFault::new(what, "is not a table", "[[notify.channel]] before its keys"),
                );
                continue;
            };
            if table.len() > KEYS_OF_A_CHANNEL_MAX {
                let what = format!("{} keys", table.len());
                self.push(line, CHANNELS, ValueFault::new(what, "are more than any kind of channel has", "fewer"));
                continue;
            }
            let value = |(key, value): (&Spanned<DeString<'_>>, &Spanned<DeValue<'_>>)| {
                let line = self.document.lines.line(start(key));
                (ToString::to_string(key.get_ref()), (to_json(value.get_ref()), line))
            };
            let values = table.iter().map(value).collect();
            self.file.channels.push(RawChannel { line, values });
        }
    }

    fn push(&mut self, line: usize, key: &str, fault: ValueFault) {
        let separator = if key.is_empty() { "" } else { ": " };
        let location = format!("{}, line {line}{separator}{key}", self.name);
        self.faults.push((line, fault.at(location)));
    }
}

/// A key that is none: the nearest of its own section, else the same name in another section.
fn unknown(prefix: &str, key: &str) -> ValueFault {
    let of_section = |k: &&'static About| {
        let rest = k.name.strip_prefix(prefix)?;
        Some(rest.split_once('.').map_or((rest, k.also), |(section, _)| (section, &[][..])))
    };
    let siblings: BTreeMap<&str, &[&str]> = KEYS.iter().filter_map(of_section).collect();
    let elsewhere = KEYS.iter().find_map(|k| k.name.rsplit_once('.').filter(|(_, last)| *last == key));
    let what = format!("the key {}", quote(&format!("{prefix}{key}")));
    if prefix.is_empty() && key == "api" {
        let remedy = "[[api]] tables into a file of their own, named by file below [apis]";
        return ValueFault::new(what, "is not known", remedy);
    }
    let nearest = nearest(key, siblings.iter().map(|(name, also)| (*name, *also)));
    ValueFault::unknown(what, nearest.map(|nearest| format!("{prefix}{nearest}")), || match elsewhere {
        Some((section, last)) => format!("{last} below [{section}]"),
        None => {
            let below =
                if prefix.is_empty() { String::new() } else { format!(" below [{}]", prefix.trim_end_matches('.')) };
            format!("one of {}{below}", siblings.into_keys().collect::<Vec<_>>().join(", "))
        }
    })
}
