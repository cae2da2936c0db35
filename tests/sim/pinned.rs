//! Seeds that found something once, and what: they run each time.

/// Of worlds with one process: the seed, and what it found.
pub(crate) const ONE: &[(u64, &str)] = &[];

/// Of worlds with several workers.
pub(crate) const SEVERAL: &[(u64, &str)] = &[
    (2, "an answer from before a shard was lost was taken for one to what is known since, and the keeper hung"),
    (109, "a verdict of two minutes before, when nobody could write, ended the session of one that lived"),
    (230, "a shard that was granted anew was probed, and its outcomes counted for nothing"),
];
