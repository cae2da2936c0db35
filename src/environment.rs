//! The environment of this process, read in one place. A variable that is set and is not UTF-8 never counts as not set: before
//! anything is done, [`faults`] names each one that this program or the AWS SDK would read.

use std::ffi::{OsStr, OsString};
use std::os::unix::ffi::OsStrExt;

use api_health_core::ConfigFault;

use crate::probe::trust;
use crate::settings::{keys, proxy};

/// What is read beside the variables of the settings and those of AWS.
const OTHERS: [&str; 12] = [
    "STATE_DIRECTORY",
    "RUNTIME_DIRECTORY",
    "CREDENTIALS_DIRECTORY",
    "XDG_RUNTIME_DIR",
    "XDG_STATE_HOME",
    "HOME",
    "WATCHDOG_USEC",
    "WATCHDOG_PID",
    "VISUAL",
    "EDITOR",
    "LOCALDOMAIN",
    "RES_OPTIONS",
];

/// How the names begin of those that the AWS SDK reads.
const OF_AWS: &str = "AWS_";

/// A variable as text, if it is set: one of those that [`faults`] looks at, which has told by then of what is no text.
pub fn get(name: &str) -> Option<String> {
    std::env::var(name).ok()
}

/// The same of a variable that says no more than how something looks: bytes that are not UTF-8 are no fault there.
pub fn look(name: &str) -> Option<String> {
    std::env::var_os(name).map(|value| value.to_string_lossy().into_owned())
}

/// A variable that a `${env:NAME}` names.
///
/// # Errors
/// Says in plain words why it cannot be filled in.
pub fn referred(name: &str) -> Result<String, String> {
    std::env::var(name).map_err(|_| why_missing(name))
}

/// Why a variable has no text, as the rest of a sentence about it.
pub fn why_missing(name: &str) -> String {
    match std::env::var_os(name) {
        Some(_) => "is not UTF-8 in the environment of api-health".into(),
        None => "is not set in the environment of api-health".into(),
    }
}

/// A fault for each variable that is read and is not UTF-8. Its value is not shown: it may be a secret.
pub fn faults() -> Vec<ConfigFault> {
    faults_of(std::env::vars_os())
}

fn faults_of(all: impl Iterator<Item = (OsString, OsString)>) -> Vec<ConfigFault> {
    let unread = all.filter(|(name, value)| is_read(name.as_bytes()) && value.to_str().is_none());
    let mut names: Vec<String> = unread.map(|(name, _)| name.to_string_lossy().into_owned()).collect();
    names.sort_unstable();
    let fault = |name: String| ConfigFault {
        location: format!("environment variable {name}"),
        what: "its value".into(),
        why: "is not UTF-8".into(),
        remedy: "it in UTF-8, or unset it".into(),
    };
    names.into_iter().map(fault).collect()
}

fn is_read(name: &[u8]) -> bool {
    let is = |other: &str| OsStr::from_bytes(name) == other;
    name.starts_with(OF_AWS.as_bytes())
        || OTHERS.into_iter().chain(trust::VARIABLES).chain(proxy::VARIABLES).any(is)
        || keys::KEYS.iter().filter_map(|key| key.env).any(is)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_variable_that_is_read_and_no_text_is_named_and_not_shown() {
        let latin = || OsString::from(OsStr::from_bytes(b"hunter2-caf\xe9"));
        let names = ["SNS_TOPIC_ARN", "AWS_PROFILE", "STATE_DIRECTORY", "APP_ENVIRONMENT", "SOMEBODY_ELSES"];
        let set = names.map(|name| (OsString::from(name), latin()));
        let well = (OsString::from("DDB_STATE_TABLE"), OsString::from("états"));
        let told = faults_of(set.into_iter().chain([well])).iter().map(ToString::to_string).collect::<Vec<_>>();
        let named = ["APP_ENVIRONMENT", "AWS_PROFILE", "SNS_TOPIC_ARN", "STATE_DIRECTORY"];
        let words =
            |name| format!("environment variable {name}: its value is not UTF-8; write it in UTF-8, or unset it");
        assert_eq!(told, named.map(words));
    }
}
