//! One field of an API or one key of the settings: all that is known of it, its parser included.
//!
//! There are two tables of them, `configs::fields` and `settings::keys`. Rows and settings are read by these tables,
//! suggestions for misspelt names come from them, and tests hold the reference page to them.

use std::fmt;
use std::ops::Deref;
use std::path::Path;

use api_health_core::Timestamp;
use serde_json::Value;

use super::schedules::ScheduleCache;
use super::secrets::{SecretSource, SystemSecrets};
use super::values::ValueFault;
use crate::probe::guard::Allowed;

/// What is known of a field, whatever type its value has.
#[derive(Clone, Copy, Debug)]
pub struct About {
    /// The name that is written; of a setting with its section before it.
    pub name: &'static str,
    pub kind: ValueKind,
    pub default: Unwritten,
    pub meaning: &'static str,
    /// A value as it is written in TOML.
    pub example: &'static str,
    /// Other names that people give it, for the suggestion alone.
    pub also: &'static [&'static str],
    /// The environment variable that wins over the settings file.
    pub env: Option<&'static str>,
}

/// What may be written, with its bounds. The words say what of them no number does.
#[derive(Clone, Copy, Debug)]
pub enum ValueKind {
    /// A whole number, both ends included.
    Number {
        unit: &'static str,
        least: u64,
        most: u64,
    },
    Flag,
    Choice(fn() -> Vec<&'static str>),
    /// The longest text, in characters, or in bytes if it is a secret.
    Text(usize, &'static str),
    TextOrNumber(usize, &'static str),
    TextOrTexts {
        most: usize,
        chars_max: usize,
        words: &'static str,
    },
    Texts {
        most: usize,
        chars_max: usize,
        words: &'static str,
    },
    /// A list of them, each from `least` to `greatest`; one alone may stand without the list.
    Numbers {
        unit: &'static str,
        most: usize,
        least: u64,
        greatest: u64,
        words: &'static str,
    },
    /// A table.
    TextsByName {
        most: usize,
        bytes_max: usize,
        words: &'static str,
    },
    /// The same with a list of texts for each name.
    ListsByName {
        most: usize,
        words: &'static str,
    },
}

/// What holds where nothing is written.
#[derive(Clone, Copy, Debug)]
pub enum Unwritten {
    /// As it would be written, texts without quotes.
    Value(&'static str),
    /// It depends on something else, or there is none.
    Words(&'static str),
}

impl About {
    /// What to write into it: `a whole number of seconds from 1 to 300, such as 10`.
    pub fn wanted(&self) -> String {
        let (kind, bounds, example) = (self.kind.name(), self.kind.bounds(), self.example);
        match self.kind {
            ValueKind::Number { unit, least, most } => {
                format!("a {kind} of {unit} from {least} to {most}, such as {example}")
            }
            ValueKind::Flag => kind.to_owned(),
            ValueKind::Texts { .. }
            | ValueKind::Numbers { .. }
            | ValueKind::TextsByName { .. }
            | ValueKind::ListsByName { .. } => {
                format!("a {kind}, such as {example} ({bounds})")
            }
            _ => format!("{kind}, such as {example} ({bounds})"),
        }
    }
}

impl ValueKind {
    /// As documentation and faults call it.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Number { .. } => "whole number",
            Self::Flag => "true or false",
            Self::Choice(_) | Self::Text(..) => "text",
            Self::TextOrNumber(..) => "text or whole number",
            Self::TextOrTexts { .. } => "text or list of texts",
            Self::Texts { .. } => "list of texts",
            Self::Numbers { .. } => "list of whole numbers",
            Self::TextsByName { .. } => "table of texts",
            Self::ListsByName { .. } => "table of lists of texts",
        }
    }

    /// The unit of a number; empty if it has none.
    pub const fn unit(self) -> &'static str {
        match self {
            Self::Number { unit, .. } | Self::Numbers { unit, .. } => unit,
            _ => "",
        }
    }

    /// What is accepted: `1 to 300`.
    pub fn bounds(self) -> String {
        match self {
            Self::Number { least, most, .. } => format!("{least} to {most}"),
            Self::Flag => String::new(),
            Self::Choice(words) => words().join(", "),
            Self::Text(_, words)
            | Self::TextOrNumber(_, words)
            | Self::TextOrTexts { words, .. }
            | Self::Texts { words, .. }
            | Self::Numbers { words, .. }
            | Self::TextsByName { words, .. }
            | Self::ListsByName { words, .. } => words.to_owned(),
        }
    }

    /// The longest text of it, in characters, or in bytes if it is a secret.
    pub const fn length_max(self) -> usize {
        match self {
            Self::Text(max, _)
            | Self::TextOrNumber(max, _)
            | Self::TextOrTexts { chars_max: max, .. }
            | Self::Texts { chars_max: max, .. }
            | Self::TextsByName { bytes_max: max, .. } => max,
            Self::Number { .. } | Self::Numbers { .. } | Self::ListsByName { .. } | Self::Flag | Self::Choice(_) => {
                usize::MAX
            }
        }
    }
}

impl fmt::Display for Unwritten {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let (Self::Value(text) | Self::Words(text)) = self;
        f.write_str(text)
    }
}

/// What parsing a value may need beside the value.
pub struct Context<'a> {
    /// What references are filled in from.
    pub secrets: &'a dyn SecretSource,
    pub schedules: &'a mut ScheduleCache,
    /// To refuse schedules that have no run in the future.
    pub now: Timestamp,
    /// Where a relative path begins.
    pub folder: &'a Path,
    /// Link-local networks that may be probed.
    pub allowed: &'a Allowed,
}

/// A value, or everything that is wrong with it.
pub type Parsed<T> = Result<T, Vec<ValueFault>>;

/// A field whose value is a `T`: one entry of a table.
pub struct Field<T: 'static> {
    pub(crate) about: About,
    parse: fn(&Value, &About, &mut Context<'_>) -> Parsed<T>,
    /// How a value in force is shown; what may be a secret is not.
    pub(crate) show: fn(&T) -> Value,
}

impl<T> Clone for Field<T> {
    fn clone(&self) -> Self {
        *self
    }
}

impl<T> Copy for Field<T> {}

impl<T> Deref for Field<T> {
    type Target = About;

    fn deref(&self) -> &About {
        &self.about
    }
}

impl<T> Field<T> {
    /// An entry without its words.
    pub const fn new(
        name: &'static str,
        kind: ValueKind,
        parse: fn(&Value, &About, &mut Context<'_>) -> Parsed<T>,
        show: fn(&T) -> Value,
    ) -> Self {
        let about =
            About { name, kind, default: Unwritten::Words("none"), meaning: "", example: "", also: &[], env: None };
        Self { about, parse, show }
    }

    /// What it means, and a value as it is written in TOML.
    pub const fn means(self, meaning: &'static str, example: &'static str) -> Self {
        Self { about: About { meaning, example, ..self.about }, ..self }
    }

    /// The value that holds where nothing is written.
    pub const fn default(self, value: &'static str) -> Self {
        Self { about: About { default: Unwritten::Value(value), ..self.about }, ..self }
    }

    /// In words what holds where nothing is written.
    pub const fn otherwise(self, words: &'static str) -> Self {
        Self { about: About { default: Unwritten::Words(words), ..self.about }, ..self }
    }

    pub const fn also(self, also: &'static [&'static str]) -> Self {
        Self { about: About { also, ..self.about }, ..self }
    }

    pub const fn env(self, name: &'static str) -> Self {
        Self { about: About { env: Some(name), ..self.about }, ..self }
    }

    /// The same kind of value, parsed in another way.
    pub const fn parsed_by(self, parse: fn(&Value, &About, &mut Context<'_>) -> Parsed<T>) -> Self {
        Self { parse, ..self }
    }

    /// With another way to show a value in force.
    pub const fn shown_by(self, show: fn(&T) -> Value) -> Self {
        Self { show, ..self }
    }

    /// The same field under another name.
    pub const fn named(self, name: &'static str) -> Self {
        Self { about: About { name, ..self.about }, ..self }
    }

    /// What `value` means.
    ///
    /// # Errors
    /// Everything that is wrong with it.
    pub fn parse(&self, value: &Value, context: &mut Context<'_>) -> Parsed<T> {
        (self.parse)(value, &self.about, context)
    }

    /// The value that holds where nothing is written; `None` if that depends on something else.
    pub fn built_in(&self) -> Option<T> {
        let Unwritten::Value(text) = self.about.default else { return None };
        let value = match self.about.kind {
            ValueKind::Number { .. } | ValueKind::Numbers { .. } | ValueKind::Flag => {
                serde_json::from_str(text).ok()?
            }
            _ => Value::from(text),
        };
        let schedules = &mut ScheduleCache::default();
        let (folder, allowed) = (Path::new(""), &Allowed::default());
        let context = &mut Context { secrets: &SystemSecrets, schedules, now: SOME_MOMENT, folder, allowed };
        self.parse(&value, context).ok()
    }
}

/// A cron expression has no year, so that it comes due after any moment if it does after this one: 2026-01-01.
pub const SOME_MOMENT: Timestamp = Timestamp::from_millis(1_767_225_600_000);

/// A table of fields: a constant for each, and a list of what is known of all, in the order in which they are written here.
macro_rules! table {
    ($list:ident $($name:ident: $type:ty = $field:expr;)*) => {
        $(pub const $name: $crate::configs::field::Field<$type> = $field;)*

        /// All of them, in the order in which documentation and exports list them.
        pub const $list: &[&$crate::configs::field::About] = &[$(&$name.about),*];
    };
}
pub(crate) use table;
