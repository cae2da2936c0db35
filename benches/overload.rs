//! Overload: the built program is asked for more than the machine carries, and every API must still get its share, no API may be
//! called down for it, and it must be said in few words.

mod support;

use std::path::Path;
use std::time::Duration;

use support::figures::{figure, heading, number, percentile};
use support::process;
use support::program::Program;
use support::target::{self, Target};

/// Until the first round is over and the load has been said.
const WARM_SECONDS: u64 = 30;

fn main() {
    let form = process::role_or_form(&[target::ROLE]);
    let mut target = Target::start();
    if form.short {
        overload(&mut target, 10_000, 1, 20);
    } else {
        overload(&mut target, 100_000, 5, 120);
    }
}

/// `n` APIs each `interval_seconds`, watched for `seconds` after the first round.
fn overload(target: &mut Target, n: usize, interval_seconds: u64, seconds: u64) {
    heading(&format!("the program: {n} APIs of a file, every {interval_seconds} s, target on the same cores, SQLite"));
    let folder = tempfile::tempdir().expect("a folder for its files");
    let program = Program::start(folder.path(), &target.bases, n, interval_seconds);
    wait(WARM_SECONDS);
    target.take();
    wait(seconds);
    let asked = target.take().per_api(n);
    program.kill();
    let count = |seconds| number(usize::try_from(seconds).expect("few"));
    let due = number(n) * count(seconds / interval_seconds);
    let all: usize = asked.iter().sum();
    let counts: Vec<f64> = asked.iter().map(|count| number(*count)).collect();
    let median = percentile(&counts, 0.5);
    let fewest = asked.iter().min().copied().unwrap_or(0);
    assert!(fewest >= 1, "every API was asked");
    figure(
        "probes, of those that came due",
        &format!("{:.1} %", number(all) / due * 100.0),
        "what the machine carries",
    );
    figure("probes a second", &format!("{:.0}", number(all) / count(seconds)), "");
    figure(
        "the API that got fewest, of the median one",
        &format!("{:.0} %", number(fewest) / median * 100.0),
        "near 100 %",
    );
    let share = |share| format!("{:.0}", percentile(&counts, share));
    figure(
        "probes of an API: fewest / p1 / median / most",
        &format!("{fewest} / {} / {} / {}", share(0.01), share(0.5), share(1.0)),
        "",
    );
    let (alerts, log) = (read(folder.path(), "out"), read(folder.path(), "log"));
    assert!(!alerts.contains("api-0"), "no API is called down: {alerts}");
    figure(
        "alerts: of this machine's load",
        &alerts.matches("api-health:capacity.").count().to_string(),
        "1 after a minute",
    );
    let warnings: Vec<&str> = log.lines().filter(|line| line.contains("WARN") || line.contains("ERROR")).collect();
    figure("log lines: warnings / all", &format!("{} / {}", warnings.len(), log.lines().count()), "few");
    for line in warnings.iter().take(6) {
        println!("    {line}");
    }
}

fn wait(seconds: u64) {
    #[expect(clippy::disallowed_methods, reason = "no actor lives in this process")]
    std::thread::sleep(Duration::from_secs(seconds));
}

fn read(folder: &Path, name: &str) -> String {
    std::fs::read_to_string(folder.join(name)).expect("the program wrote it")
}
