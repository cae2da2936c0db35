//! The confirmed status of an API: a word that everything else is said in.

/// The confirmed status of an API.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
pub enum Status {
    /// No outcome has settled it yet.
    #[default]
    Unknown,
    /// It answers as asked.
    Up,
    /// It does not.
    Down,
}

impl Status {
    /// The word for it in tables, machine forms and the stored record.
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
