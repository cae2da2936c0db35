//! The promises of a config_source, kept by every adapter.
