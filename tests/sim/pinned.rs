//! Seeds that found something once, and what: they run each time.

/// The seed, and what it found.
pub(crate) const PINNED: &[(u64, &str)] = &[];
