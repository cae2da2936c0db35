//! Arguments, telemetry, command, exit code.

fn main() {}
