//! AWS's own DynamoDB Local, a second opinion beside moto, where Java is at hand and `tests/setup/install` fetched it.

use std::process::{Command, Stdio};
use std::sync::OnceLock;

use super::emulator::Emulator;
use super::tools;

/// Ends the server with the test process: when that is gone, standard input ends.
const LAUNCHER: &str = r#"LD_LIBRARY_PATH="$1/DynamoDBLocal_lib" java -Xmx256m -jar "$1/DynamoDBLocal.jar" \
    -inMemory -port "$2" & server=$!; cat >/dev/null; kill "$server""#;

/// The one that all tests of this process share; `None`, and a word to standard error, where it is not installed.
pub fn shared() -> Option<&'static Emulator> {
    static SHARED: OnceLock<Option<Emulator>> = OnceLock::new();
    SHARED.get_or_init(start).as_ref()
}

fn start() -> Option<Emulator> {
    let folder = tools::folder().join("dynamodb-local");
    let java = Command::new("java").arg("-version").stderr(Stdio::null()).stdout(Stdio::null()).status();
    if !folder.join("DynamoDBLocal.jar").exists() || !java.is_ok_and(|status| status.success()) {
        eprintln!("skipped: DynamoDB Local or Java is not here; moto alone is asked");
        return None;
    }
    Some(Emulator::start("DynamoDB Local", |port| {
        let mut command = Command::new("sh");
        command.args(["-c", LAUNCHER, "sh"]).arg(&folder).arg(port.to_string());
        command
    }))
}
