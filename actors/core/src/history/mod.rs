//! What is kept of the past for people: latencies and times by the hour, months for ever, and incidents that are over.
//!
//! Nothing is decided by it, so all of it but incidents may be lost. It is kept as items of few bytes, each in a [`Slot`] of a
//! [`Series`], so that a store has nothing to know about what is in them.

pub mod calendar;
pub mod item;

pub use calendar::{UtcDay, UtcMonth};
pub use item::{HistoryItem, Series, Slot};
