//! Reads the files of other monitors as rows of api-health.
