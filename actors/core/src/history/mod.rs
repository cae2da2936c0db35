//! What is kept of the past for people: latencies and times by the hour, months for ever, and incidents that are over.
//!
//! Nothing is decided by it, so all of it but incidents may be lost. It is kept as items of few bytes, each in a [`HistorySlot`] of a
//! [`Series`], so that a store has nothing to know about what is in them.
//!
//! | file | answers |
//! |---|---|
//! | [`item`], [`calendar`] | what a store keeps, and which time it covers |
//! | [`latency`] | how long answers took, in few bytes |
//! | [`hour`], [`day`], [`month`] | what is in the items of days and of months |
//! | [`story`], [`note`] | what is in the item of an incident that is over, and what people wrote on one |
//! | [`uptime`] | how long it was up, of the time that counts |
//! | [`recorder`] | what is recorded of an API while it is watched |
//! | [`series`] | all of it read again, as the points of a chart |

mod bytes;
pub mod calendar;
pub mod day;
pub mod hour;
pub mod item;
pub mod latency;
pub mod month;
pub mod note;
pub mod recorder;
pub mod series;
pub mod story;
pub mod uptime;

pub use bytes::FormError;
pub use calendar::{UtcDay, UtcMonth};
pub use day::Day;
pub use item::{HistoryItem, HistorySlot, Series};
pub use month::Month;
pub use note::{Note, NoteKind};
pub use recorder::Recorder;
pub use series::Past;
pub use story::Story;
