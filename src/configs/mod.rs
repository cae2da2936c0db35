//! API configs: rows as people write them, and what they mean.

pub mod defaults;
pub mod raw;
