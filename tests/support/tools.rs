//! Where `tests/setup/install` put what the tests need.

use std::path::PathBuf;

/// The folder of installed tools: `target/test-tools`, or what `API_HEALTH_TEST_TOOLS` names.
pub fn folder() -> PathBuf {
    std::env::var_os("API_HEALTH_TEST_TOOLS")
        .map_or_else(|| PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("target/test-tools"), PathBuf::from)
}

/// A tool in that folder; tells what to run if it is not there.
pub fn path(relative: &str) -> PathBuf {
    let path = folder().join(relative);
    assert!(path.exists(), "{} is not there: run ./test, or tests/setup/install, once", path.display());
    path
}

/// A port of loopback that nothing listened on a moment ago.
pub fn free_port() -> u16 {
    super::ports::free()
}
