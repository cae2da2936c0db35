//! Child processes: each measurement runs in a fresh copy of the bench's own binary, so that none warms up another.
//!
//! `bench __role NAME JOB` plays one role: JOB is JSON, and so is the last line of what it prints.

use std::io::{BufRead, BufReader, Write};
use std::process::{Child, ChildStdin, ChildStdout, Command, Stdio};
use std::time::Duration;

use rustix::time::{ClockId, clock_gettime};
use serde::Serialize;
use serde::de::DeserializeOwned;

/// The argument that makes the binary play a role.
pub const ROLE: &str = "__role";

/// A role's name, and what it does with its job.
pub type Role = (&'static str, fn(&str) -> String);

/// How a bench was asked to run.
#[derive(Clone, Copy, Debug)]
pub struct Form {
    /// Few repeats and small numbers, for CI: the work is proved, the figures are rough.
    pub short: bool,
}

/// Plays a role and ends the process, if one is asked for; else says how the bench is to run.
pub fn role_or_form(roles: &[Role]) -> Form {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    if let [role, name, job] = &arguments[..]
        && role == ROLE
    {
        let (_, play) = roles.iter().find(|(known, _)| known == name).expect("the bench asks for its own roles");
        println!("{}", play(job));
        // Threads of stores and arbiters may still run: nothing is left to do for them.
        std::process::exit(0);
    }
    Form { short: arguments.iter().any(|argument| argument == "--short") }
}

/// The number after `name` on the command line.
pub fn argument(name: &str) -> Option<u64> {
    let arguments: Vec<String> = std::env::args().collect();
    let at = arguments.iter().position(|argument| argument == name)?;
    let value = arguments.get(at + 1).and_then(|value| value.parse().ok());
    Some(value.unwrap_or_else(|| panic!("{name} needs a number after it")))
}

/// A job as it was written on the command line.
pub fn job<T: DeserializeOwned>(text: &str) -> T {
    serde_json::from_str(text).expect("the bench wrote this job itself")
}

/// What a role found out.
pub fn report<T: Serialize>(report: &T) -> String {
    serde_json::to_string(report).expect("figures can be written as JSON")
}

/// Has a fresh child process play a role to its end.
pub fn play<I: Serialize, O: DeserializeOwned>(role: &str, job: &I) -> O {
    let output = command(role, &report(job)).stderr(Stdio::inherit()).output().expect("the bench can start itself");
    assert!(output.status.success(), "role {role} failed: {}", output.status);
    let text = String::from_utf8(output.stdout).expect("JSON is UTF-8");
    let last = text.lines().last().unwrap_or_default();
    serde_json::from_str(last).unwrap_or_else(|error| panic!("role {role} said {last:?}: {error}"))
}

/// A child process that plays a role until it is dropped, and answers in lines of JSON.
pub struct Servant {
    process: Child,
    orders: ChildStdin,
    answers: BufReader<ChildStdout>,
}

impl Servant {
    pub fn start(role: &str, job: &str) -> Self {
        let mut process = command(role, job)
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .spawn()
            .expect("the bench can start itself");
        let orders = process.stdin.take().expect("it was asked for");
        let answers = BufReader::new(process.stdout.take().expect("it was asked for"));
        Self { process, orders, answers }
    }

    /// What it says next.
    pub fn says<T: DeserializeOwned>(&mut self) -> T {
        let mut line = String::new();
        self.answers.read_line(&mut line).expect("it is there");
        job(&line)
    }

    /// Gives it an order, and waits for the answer.
    pub fn ask<T: DeserializeOwned>(&mut self, order: &str) -> T {
        writeln!(self.orders, "{order}").expect("it is there");
        self.says()
    }
}

impl Drop for Servant {
    fn drop(&mut self) {
        let _ = self.process.kill();
        let _ = self.process.wait();
    }
}

/// The command that plays a role.
pub fn command(role: &str, job: &str) -> Command {
    let mut command = Command::new(std::env::current_exe().expect("Linux knows the path of a running program"));
    command.args([ROLE, role, job]);
    command
}

/// CPU time that this process has used, on all its threads, the kernel's share included.
pub fn cpu() -> Duration {
    since_zero(ClockId::ProcessCPUTime)
}

/// Nanoseconds on a clock that all processes of this machine share.
pub fn monotonic_ns() -> u64 {
    u64::try_from(since_zero(ClockId::Monotonic).as_nanos()).expect("a machine is not up for 500 years")
}

fn since_zero(clock: ClockId) -> Duration {
    Duration::try_from(clock_gettime(clock)).expect("these clocks never go below zero")
}

/// Memory of this process in bytes: `VmRSS` now, or `VmHWM` for the most that it ever was.
pub fn memory_bytes(field: &str) -> u64 {
    status("self", field) * 1_024 // it is told in KiB
}

/// What the kernel knows of a process.
#[derive(Clone, Copy, Debug)]
pub struct Resources {
    /// Resident memory.
    pub resident_bytes: u64,
    /// Open connections, files and pipes. Each runtime's own event descriptors (`anon_inode`) are left out: there are a
    /// few for each thread.
    pub descriptors: usize,
    /// Threads.
    pub threads: u64,
}

/// What the kernel knows of the process with this id, or of `self`.
pub fn resources(pid: &str) -> Resources {
    let descriptors = std::fs::read_dir(format!("/proc/{pid}/fd")).expect("the process runs, and is ours");
    // One that was closed since it was listed has no target any more.
    let targets = descriptors.flatten().filter_map(|descriptor| std::fs::read_link(descriptor.path()).ok());
    Resources {
        resident_bytes: status(pid, "VmRSS") * 1_024,
        descriptors: targets.filter(|target| !target.to_string_lossy().starts_with("anon_inode")).count(),
        threads: status(pid, "Threads"),
    }
}

fn status(pid: &str, field: &str) -> u64 {
    let status = std::fs::read_to_string(format!("/proc/{pid}/status")).expect("the benches run on Linux");
    let line = status.lines().find(|line| line.starts_with(field)).expect("Linux tells this of every process");
    line.split_whitespace().nth(1).and_then(|n| n.parse().ok()).expect("a number")
}

/// Each exchange under way is a descriptor, and the usual soft limit is 1,024.
pub fn raise_open_files_limit() {
    use rustix::process::{Resource, getrlimit, setrlimit};
    let mut limit = getrlimit(Resource::Nofile);
    limit.current = limit.maximum;
    setrlimit(Resource::Nofile, limit).expect("a limit may be raised up to its maximum");
}
