//! A fault in a config or a setting, in terms of the person who wrote it.

use std::fmt;

/// One fault in a config row or a setting. All faults of an input are reported together.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ConfigFault {
    /// Where it stands, as the person would look for it: `apis.toml, line 12, api "shop": timeout_seconds`.
    pub location: String,
    /// What was found there: `"soon"`.
    pub what: String,
    /// What is wrong with it: `is not a whole number of seconds`.
    pub why: String,
    /// What to write instead: `a whole number from 1 to 300, such as 10`.
    pub remedy: String,
}

/// `where: what why; write instead`.
impl fmt::Display for ConfigFault {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}: {} {}; write {}", self.location, self.what, self.why, self.remedy)
    }
}
