//! The port `Notifier`: SNS, terminal, and all that is posted to: webhooks, chats, services.
//!
//! [`message`] and [`digest`] make the words, pure and bounded; the others carry them. What each channel receives is described for
//! readers of alerts in `docs/alerts.md`. What every one of them promises, as `tests/contract/notifier.rs` checks it:
//!
//! 1. `Ok` means that the channel has taken the alert over: SNS has answered with a message id, the receiver of a post
//!    as its kind says that it was taken, the terminal's output has been written and flushed. Until then the alert stays owed.
//! 2. Every repeat carries the same alert id, so that a receiver can drop it. At least once, never "at most".
//! 3. A call ends within the adapter's own stated timeout (`sns::DELIVER_TIMEOUT`, [`channel::ChannelSettings::timeout`],
//!    [`terminal::WRITE_TIMEOUT`]), whatever the other side does.
//! 4. No secret is in the text of an error. The path and query of a webhook's URL count as secret.
//!
//! Errors are sorted by who must act: where waiting may help it is `Retryable`, where a person must it is `Permanent`
//! and says what to do. Neither drops an alert.

pub mod channel;
pub mod digest;
pub mod email;
pub mod evidence;
pub(crate) mod format;
pub mod kinds;
pub mod message;
pub mod named;
pub mod posted;
mod reread;
#[cfg(feature = "aws")]
pub mod sns;
pub mod terminal;
