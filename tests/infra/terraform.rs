//! The Terraform module: validated, tested with a mocked provider, and applied against an emulator.
