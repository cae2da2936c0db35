//! Exit codes, so that scripts can tell endings apart. Where one fits, it is that of BSD's `sysexits.h`.

use std::process::ExitCode;

/// How the program ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Exit {
    /// All is well.
    Ok,
    /// `probe`: the API failed. Other commands: what was asked for is not there.
    Fail,
    /// `probe`: nothing could be said of the API.
    CouldNotTell,
    /// The command line, the settings or a config are bad (`EX_USAGE`).
    BadConfiguration,
    /// Something outside is not available: the store, the settings file, AWS (`EX_UNAVAILABLE`).
    Unavailable,
    /// A fault of this program (`EX_SOFTWARE`).
    Internal,
    /// `run --once` was stopped by a signal, or alerts could not be delivered yet and stay owed; `apis import` was not
    /// agreed to, or left rows alone that somebody else changed meanwhile (`EX_TEMPFAIL`).
    Unfinished,
}

impl Exit {
    /// Every exit code with its meaning, as help and man page list them.
    pub const TABLE: [(Self, &'static str); 7] = [
        (Self::Ok, "all is well"),
        (Self::Fail, "probe: the API failed; other commands: it is not there"),
        (Self::CouldNotTell, "probe: nothing can be said of the API"),
        (Self::BadConfiguration, "the command line, the settings or a config are bad; every fault is named"),
        (Self::Unavailable, "the store, a file or AWS is not available; doctor: it found a fault"),
        (Self::Internal, "a fault of api-health itself"),
        (
            Self::Unfinished,
            "run --once: stopped by a signal, or alerts could not be delivered yet and stay owed; apis import: the \
             answer was no, or rows changed meanwhile",
        ),
    ];

    pub const fn code(self) -> u8 {
        match self {
            Self::Ok => 0,
            Self::Fail => 1,
            Self::CouldNotTell => 2,
            Self::BadConfiguration => 64,
            Self::Unavailable => 69,
            Self::Internal => 70,
            Self::Unfinished => 75,
        }
    }
}

impl From<Exit> for ExitCode {
    fn from(exit: Exit) -> Self {
        Self::from(exit.code())
    }
}
