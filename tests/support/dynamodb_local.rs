//! AWS's own DynamoDB Local, a second opinion beside moto, where Java is at hand and `tests/setup/install` fetched it.

use std::net::TcpStream;
use std::process::{Child, Command, Stdio};
use std::sync::OnceLock;
use std::time::{Duration, Instant};

use super::tools;

/// Ends the server with the test process: when that is gone, standard input ends.
const LAUNCHER: &str = r#"LD_LIBRARY_PATH="$1/DynamoDBLocal_lib" java -Xmx256m -jar "$1/DynamoDBLocal.jar" \
    -inMemory -port "$2" & server=$!; cat >/dev/null; kill "$server""#;

/// A running server.
pub struct DynamoDbLocal {
    /// Where: `http://127.0.0.1:…`.
    pub endpoint: String,
    _process: Child,
}

impl DynamoDbLocal {
    /// The one that all tests of this process share; `None`, and a word to standard error, where it is not installed.
    pub fn shared() -> Option<&'static Self> {
        static SHARED: OnceLock<Option<DynamoDbLocal>> = OnceLock::new();
        SHARED.get_or_init(Self::start).as_ref()
    }

    #[allow(clippy::disallowed_methods, reason = "a test waits for a real process")]
    fn start() -> Option<Self> {
        let folder = tools::folder().join("dynamodb-local");
        let java = Command::new("java").arg("-version").stderr(Stdio::null()).stdout(Stdio::null()).status();
        if !folder.join("DynamoDBLocal.jar").exists() || !java.is_ok_and(|status| status.success()) {
            eprintln!("skipped: DynamoDB Local or Java is not here; moto alone is asked");
            return None;
        }
        let port = tools::free_port();
        let process = Command::new("sh")
            .args(["-c", LAUNCHER, "sh"])
            .arg(&folder)
            .arg(port.to_string())
            .stdin(Stdio::piped())
            .stdout(Stdio::null())
            .stderr(Stdio::null())
            .spawn()
            .unwrap();
        let deadline = Instant::now() + Duration::from_secs(60);
        while TcpStream::connect(("127.0.0.1", port)).is_err() {
            assert!(Instant::now() < deadline, "DynamoDB Local did not start within 60 s");
            std::thread::sleep(Duration::from_millis(50));
        }
        Some(Self { endpoint: format!("http://127.0.0.1:{port}"), _process: process })
    }
}
