//! Seeds that found something once, and what: they run each time.

/// The seed, and what it found.
pub(crate) const PINNED: &[(u64, &str)] = &[
    (22, "a store that confirmed each write late silenced alerts: no claim was ever fresh enough"),
    (48, "missed ticks are counted over a record that somebody else wrote"),
    (58, "the store was gone, and a crash came before it could be told that it is back"),
    (85, "somebody else only claimed, and outcomes were left out as if they had probed, for half of a recheck of 90 s"),
    (
        476,
        "the clock was set back, and an outcome was taken for older than our own probe in a record that another claimed",
    ),
];
