//! The status of an API.

/// The confirmed status: outcomes that contradict it change it only when enough of them come in a row.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
pub enum Status {
    /// There is no outcome yet, or the API is no longer watched.
    #[default]
    Unknown,
    /// It answers as expected.
    Up,
    /// It does not.
    Down,
}

impl Status {
    /// The word for it in tables, JSON and the stored record.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Unknown => "unknown",
            Self::Up => "up",
            Self::Down => "down",
        }
    }

    /// Reads [`Self::as_str`].
    pub fn parse(text: &str) -> Option<Self> {
        [Self::Unknown, Self::Up, Self::Down].into_iter().find(|status| status.as_str() == text)
    }
}
