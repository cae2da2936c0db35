//! What a probe kept of an answer so that assertions can be judged: nothing of it where a row has none.

use std::fmt;

/// So much of a body is kept and judged, unpacked if it was packed. What one JSON document becomes in memory is a multiple of it.
pub const JUDGED_BYTES_MAX: usize = 1024 * 1024;

/// What assertions are judged by, beside the status and the time that the exchange took.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Content {
    pub body: Body,
    /// The headers that assertions name, as they name them; the values of one name joined by `, `. One that did not come is not there.
    pub headers: Vec<(String, String)>,
    /// The address of the last hop.
    pub url: String,
    /// `None` for plain HTTP.
    pub tls: Option<TlsVersion>,
}

/// The body of an answer.
#[derive(Clone, Default, PartialEq, Eq)]
pub enum Body {
    /// Nobody asked for it.
    #[default]
    Unread,
    /// All of it.
    Whole(Vec<u8>),
    /// Its first bytes: it was longer than is read.
    Cut(Vec<u8>),
    /// It was sent packed, and cannot be unpacked: why, to stand after "the body".
    Packed(String),
}

/// A body may hold anything, and is long: its length alone is shown.
impl fmt::Debug for Body {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Unread => f.write_str("Unread"),
            Self::Whole(bytes) => write!(f, "Whole({} bytes)", bytes.len()),
            Self::Cut(bytes) => write!(f, "Cut({} bytes)", bytes.len()),
            Self::Packed(why) => write!(f, "Packed({why:?})"),
        }
    }
}

/// The versions of TLS that a probe speaks, the oldest first.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum TlsVersion {
    V1_2,
    V1_3,
}

impl TlsVersion {
    /// Every version.
    pub const ALL: [Self; 2] = [Self::V1_2, Self::V1_3];

    /// As people write it.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::V1_2 => "1.2",
            Self::V1_3 => "1.3",
        }
    }
}
