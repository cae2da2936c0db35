//! Settings: file and environment, validated, every issue at once.
