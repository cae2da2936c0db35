//! API configs: rows as people write them, and what they mean.

pub mod defaults;
pub mod fields;
pub mod headers;
pub mod raw;
pub mod schedules;
pub mod secrets;
pub mod timing;
pub mod url;
pub mod validate;
pub mod values;
