//! docs/operations.md and docs/cron.md: what they tell an operator to type is typed here, and what they say comes of it is
//! compared.
//!
//! Above each fenced block stands a comment that says what becomes of it ([`page::Block::marker`]):
//!
//! - `run: story, …`: on what the Terraform module makes of an emulator of AWS that enforces IAM, in the order of the page,
//!   each block with the credentials of the one that it names ([`people`]);
//! - `run: look`: on the same, in a shell of its own, as an operator;
//! - `run: sqlite`: beside an SQLite file; `run: systemd`: as root under a real systemd;
//! - `prints`: lines that the block before must print, in this order; `…` stands for anything;
//! - `mail`: a subject that the topic must have been given;
//! - `tfvars`: variables that the Terraform module takes;
//! - `crontab`: its job is run with its environment and nothing else;
//! - `not run: REASON`.

mod commands;
mod cron;
mod logs;
mod page;
mod people;
mod shell;
mod sizing;
mod story;
mod systemd;
