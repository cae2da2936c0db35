//! docs/operations.md: what it tells an operator to type is typed here.
