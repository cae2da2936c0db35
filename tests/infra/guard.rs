//! Under the real unit no probe reaches the metadata service, and the daemon's own credentials work.
