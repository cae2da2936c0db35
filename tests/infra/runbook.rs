//! docs/operations.md and docs/cron.md: what they tell an operator to type is typed here, and what they say comes of it is
//! compared.
//!
//! Above each fenced block stands a comment that says what becomes of it ([`page::Block::marker`]):
//!
//! - `run: story`, `run: look`: against an emulator of AWS, in the order of the page, in one shell;
//! - `run: sqlite`: beside an SQLite file; `run: systemd`: as root under a real systemd;
//! - `prints`: lines that the block before must print, in this order; `…` stands for anything;
//! - `mail`: a subject that the topic must have been given;
//! - `crontab`: its job is run with its environment and nothing else;
//! - `not run: REASON`.

mod commands;
mod cron;
mod logs;
mod page;
mod shell;
mod story;
mod systemd;
