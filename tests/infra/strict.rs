//! An emulator of AWS that enforces IAM by resource, and hands out a role's credentials as EC2 does.
