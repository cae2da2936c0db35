//! What a machine cannot do is not tested on it, and that is said where it is seen.

use std::io::Write;

/// Set where everything that the machine has must be used: a tool that went missing is a failure there, not a skip.
const MUST_RUN: &str = "API_HEALTH_TESTS_MUST_RUN";

/// Why a test does not run.
#[derive(Clone, Debug)]
pub(crate) enum Because {
    /// The machine can never do it: another user, another system.
    Impossible(String),
    /// It would run if this were installed.
    Missing(String),
}

/// Says that `test` does not run, and why. What could be installed is a failure where everything must run.
pub(crate) fn skip(test: &str, because: &Because) {
    let why = match because {
        Because::Impossible(why) => why,
        Because::Missing(what) => {
            assert!(std::env::var_os(MUST_RUN).is_none(), "{test}: {what}, and {MUST_RUN} is set");
            what
        }
    };
    // Not eprintln!, which a test harness keeps to itself when the test passes.
    let _ = writeln!(std::io::stderr(), "skipped: {test}: {why}");
}

/// Whether this process is root.
pub(crate) fn is_root() -> bool {
    rustix::process::geteuid().is_root()
}
