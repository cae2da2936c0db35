//! End to end: the built binary, watched from outside.

#[path = "../support/mod.rs"]
mod support;

// What tests are made with.
mod alerts;
mod apis;
mod asking;
mod cloud;
mod cost_page;
mod daemon;
mod metadata;
mod stored;
mod systemd;

// What is promised.
mod alerts_drop;
mod alerts_retry;
mod bad_input;
mod bad_rows;
mod cadence;
mod channel_outage;
mod channels;
mod cli;
mod cli_alerts;
mod cli_apis;
mod cli_cost;
mod cli_demo;
mod cli_explain;
mod cli_import;
mod cli_import_from;
mod cli_incidents;
mod cli_maintenance;
mod cli_probe;
mod cli_status;
mod cli_status_heartbeat;
mod config_changes;
mod config_sources;
mod configs;
mod control;
mod crashes;
mod doctor;
mod doctor_aws;
mod doctor_aws_ways;
mod documentation;
mod email;
mod examples;
mod fault_channel;
mod fault_disk;
mod fault_start;
mod fault_target;
mod fleet;
mod guard;
mod heartbeat_out;
mod history;
mod instance_lock;
mod logs;
mod names;
mod once;
mod proxies;
mod records;
mod reloads;
mod schema;
mod secrets;
mod settings;
mod stalls;
mod stopping;
mod store_outage;
mod storm;
mod systemd_notify;
mod terminal;
mod up_and_down;
mod web;
mod writes;
