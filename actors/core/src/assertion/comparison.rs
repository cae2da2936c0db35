//! How two values are compared: `<`, `<=`, `=`, `!=`, `>=`, `>`.

use std::cmp::Ordering;

/// A comparison with what was written.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Comparison {
    Less,
    LessOrEqual,
    Equal,
    NotEqual,
    GreaterOrEqual,
    Greater,
}

impl Comparison {
    /// Each sign of it. Those of other languages are taken as well.
    const SIGNS: [(&str, Self); 10] = [
        ("<", Self::Less),
        ("<=", Self::LessOrEqual),
        ("≤", Self::LessOrEqual),
        ("=", Self::Equal),
        ("==", Self::Equal),
        ("!=", Self::NotEqual),
        ("≠", Self::NotEqual),
        (">=", Self::GreaterOrEqual),
        ("≥", Self::GreaterOrEqual),
        (">", Self::Greater),
    ];

    /// Reads a sign.
    pub(super) fn parse(sign: &str) -> Option<Self> {
        Self::SIGNS.iter().find(|(written, _)| *written == sign).map(|(_, comparison)| *comparison)
    }

    /// Whether it holds of two values in this order.
    pub(super) fn holds(self, order: Ordering) -> bool {
        match self {
            Self::Less => order.is_lt(),
            Self::LessOrEqual => order.is_le(),
            Self::Equal => order.is_eq(),
            Self::NotEqual => order.is_ne(),
            Self::GreaterOrEqual => order.is_ge(),
            Self::Greater => order.is_gt(),
        }
    }
}
