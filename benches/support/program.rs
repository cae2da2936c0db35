//! The built program over a file of rows, with its settings' defaults, as a process that is killed at the end.

use std::fs::File;
use std::path::Path;
use std::process::{Child, Command};

use super::watched;

/// A running one.
pub struct Program(Child);

impl Program {
    /// Starts it in `folder` over `n` APIs at the target. Its alerts go into the file `out` there, its log into `log`.
    pub fn start(folder: &Path, bases: &[String], n: usize, interval_seconds: u64) -> Self {
        let mut rows = String::new();
        for (index, base) in bases.iter().cycle().take(n).enumerate() {
            rows += &format!("[[api]]\napi_id = \"{}\"\nurl = \"{base}/{index}\"\n", watched::id(index));
            rows += &format!("interval_seconds = {interval_seconds}\n\n");
        }
        std::fs::write(folder.join("apis.toml"), rows).expect("the folder is ours");
        std::fs::write(folder.join("api-health.toml"), "[apis]\nfile = \"apis.toml\"\n").expect("the folder is ours");
        let file = |name| File::create(folder.join(name)).expect("the folder is ours");
        let program = Command::new(env!("CARGO_BIN_EXE_api-health"))
            .arg("run")
            .current_dir(folder)
            .stdout(file("out"))
            .stderr(file("log"))
            .spawn();
        Self(program.expect("the program was built"))
    }

    /// Its process id.
    pub fn pid(&self) -> String {
        self.0.id().to_string()
    }

    /// kill -9.
    pub fn kill(mut self) {
        self.0.kill().expect("it still runs");
        self.0.wait().expect("it still ran");
    }
}
