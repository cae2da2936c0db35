//! The command line: arguments in, text and an exit code out.
//!
//! [`args`] is what a person may write. Each command has a file of its own. What goes to standard output is the answer;
//! logs and progress go to standard error.

pub mod args;
pub mod exit;
