//! What the system allows this process, against what its settings and its APIs may need: what is too low is said at the start,
//! with what to write instead, and not found out in the first outage.

use std::path::{Path, PathBuf};

use rustix::process::{Resource, getrlimit, setrlimit};

use crate::cli::text;
use crate::probe::resolve::files_of_probes;

/// Descriptors for everything but probes: the store, sockets, channels.
const OTHER_FILES: u64 = 128;

/// Threads for work that blocks, such as looking names up: tokio starts up to this many. And for everything else.
const BLOCKING_THREADS: u64 = 512;
const OTHER_THREADS: u64 = 64;

/// Memory of a process that watches nothing, and what each API takes at least, as `benches/memory.rs` measures it.
const BYTES_OF_NONE: u64 = 30 << 20;
const BYTES_OF_AN_API: u64 = 3 << 10;

/// What is allowed; `None`: there is no limit, or none that is known.
#[derive(Debug, Default)]
struct Limits {
    files: Option<u64>,
    memory: Option<u64>,
    threads: Option<u64>,
}

/// Each probe under way needs a file descriptor, and the usual soft limit is 1,024.
pub(super) fn raise_open_files_limit() {
    let mut limit = getrlimit(Resource::Nofile);
    limit.current = limit.maximum;
    if let Err(error) = setrlimit(Resource::Nofile, limit) {
        tracing::warn!(%error, "the limit of open files cannot be raised");
    }
}

/// Says which limits are too low for this number of APIs and probes.
pub(super) fn say_what_is_too_low(apis: usize, max_in_flight: usize) {
    for words in too_low(&Limits::of_this_process(), apis as u64, max_in_flight as u64) {
        tracing::warn!("{words}");
    }
}

/// That `limit` is too low for so many probes at once, and what to do about it.
pub(in crate::cli) fn too_few_files(limit: Option<u64>, at_once: u64) -> Option<(String, String)> {
    let needed = files_of_probes(at_once) + OTHER_FILES;
    let limit = limit.filter(|limit| *limit < needed)?;
    let probes = text::count(usize::try_from(at_once).unwrap_or(usize::MAX), "probe");
    Some((
        format!("this process may open {limit} files, and {probes} at once may need {needed}"),
        format!("write LimitNOFILE={needed} into the unit (ulimit -Hn in a shell), or a smaller probe.max_in_flight"),
    ))
}

fn too_low(limits: &Limits, apis: u64, max_in_flight: u64) -> Vec<String> {
    let at_once = max_in_flight.min(apis);
    let threads = BLOCKING_THREADS + OTHER_THREADS;
    let memory = BYTES_OF_NONE + apis * BYTES_OF_AN_API;
    let mib = |bytes: u64| bytes.div_ceil(1 << 20);
    let below = |limit: Option<u64>, needed: u64| limit.filter(|limit| *limit < needed);
    let files = too_few_files(limits.files, at_once).map(|(what, todo)| format!("{what}; {todo}"));
    let memory = below(limits.memory, memory).map(|limit| {
        let (limit, needed) = (mib(limit), mib(memory));
        format!(
            "this process may use {limit} MiB of memory, and {apis} APIs take {needed} MiB at least; write MemoryMax={needed}M or more \
             into the unit (--memory of a container)"
        )
    });
    let threads = below(limits.threads, threads).map(|limit| {
        format!(
            "this process may have {limit} threads, and names that are slow to look up may take {threads}; write TasksMax={threads} \
             into the unit (--pids-limit of a container, ulimit -u in a shell)"
        )
    });
    [files, memory, threads].into_iter().flatten().collect()
}

impl Limits {
    fn of_this_process() -> Self {
        let own = std::fs::read_to_string("/proc/self/cgroup").unwrap_or_default();
        let groups = groups_of(&own, Path::new("/sys/fs/cgroup"));
        let least = |name: &str| groups.iter().filter_map(|group| number_in(&group.join(name))).min();
        let of_user = getrlimit(Resource::Nproc).current;
        Self {
            files: getrlimit(Resource::Nofile).current,
            memory: least("memory.max"),
            threads: least("pids.max").into_iter().chain(of_user).min(),
        }
    }
}

/// The control group of a process and all above it, by /proc/self/cgroup of cgroups(7), version 2.
fn groups_of(own: &str, root: &Path) -> Vec<PathBuf> {
    let path = own.lines().find_map(|line| line.strip_prefix("0::/")).unwrap_or_default();
    let group = root.join(path);
    group.ancestors().take_while(|above| above.starts_with(root)).map(Path::to_owned).collect()
}

/// `None` for `max`, and where there is no such file.
fn number_in(path: &Path) -> Option<u64> {
    std::fs::read_to_string(path).ok()?.trim().parse().ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_too_low_is_said_with_what_to_write_and_nothing_else_is() {
        let limits =
            |files, memory, threads| Limits { files: Some(files), memory: Some(memory), threads: Some(threads) };
        assert_eq!(too_low(&Limits::default(), 1_000_000, 65_535), [""; 0]);
        assert_eq!(too_low(&limits(2_128, 40 << 20, 576), 1_000, 4_096), [""; 0], "as many probes as there are APIs");
        let said = too_low(&limits(2_127, 30 << 20, 575), 1_000, 4_096);
        assert_eq!(said.len(), 3);
        for (words, wanted) in said.iter().zip(["LimitNOFILE=2128 ", "MemoryMax=33M ", "TasksMax=576 "]) {
            assert!(words.contains(wanted), "{words}");
        }
    }

    #[test]
    fn the_limits_of_all_groups_above_count() {
        let root = tempfile::tempdir().unwrap();
        let inner = root.path().join("system.slice/api-health.service");
        std::fs::create_dir_all(&inner).unwrap();
        std::fs::write(inner.join("memory.max"), "max\n").unwrap();
        std::fs::write(root.path().join("system.slice/memory.max"), "1048576\n").unwrap();
        let groups = groups_of("0::/system.slice/api-health.service\n", root.path());
        assert_eq!(groups.len(), 3);
        assert_eq!(groups.iter().filter_map(|group| number_in(&group.join("memory.max"))).min(), Some(1_048_576));
    }
}
