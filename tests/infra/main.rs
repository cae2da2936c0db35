//! What a deployment is made of, on real parts: Terraform, IAM, packages, and a real systemd.

#[path = "../support/mod.rs"]
mod support;

// What tests are made with.
mod container;
mod skip;
mod strict;

// What is promised.
mod guard;
mod iam;
mod packages;
mod runbook;
mod terraform;
mod unit;
