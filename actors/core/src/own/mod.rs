//! Who owns what.
pub mod shards;
