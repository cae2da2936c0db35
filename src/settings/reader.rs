//! One look-up for every key: the environment, then the file, then the default; and a note of where it came from.

use std::borrow::Cow;
use std::fmt;
use std::path::PathBuf;

use api_health_core::ConfigFault;
use serde_json::Value;

use super::raw::RawFile;
use crate::configs::field::{About, Context, Field};
use crate::configs::values::ValueFault;

/// Where a value in force came from.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Origin {
    /// It was not written anywhere.
    Default,
    /// A line of the settings file.
    File(PathBuf, usize),
    /// An environment variable.
    Env(&'static str),
    /// The running daemon has it, with this process id.
    Daemon(u32),
}

impl fmt::Display for Origin {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Default => f.write_str("default"),
            Self::File(path, line) => write!(f, "{}, line {line}", path.display()),
            Self::Env(name) => write!(f, "environment variable {name}"),
            Self::Daemon(pid) => write!(f, "the running daemon (pid {pid})"),
        }
    }
}

/// One setting in force.
#[derive(Clone, Debug, PartialEq)]
pub struct Effective {
    /// The dotted key, or the environment variable that the AWS SDK reads.
    pub key: Cow<'static, str>,
    /// Its value, masked if it is a secret; null if there is none.
    pub value: Value,
    /// Where it came from.
    pub origin: Origin,
}

/// Reads keys and gathers what is wrong with them.
pub(super) struct SettingsReader<'a> {
    /// Whether this build can speak to AWS.
    pub(super) has_aws: bool,
    pub(super) file: &'a RawFile,
    pub(super) env: &'a dyn Fn(&str) -> Option<String>,
    pub(super) context: Context<'a>,
    pub(super) faults: Vec<ConfigFault>,
    pub(super) effective: Vec<Effective>,
}

impl SettingsReader<'_> {
    /// An environment variable that is set and not empty: an empty one in a unit file means unset.
    pub(super) fn env(&self, name: &str) -> Option<String> {
        (self.env)(name).filter(|value| !value.trim().is_empty())
    }

    /// What was written for `key`, and where.
    pub(super) fn written(&self, key: &About) -> Option<(Value, Origin)> {
        if let Some((name, value)) = key.env.and_then(|name| Some((name, self.env(name)?))) {
            return Some((Value::String(value), Origin::Env(name)));
        }
        let (value, line) = self.file.values.get(key.name)?;
        Some((value.clone(), Origin::File(self.file.path.clone(), *line)))
    }

    /// Where `key` was written.
    pub(super) fn origin(&self, key: &About) -> Origin {
        self.written(key).map_or(Origin::Default, |(_, origin)| origin)
    }

    /// What was written for `key`, parsed; faults are noted with their place.
    pub(super) fn read<T>(&mut self, key: &Field<T>) -> Option<(T, Origin)> {
        let (value, origin) = self.written(key)?;
        let parsed = key.parse(&value, &mut self.context);
        let note = |faults: Vec<ValueFault>| faults.into_iter().for_each(|fault| self.fault(key.name, &origin, fault));
        let value = parsed.map_err(note).ok()?;
        Some((value, origin))
    }

    /// The value in force: what was written, or the default of the table. Like those below, it is noted for `settings show`.
    pub(super) fn get<T: Default>(&mut self, key: &Field<T>) -> T {
        self.in_force(key, key.built_in().map(|value| (value, Origin::Default))).unwrap_or_default()
    }

    /// The same with another default.
    pub(super) fn get_or<T: Default>(&mut self, key: &Field<T>, default: T) -> T {
        self.in_force(key, Some((default, Origin::Default))).unwrap_or_default()
    }

    /// What was written, if anything was.
    pub(super) fn optional<T>(&mut self, key: &Field<T>) -> Option<T> {
        self.in_force(key, None)
    }

    /// What was written, or else `default`, which comes from somewhere.
    pub(super) fn in_force<T>(&mut self, key: &Field<T>, default: Option<(T, Origin)>) -> Option<T> {
        let (value, origin) = self.read(key).or(default).unzip();
        self.note(key, value.as_ref(), origin.unwrap_or(Origin::Default));
        value
    }

    /// Notes a value in force.
    pub(super) fn note<T>(&mut self, key: &Field<T>, value: Option<&T>, origin: Origin) {
        self.effective.push(Effective { key: key.name.into(), value: value.map_or(Value::Null, key.show), origin });
    }

    /// Notes a fault of what stands at `origin`.
    pub(super) fn fault(&mut self, name: &str, origin: &Origin, fault: ValueFault) {
        let location = match origin {
            Origin::Default => "settings".to_owned(),
            other => other.to_string(),
        };
        self.faults.push(fault.at(format!("{location}: {name}")));
    }
}
