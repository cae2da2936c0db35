//! A real systemd: PID 1 of its own namespaces, on a throw-away copy of this machine's root.
//!
//! Nothing of it is left anywhere, also when the test process is killed: container.sh says how. Only empty control groups
//! may stay behind then, and the next boot removes them.

use std::fs::File;
use std::io::{BufRead, BufReader, Write};
use std::os::fd::AsFd as _;
use std::path::{Path, PathBuf};
use std::process::{Child, ChildStdin, Command, Stdio};
use std::sync::atomic::{AtomicU32, Ordering};
use std::time::{Duration, Instant};

use rustix::thread::{LinkNameSpaceType, move_into_link_name_space};

use crate::skip::{self, Because};

/// The longest wait for anything that should happen within a few seconds: the machine may be busy.
pub(crate) const SOON: Duration = Duration::from_secs(60);

/// How often a condition is looked at.
const LOOK_EVERY: Duration = Duration::from_millis(25);

/// What begins the name of each control group that is made here.
const GROUP: &str = "api-health-test.";

/// Where control groups are: version 1's, version 2's beside it, or version 2's alone.
const HIERARCHIES: [&str; 3] = ["/sys/fs/cgroup/systemd", "/sys/fs/cgroup/unified", "/sys/fs/cgroup"];

/// What has to be installed, and the package of Debian that it is in.
const PROGRAMS: [(&str, &str); 5] = [
    ("systemd-nspawn", "systemd-container"),
    ("unshare", "util-linux"),
    ("nsenter", "util-linux"),
    // systemd-run asks by the bus of the container.
    ("dbus-daemon", "dbus"),
    // Gives the container's own network its addresses.
    ("ip", "iproute2"),
];

/// What a kernel, or the container that the tests run in, may refuse even root. It tries each by itself, in the way of
/// container.sh, and says which one fails.
const PROBE: &str = r#"
mount -t tmpfs tmpfs /mnt
mkdir /mnt/upper /mnt/work /mnt/root
mount -t overlay overlay -o lowerdir=/,upperdir=/mnt/upper,workdir=/mnt/work /mnt/root
for hierarchy in /sys/fs/cgroup/systemd /sys/fs/cgroup/unified /sys/fs/cgroup; do
    if [ -e "$hierarchy/cgroup.procs" ]; then
        mkdir "$hierarchy/$1"
        rmdir "$hierarchy/$1"
    fi
done
"#;

/// How a refusal of the kernel ends (`strerror` in English): EPERM, EACCES, EROFS, and ENODEV as `mount` says it.
const REFUSALS: [&str; 5] = [
    "Operation not permitted",
    "ermission denied",
    "Read-only file system",
    "read-only",
    "unknown filesystem type 'overlay'",
];

/// What it is connected to.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Network {
    /// What this process is: a server of the test on loopback can be reached.
    Shared,
    /// Nothing. These are its addresses on loopback beside 127.0.0.1 and ::1, as `169.254.169.254/32`.
    Own(&'static [&'static str]),
}

/// A running container. It ends when this is dropped, or with this process.
pub(crate) struct Container {
    launcher: Child,
    /// Open for as long as the container is to live.
    lifeline: Option<ChildStdin>,
    /// Its PID 1, as this process sees it.
    leader: u32,
    group: String,
    console: tempfile::NamedTempFile,
    shares_network: bool,
}

/// What came of a command in the container.
#[derive(Debug)]
pub(crate) struct Output {
    /// Its exit code; none if a signal ended it.
    pub(crate) code: Option<i32>,
    /// What it printed, without the last line end.
    pub(crate) stdout: String,
    /// And as its errors.
    pub(crate) stderr: String,
}

impl Container {
    /// Boots one; takes about a second.
    ///
    /// # Errors
    /// Why this machine cannot do that.
    pub(crate) fn boot(network: Network) -> Result<Self, Because> {
        if !cfg!(target_os = "linux") || !skip::is_root() {
            return Err(Because::Impossible("a container of systemd needs root on Linux".into()));
        }
        for (program, package) in PROGRAMS {
            if !is_installed(program) {
                return Err(Because::Missing(format!("{program} is not there; write: apt-get install {package}")));
            }
        }
        kernel_allows_containers()?;
        remove_groups_left_behind();
        Self::start(network, include_str!("container.sh"))
    }

    /// Whatever fails from here on is a fault, or something that is missing: what the kernel allows was tried.
    fn start(network: Network, script: &str) -> Result<Self, Because> {
        static COUNT: AtomicU32 = AtomicU32::new(0);
        let group = format!("{GROUP}{}.{}", std::process::id(), COUNT.fetch_add(1, Ordering::Relaxed));
        let console = tempfile::NamedTempFile::new().unwrap();
        let mut command = Command::new("unshare");
        command.args(["--mount", "--pid", "--fork", "--kill-child", "--mount-proc"]);
        let (word, addresses) = match network {
            Network::Shared => ("shared", &[][..]),
            Network::Own(addresses) => {
                command.arg("--net");
                ("own", addresses)
            }
        };
        command.args(["--", "sh", "-c", script, "container.sh", &group, word]);
        let mut launcher = command
            .args(addresses)
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .stderr(console.reopen().unwrap())
            .spawn()
            .map_err(|error| Because::Missing(format!("unshare: {error}")))?;
        let lifeline = launcher.stdin.take();
        // The rest of it is the console of PID 1.
        let mut started = BufReader::new(launcher.stdout.take().unwrap());
        let shares_network = matches!(network, Network::Shared);
        let mut container = Self { launcher, lifeline, leader: 0, group, console, shares_network };
        let mut line = String::new();
        if started.read_line(&mut line).is_err() || line != "started\n" {
            return Err(Because::Missing(format!("container.sh fails on this machine: {}", container.console())));
        }
        let mut to = container.console.reopen().unwrap();
        std::thread::spawn(move || std::io::copy(&mut started, &mut to));
        container.wait_until_booted()?;
        Ok(container)
    }

    /// PID 1 is a grandchild of the launcher, whose child is the script and whose grandchild systemd-nspawn.
    #[allow(clippy::disallowed_methods, reason = "a test waits for a real process")]
    fn wait_until_booted(&mut self) -> Result<(), Because> {
        let deadline = Instant::now() + SOON;
        loop {
            let script = children(self.launcher.id());
            let nspawn = script.iter().flat_map(|pid| children(*pid)).filter(|pid| program(*pid) == "systemd-nspawn");
            let leader = nspawn.flat_map(children).find(|pid| program(*pid) == "systemd");
            if let Some(leader) = leader {
                self.leader = leader;
                let state = self.run(&["systemctl", "is-system-running"]).stdout;
                if ["running", "degraded"].contains(&state.as_str()) {
                    return Ok(());
                }
            }
            // It ran on this machine's kind, or it is a fault: not to be passed over where everything must run.
            if Instant::now() > deadline || self.launcher.try_wait().unwrap().is_some() {
                return Err(Because::Missing(format!("systemd does not boot in a container: {}", self.console())));
            }
            std::thread::sleep(LOOK_EVERY);
        }
    }

    /// What PID 1 and systemd-nspawn printed, the end of it.
    fn console(&self) -> String {
        let text = std::fs::read(self.console.path()).unwrap_or_default();
        let text = String::from_utf8_lossy(&text[text.len().saturating_sub(2_000)..]).into_owned();
        text.trim().to_owned()
    }

    /// A command in the container, yet to be run.
    pub(crate) fn command(&self, words: &[&str]) -> Command {
        let mut command = Command::new("nsenter");
        let leader = self.leader.to_string();
        command.args(["--target", &leader, "--mount", "--uts", "--ipc", "--pid", "--cgroup"]);
        if !self.shares_network {
            command.arg("--net");
        }
        // Not the environment of the test, with its cargo and its credentials.
        command.arg("--wd=/").arg("--").args(words).env_clear().env("PATH", PATH).env("LANG", "C.UTF-8");
        command
    }

    /// Runs a command in the container, as root.
    pub(crate) fn run(&self, words: &[&str]) -> Output {
        let output = self.command(words).stdin(Stdio::null()).output().unwrap();
        Output::from(&output)
    }

    /// Runs a command that has to succeed; gives what it printed.
    #[track_caller]
    pub(crate) fn ok(&self, words: &[&str]) -> String {
        let output = self.run(words);
        assert_eq!(output.code, Some(0), "{words:?}: {output:?}");
        output.stdout
    }

    /// Runs a line of shell that has to succeed; gives what it printed.
    #[track_caller]
    pub(crate) fn sh(&self, line: &str) -> String {
        self.ok(&["sh", "-euc", line])
    }

    /// Copies a file of this machine to `to`, with an octal mode; folders are made.
    #[track_caller]
    pub(crate) fn copy_in(&self, from: impl AsRef<Path>, to: &str, mode: &str) {
        let from = from.as_ref();
        let file = File::open(from).unwrap_or_else(|error| panic!("{}: {error}", from.display()));
        let output = self.command(&install(mode, to)).stdin(file).output().unwrap();
        assert!(output.status.success(), "{to}: {:?}", Output::from(&output));
    }

    /// Writes a file, with an octal mode; folders are made.
    #[track_caller]
    pub(crate) fn write(&self, to: &str, text: &str, mode: &str) {
        let mut install = self.command(&install(mode, to)).stdin(Stdio::piped()).spawn().unwrap();
        install.stdin.take().unwrap().write_all(text.as_bytes()).unwrap();
        assert!(install.wait().unwrap().success(), "{to}");
    }

    /// Does something in the container's network: what is started or listens there belongs to it for good, while a connection
    /// is made where the thread is that makes it.
    pub(crate) fn in_network<T: Send>(&self, what: impl FnOnce() -> T + Send) -> T {
        let network = File::open(format!("/proc/{}/ns/net", self.leader)).unwrap();
        let enter_and_do = || {
            move_into_link_name_space(network.as_fd(), Some(LinkNameSpaceType::Network)).unwrap();
            what()
        };
        let done = std::thread::scope(|scope| scope.spawn(enter_and_do).join());
        done.unwrap_or_else(|panic| std::panic::resume_unwind(panic))
    }

    /// Waits until `look` gives something; tells `what` it waited for, and the end of the journal, if that takes longer
    /// than [`SOON`].
    #[track_caller]
    #[allow(clippy::disallowed_methods, reason = "a test waits for a real process")]
    pub(crate) fn wait_for<T>(&self, what: &str, mut look: impl FnMut() -> Option<T>) -> T {
        let deadline = Instant::now() + SOON;
        loop {
            if let Some(found) = look() {
                return found;
            }
            if Instant::now() > deadline {
                let journal = self.run(&["journalctl", "--no-pager", "--lines=60", "--output=short-monotonic"]).stdout;
                panic!("not within {} s: {what}; the journal:\n{journal}", SOON.as_secs());
            }
            std::thread::sleep(LOOK_EVERY);
        }
    }

    /// What systemd says of a unit under that name: `ActiveState`, `MainPID`, `StatusText`, …
    pub(crate) fn unit_property(&self, unit: &str, property: &str) -> String {
        self.ok(&["systemctl", "show", "--value", "--property", property, unit])
    }

    /// What a unit wrote, and what systemd said of it, a line for each message.
    pub(crate) fn journal(&self, unit: &str) -> String {
        self.run(&["journalctl", "--sync"]);
        self.run(&["journalctl", "--no-pager", "--output=cat", "--unit", unit]).stdout
    }
}

impl Drop for Container {
    fn drop(&mut self) {
        // The script ends with its standard input, and as process 1 it takes everything along.
        self.lifeline = None;
        let _ = self.launcher.wait();
        for hierarchy in HIERARCHIES {
            remove_group(&Path::new(hierarchy).join(&self.group));
        }
    }
}

impl Output {
    fn from(output: &std::process::Output) -> Self {
        let text = |bytes: &[u8]| String::from_utf8_lossy(bytes).trim_end().to_owned();
        Self { code: output.status.code(), stdout: text(&output.stdout), stderr: text(&output.stderr) }
    }
}

const PATH: &str = "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin";

/// The words that write standard input to a file. An old one is removed first, so that one that runs can be replaced.
fn install<'a>(mode: &'a str, to: &'a str) -> [&'a str; 6] {
    ["install", "-D", "--mode", mode, "/dev/stdin", to]
}

fn is_installed(program: &str) -> bool {
    let path = std::env::var_os("PATH").unwrap_or_default();
    std::env::split_paths(&path).chain(PATH.split(':').map(PathBuf::from)).any(|folder| folder.join(program).exists())
}

/// Whether root may make namespaces, mounts and control groups here.
fn kernel_allows_containers() -> Result<(), Because> {
    let namespaces =
        ["--mount", "--pid", "--net", "--cgroup", "--uts", "--ipc", "--fork", "--kill-child", "--mount-proc"];
    // Named as those that are removed when their process is gone.
    let group = format!("{GROUP}{}.probe.{:?}", std::process::id(), std::thread::current().id());
    let output = Command::new("unshare")
        .args(namespaces)
        .args(["--", "sh", "-euc", PROBE, "probe", &group])
        .stdin(Stdio::null())
        .env("LC_ALL", "C")
        .output()
        .map_err(|error| Because::Missing(format!("unshare: {error}")))?;
    if output.status.success() { Ok(()) } else { Err(why_not(&String::from_utf8_lossy(&output.stderr))) }
}

/// What a failure of the probe means: where the kernel refuses there is no container, and all else is a fault.
fn why_not(stderr: &str) -> Because {
    let stderr = stderr.trim();
    if stderr.lines().any(|line| REFUSALS.iter().any(|refusal| line.contains(refusal))) {
        return Because::Impossible(format!("the kernel refuses root what a container needs: {stderr}"));
    }
    Because::Missing(format!("it cannot be found out whether this machine can run containers: {stderr}"))
}

/// The processes that this one started.
fn children(pid: u32) -> Vec<u32> {
    let tasks = std::fs::read_dir(format!("/proc/{pid}/task")).into_iter().flatten().flatten();
    let lists = tasks.filter_map(|task| std::fs::read_to_string(task.path().join("children")).ok());
    lists.flat_map(|list| list.split_whitespace().filter_map(|pid| pid.parse().ok()).collect::<Vec<_>>()).collect()
}

fn program(pid: u32) -> String {
    std::fs::read_to_string(format!("/proc/{pid}/comm")).unwrap_or_default().trim_end().to_owned()
}

/// Removes a control group and those inside it, as far as no process is in them.
fn remove_group(group: &Path) {
    let inside = std::fs::read_dir(group).into_iter().flatten().flatten();
    inside.filter(|entry| entry.file_type().is_ok_and(|t| t.is_dir())).for_each(|entry| remove_group(&entry.path()));
    let _ = std::fs::remove_dir(group);
}

/// Those of test processes that were killed. Their names tell which process each belongs to.
fn remove_groups_left_behind() {
    for hierarchy in HIERARCHIES {
        for group in std::fs::read_dir(hierarchy).into_iter().flatten().flatten() {
            let name = group.file_name().to_string_lossy().into_owned();
            let owner = name.strip_prefix(GROUP).and_then(|rest| rest.split('.').next());
            if owner.is_some_and(|pid| !Path::new("/proc").join(pid).exists()) {
                remove_group(&group.path());
            }
        }
    }
}

#[test]
fn a_broken_script_is_a_fault_and_no_excuse() {
    let sound = match Container::boot(Network::Shared) {
        Ok(container) => container,
        Err(because) => return skip::skip("a_broken_script_is_a_fault_and_no_excuse", &because),
    };
    drop(sound);
    for broken in
        ["mount -t no-such-thing none /mnt", "exit 1", "if", "mount() { false; }; mount || exit; echo started"]
    {
        let because = Container::start(Network::Shared, broken).err().unwrap();
        assert!(matches!(because, Because::Missing(_)), "{broken}: {because:?}");
    }
}

#[test]
fn only_a_refusal_of_the_kernel_excuses_root() {
    for refused in [
        "unshare: unshare failed: Operation not permitted",
        "mount: /mnt: permission denied.",
        "mount: /mnt/root: unknown filesystem type 'overlay'.",
        "mkdir: cannot create directory '/sys/fs/cgroup/x': Read-only file system",
    ] {
        assert!(matches!(why_not(refused), Because::Impossible(_)), "{refused}");
    }
    for fault in ["", "probe: 3: monut: not found", "mount: /mnt/root: mount point does not exist."] {
        assert!(matches!(why_not(fault), Because::Missing(_)), "{fault}");
    }
}
