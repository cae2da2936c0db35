//! Arguments, settings, telemetry, command, exit code.

use std::process::ExitCode;

fn main() -> ExitCode {
    api_health::memory::limit_arenas();
    api_health::cli::main().into()
}
