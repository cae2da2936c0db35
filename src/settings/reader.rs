//! One look-up for every key: the environment, then the file, then the default; and a note of where it came from.

use std::fmt;
use std::path::PathBuf;

use api_health_core::ConfigIssue;
use serde_json::Value;

use super::keys::Key;
use super::raw::RawFile;
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
    pub key: &'static str,
    /// Its value, masked if it is a secret; null if there is none.
    pub value: Value,
    /// Where it came from.
    pub origin: Origin,
}

/// Reads keys and gathers what is wrong with them.
pub(super) struct SettingsReader<'a> {
    /// Whether this build can speak to AWS.
    pub(super) has_aws: bool,
    pub(super) file: RawFile,
    pub(super) env: &'a dyn Fn(&str) -> Option<String>,
    pub(super) issues: Vec<ConfigIssue>,
    pub(super) effective: Vec<Effective>,
}

impl SettingsReader<'_> {
    /// An environment variable that is set and not empty: an empty one in a unit file means unset.
    pub(super) fn env(&self, name: &str) -> Option<String> {
        (self.env)(name).filter(|value| !value.trim().is_empty())
    }

    /// What was written for `key`, and where.
    pub(super) fn written(&self, key: &Key) -> Option<(Value, Origin)> {
        if let Some((name, value)) = key.env.and_then(|name| Some((name, self.env(name)?))) {
            return Some((Value::String(value), Origin::Env(name)));
        }
        let (value, line) = self.file.values.get(key.name())?;
        Some((value.clone(), Origin::File(self.file.path.clone(), *line)))
    }

    /// What was written for `key`, read by `read`; a fault is noted with its place.
    pub(super) fn read<T>(
        &mut self,
        key: &Key,
        read: impl FnOnce(&Value) -> Result<T, ValueFault>,
    ) -> Option<(T, Origin)> {
        let (value, origin) = self.written(key)?;
        match read(&value) {
            Ok(read) => Some((read, origin)),
            Err(fault) => {
                self.fault(key.name(), &origin, fault);
                None
            }
        }
    }

    /// The value in force: what was written, or `default`. It is noted for `settings show` as `shown` makes it.
    pub(super) fn value<T>(
        &mut self,
        key: &Key,
        default: T,
        read: impl FnOnce(&Value) -> Result<T, ValueFault>,
        shown: impl FnOnce(&T) -> Value,
    ) -> T {
        let (value, origin) = self.read(key, read).unwrap_or((default, Origin::Default));
        let shown = shown(&value);
        self.note(key, shown, origin);
        value
    }

    /// Notes a value in force.
    pub(super) fn note(&mut self, key: &Key, value: Value, origin: Origin) {
        self.effective.push(Effective { key: key.name(), value, origin });
    }

    /// Notes a fault of what stands at `origin`.
    pub(super) fn fault(&mut self, name: &str, origin: &Origin, fault: ValueFault) {
        let location = match origin {
            Origin::Default => "settings".to_owned(),
            other => other.to_string(),
        };
        self.issues.push(fault.at(format!("{location}: {name}")));
    }
}
