//! The port `Probe`: one exchange over awc, told truthfully.
