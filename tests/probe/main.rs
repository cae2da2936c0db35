//! Probe truth: what the bytes on the wire mean, compared with what hyper says of the same bytes.
