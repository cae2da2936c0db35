//! What came of a talk, sorted by who must act.

use api_health_actors::ports::NotifyError;
use api_health_core::{Failure, text};

use super::talk::{Fault, Step};
use crate::notify::posted::redact::Redactor;

/// The most characters that are told of why there was no answer.
const DETAIL_CHARS_MAX: usize = 200;

impl Step {
    /// What was asked, as it completes "refused" and "no answer to".
    const fn what(self) -> &'static str {
        match self {
            Self::Connection => "the connection",
            Self::Greeting => "our greeting",
            Self::Starttls => "STARTTLS",
            Self::Login => "the login",
            Self::Sender => "the sender",
            Self::Recipient => "the recipient",
            Self::Text => "the mail",
        }
    }
}

/// The error to tell of `fault`. What the server said is told with its first words, less what is `hidden`.
pub(super) fn error(fault: Fault, server: &str, hidden: &Redactor) -> NotifyError {
    let retryable =
        |why: &str| NotifyError::Retryable { reason: format!("the mail server at {server}: {why}"), after: None };
    let permanent = |why: &str, remedy: &str| NotifyError::Permanent {
        reason: format!("the mail server at {server}: {why}"),
        remedy: remedy.into(),
    };
    match fault {
        Fault::Failure(failure) => {
            // A certificate may say a lot, and this goes into the log and into the record.
            let words = text::line(&failure.to_string(), DETAIL_CHARS_MAX);
            match failure {
                Failure::AddressRefused { .. } => permanent(&words, "set url to an address that is not link-local"),
                Failure::Certificate(_) => permanent(
                    &words,
                    "renew or replace that server's certificate, trust its issuer on this machine, or set url to the name that it is for",
                ),
                _ => retryable(&words),
            }
        }
        Fault::NoTls => permanent(
            "it offers no STARTTLS",
            "set url to smtps:// if it has that, or tls = \"none\" if mails may go to it in the clear",
        ),
        Fault::NoLogin => permanent(
            "it offers no login by PLAIN or LOGIN",
            "take user and password out, or set url to the port for submission",
        ),
        Fault::Silent(step) => retryable(&format!("no answer to {} in time", step.what())),
        Fault::Broken(step) => {
            let may_be_there = if step == Step::Text { ", which may have been taken" } else { "" };
            retryable(&format!(
                "it closed the connection, or answered what is no SMTP, at {}{may_be_there}",
                step.what()
            ))
        }
        Fault::Refused { step, code, words } => {
            let words = hidden.first_words(words.as_bytes());
            let colon = if words.is_empty() { "" } else { ": " };
            let why = format!("it refused {} with {code}{colon}{words}", step.what());
            if code < 500 { retryable(&why) } else { permanent(&why, remedy(step, code)) }
        }
    }
}

const fn remedy(step: Step, code: u16) -> &'static str {
    match (step, code) {
        (Step::Login, _) => "check user and password",
        (_, 530 | 535 | 538) => "set user and password, which it wants",
        (Step::Connection | Step::Greeting | Step::Starttls, _) => {
            "check url, and whether that server takes mails from this machine"
        }
        (Step::Sender, _) => "check from, and whether this user may send by that name",
        (Step::Recipient, _) => "check to: nobody gets mails there, or not by this server",
        (Step::Text, _) => "look into that server's log for why it refuses",
    }
}
