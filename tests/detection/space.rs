//! Networks of the harness's own: a namespace for each machine, and a cable between two of them.

use std::fs::File;
use std::io::{BufRead as _, BufReader};
use std::os::fd::AsFd as _;
use std::process::{Child, Command, Stdio};

use rustix::thread::{LinkNameSpaceType, move_into_link_name_space};

/// A network namespace. It lives as long as this, and as what was started in it.
pub struct Net {
    holder: Child,
    file: File,
}

impl Net {
    pub fn new() -> Self {
        let mut command = Command::new("unshare");
        command.args(["-n", "sh", "-c", "echo; exec cat"]).stdin(Stdio::piped()).stdout(Stdio::piped());
        let mut holder = command.spawn().unwrap();
        BufReader::new(holder.stdout.as_mut().unwrap()).read_line(&mut String::new()).unwrap();
        let file = File::open(format!("/proc/{}/ns/net", holder.id())).unwrap();
        let net = Self { holder, file };
        net.ip("link set lo up");
        net
    }

    /// Moves this thread there for good, and with it what it starts from now on.
    pub fn enter(&self) {
        move_into_link_name_space(self.file.as_fd(), Some(LinkNameSpaceType::Network)).unwrap();
    }

    /// Does something there on a thread of its own.
    pub fn within<T: Send>(&self, what: impl FnOnce() -> T + Send) -> T {
        let enter_and_do = || {
            self.enter();
            what()
        };
        std::thread::scope(|scope| scope.spawn(enter_and_do).join()).unwrap()
    }

    /// Runs `ip` there.
    #[track_caller]
    pub fn ip(&self, words: &str) {
        let output = self.within(|| Command::new("ip").args(words.split(' ')).output().unwrap());
        assert!(output.status.success(), "ip {words}: {}", String::from_utf8_lossy(&output.stderr));
    }

    /// Sets a variable of its kernel: `ipv4/ip_forward`.
    pub fn set(&self, variable: &str, value: &str) {
        let path = format!("/proc/sys/net/{variable}");
        self.within(|| std::fs::write(&path, value)).unwrap_or_else(|error| panic!("{path}: {error}"));
    }

    /// A cable from here to `other`, by the names of its ends.
    pub fn link(&self, end: &str, other: &Self, other_end: &str) {
        let pid = other.holder.id();
        self.ip(&format!("link add {end} type veth peer name {other_end} netns {pid}"));
        self.ip(&format!("link set {end} up"));
        other.ip(&format!("link set {other_end} up"));
    }
}

impl Drop for Net {
    fn drop(&mut self) {
        let _ = self.holder.kill();
        let _ = self.holder.wait();
    }
}
