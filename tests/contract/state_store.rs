//! The promises of a state_store, kept by every adapter.
