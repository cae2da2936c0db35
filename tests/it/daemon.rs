//! The built binary in a folder of its own: started, watched, signalled, killed, and read after its death.

use std::collections::BTreeMap;
use std::ffi::OsStr;
use std::io::{Read, Write};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};

use rusqlite::{Connection, OpenFlags};
use rustix::process::{Pid, Signal, kill_process};
use serde_json::Value;

/// The longest wait for anything that should happen within a few seconds: the machine may be busy.
pub(crate) const SOON: Duration = Duration::from_secs(60);

/// The built binary.
const PROGRAM: &str = env!("CARGO_BIN_EXE_api-health");

/// How often a condition is looked at.
const LOOK_EVERY: Duration = Duration::from_millis(25);

/// Waits until `look` gives something; tells `what` it waited for if that takes longer than `within`.
#[allow(clippy::disallowed_methods, reason = "a test waits for a real process")]
pub(crate) fn wait_for<T>(what: &str, within: Duration, mut look: impl FnMut() -> Option<T>) -> T {
    let deadline = Instant::now() + within;
    loop {
        if let Some(found) = look() {
            return found;
        }
        assert!(Instant::now() < deadline, "not within {} s: {what}", within.as_secs());
        std::thread::sleep(LOOK_EVERY);
    }
}

/// Lets time pass while nothing is supposed to happen.
#[allow(clippy::disallowed_methods, reason = "the absence of something has no condition to wait for")]
pub(crate) fn let_pass(span: Duration) {
    std::thread::sleep(span);
}

/// What a process finds: a folder with settings, configs and the SQLite file, and an environment.
pub(crate) struct Home {
    folder: tempfile::TempDir,
    environment: BTreeMap<String, String>,
}

impl Home {
    /// An empty folder, and an environment with nothing of this process's own but the path to programs.
    pub(crate) fn empty() -> Self {
        let folder = tempfile::tempdir().unwrap();
        let mut home = Self { folder, environment: BTreeMap::new() };
        home.env("PATH", std::env::var("PATH").unwrap_or_default());
        home.env("HOME", home.path().display().to_string());
        home
    }

    /// A folder with an `api-health.toml` and an `apis.toml` that it names: `settings` goes below `[apis]`.
    pub(crate) fn new(settings: &str, apis: &str) -> Self {
        let home = Self::empty();
        home.write("api-health.toml", &format!("[apis]\nfile = \"apis.toml\"\n{settings}"));
        home.write("apis.toml", apis);
        home
    }

    pub(crate) fn path(&self) -> &Path {
        self.folder.path()
    }

    /// Sets a variable of the environment of what is started from now on.
    pub(crate) fn env(&mut self, name: &str, value: impl Into<String>) -> &mut Self {
        self.environment.insert(name.into(), value.into());
        self
    }

    /// Writes a file beside the one of that name, and puts it in its place at once, as careful editors do.
    pub(crate) fn write(&self, name: &str, text: &str) {
        let beside = self.path().join(format!("{name}.new"));
        std::fs::File::create(&beside).unwrap().write_all(text.as_bytes()).unwrap();
        std::fs::rename(beside, self.path().join(name)).unwrap();
    }

    /// Where the SQLite file is, unless the settings say otherwise.
    pub(crate) fn database(&self) -> PathBuf {
        self.path().join("api-health.db")
    }

    /// A connection to the SQLite file that reads.
    pub(crate) fn open_database(&self) -> rusqlite::Result<Connection> {
        open(&self.database())
    }

    /// Every stored record by API; none while there is no file yet.
    pub(crate) fn states(&self) -> BTreeMap<String, Value> {
        states_in(&self.database())
    }

    /// Waits until the record of an API says what `is` asks for.
    pub(crate) fn wait_for_state(&self, api_id: &str, what: &str, is: impl Fn(&Value) -> bool) -> Value {
        wait_for(&format!("{api_id}: {what}"), SOON, || self.states().remove(api_id).filter(&is))
    }

    /// Starts the program here.
    pub(crate) fn start(&self, arguments: &[&str]) -> Daemon {
        self.start_with(arguments, &[])
    }

    /// Starts the program here with these variables beside those of the home.
    pub(crate) fn start_with(&self, arguments: &[&str], environment: &[(&str, &str)]) -> Daemon {
        let mut command = Command::new(PROGRAM);
        command.args(arguments.iter().map(OsStr::new));
        self.spawn(command, environment)
    }

    /// `api-health run` by way of other programs, each of which becomes the next without a process of its own.
    pub(crate) fn run_through(&self, others: &[&str]) -> Daemon {
        let mut command = Command::new(others[0]);
        command.args(&others[1..]).args([PROGRAM, "run"]);
        self.spawn(command, &[])
    }

    fn spawn(&self, mut command: Command, environment: &[(&str, &str)]) -> Daemon {
        let mut process = command
            .current_dir(self.path())
            .env_clear()
            .env("API_HEALTH_LISTEN", "127.0.0.1:0") // many daemons run side by side
            .envs(&self.environment)
            .envs(environment.iter().copied())
            .stdin(Stdio::null())
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .spawn()
            .unwrap();
        let log = collect(process.stderr.take().unwrap());
        let output = collect(process.stdout.take().unwrap());
        Daemon { process, log, output, ended: false }
    }

    /// `api-health run`, which watches until it is told to stop.
    pub(crate) fn run(&self) -> Daemon {
        self.start(&["run"])
    }

    /// `api-health run --once`, to its end.
    pub(crate) fn once(&self, urls: &[&str]) -> Ended {
        let mut arguments = vec!["run", "--once"];
        arguments.extend(urls);
        self.start(&arguments).wait(Duration::from_secs(120))
    }
}

/// A connection to an SQLite file that waits for others.
fn open(path: &Path) -> rusqlite::Result<Connection> {
    let connection = Connection::open_with_flags(path, OpenFlags::SQLITE_OPEN_READ_WRITE)?;
    connection.busy_timeout(Duration::from_secs(5))?;
    Ok(connection)
}

/// Every record stored in an SQLite file by API; none while there is no file yet.
pub(crate) fn states_in(path: &Path) -> BTreeMap<String, Value> {
    let read = || -> rusqlite::Result<BTreeMap<String, Value>> {
        let connection = open(path)?;
        let mut statement = connection.prepare("SELECT api_id, record FROM api_health_states")?;
        let rows = statement.query_map([], |row| Ok((row.get(0)?, row.get::<_, String>(1)?)))?;
        rows.map(|row| row.map(|(id, text)| (id, serde_json::from_str(&text).unwrap()))).collect()
    };
    read().unwrap_or_default()
}

/// A process that runs. It is killed when this is dropped; a panic in its log fails the test.
pub(crate) struct Daemon {
    process: Child,
    log: Collected,
    output: Collected,
    ended: bool,
}

/// How a process ended.
#[derive(Debug)]
pub(crate) struct Ended {
    /// Its exit code; `None` if a signal killed it.
    pub(crate) code: Option<i32>,
    /// All of standard error.
    pub(crate) log: String,
    /// All of standard output.
    pub(crate) output: String,
}

impl Daemon {
    /// What it wrote to standard error up to now.
    pub(crate) fn log(&self) -> String {
        self.log.text()
    }

    /// The lines of the log that are JSON objects.
    pub(crate) fn lines(&self) -> Vec<Value> {
        json_lines(&self.log())
    }

    /// Its process id.
    pub(crate) fn id(&self) -> u32 {
        self.process.id()
    }

    /// Waits until the log has `text` in it.
    pub(crate) fn wait_for_log(&self, text: &str) {
        wait_for(&format!("{text:?} in the log"), SOON, || self.log().contains(text).then_some(()));
    }

    /// Its process id.
    pub(crate) fn pid(&self) -> u32 {
        self.process.id()
    }

    /// Sends it a signal.
    pub(crate) fn signal(&self, signal: Signal) {
        kill_process(Pid::from_child(&self.process), signal).unwrap();
    }

    /// kill -9, and waits until it is gone.
    pub(crate) fn kill(mut self) -> Ended {
        self.process.kill().unwrap();
        self.ending()
    }

    /// SIGTERM; waits for the end.
    pub(crate) fn stop(self) -> Ended {
        self.signal(Signal::TERM);
        self.wait(SOON)
    }

    /// Waits until it ends by itself.
    pub(crate) fn wait(mut self, within: Duration) -> Ended {
        wait_for("the end of the process", within, || self.process.try_wait().unwrap());
        self.ending()
    }

    fn ending(&mut self) -> Ended {
        let status = self.process.wait().unwrap();
        self.ended = true;
        Ended { code: status.code(), log: self.log.all(), output: self.output.all() }
    }
}

impl Ended {
    /// The lines of the log that are JSON objects.
    pub(crate) fn lines(&self) -> Vec<Value> {
        json_lines(&self.log)
    }
}

impl Drop for Daemon {
    fn drop(&mut self) {
        if !self.ended {
            let _ = self.process.kill();
            let _ = self.process.wait();
        }
        let log = self.log.text();
        if std::thread::panicking() {
            let from = log.char_indices().nth_back(6_000).map_or(0, |(at, _)| at);
            eprintln!("--- the end of the log ---\n{}\n--- standard output ---\n{}", &log[from..], self.output.text());
        } else {
            assert!(!log.contains("panic"), "a panic in the log: {log}");
        }
    }
}

fn json_lines(text: &str) -> Vec<Value> {
    text.lines().filter_map(|line| serde_json::from_str(line).ok()).collect()
}

/// What came out of a pipe.
struct Collected {
    bytes: Arc<Mutex<Vec<u8>>>,
    reader: Option<std::thread::JoinHandle<()>>,
}

fn collect(mut pipe: impl Read + Send + 'static) -> Collected {
    let bytes = Arc::new(Mutex::new(Vec::new()));
    let into = Arc::clone(&bytes);
    let reader = std::thread::spawn(move || {
        let mut buffer = [0; 8_192];
        while let Ok(count @ 1..) = pipe.read(&mut buffer) {
            into.lock().unwrap_or_else(PoisonError::into_inner).extend_from_slice(&buffer[..count]);
        }
    });
    Collected { bytes, reader: Some(reader) }
}

impl Collected {
    fn text(&self) -> String {
        String::from_utf8_lossy(&self.bytes.lock().unwrap_or_else(PoisonError::into_inner)).into_owned()
    }

    /// Everything, up to the end of the pipe.
    fn all(&mut self) -> String {
        if let Some(reader) = self.reader.take() {
            reader.join().unwrap();
        }
        self.text()
    }
}
