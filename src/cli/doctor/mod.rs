//! `doctor`: everything that the daemon needs, looked at as its user, each finding with what to do about it.
//!
//! It keeps nothing: a file beside the SQLite database is made and removed, the database is opened to be read, two writes to
//! the table of states are made so that DynamoDB must refuse them, and one message to the topic so that SNS must. All checks run, whatever one of them
//! finds, side by side and each within [`CHECK_TIMEOUT`]; `cli::checks` lists them.

#[cfg(feature = "aws")]
mod cloud;
#[cfg(not(feature = "aws"))]
#[path = "no_cloud.rs"]
mod cloud;
mod consequences;
mod env_file;
mod files;
mod heartbeat;
mod network;
mod report;
mod stored;
mod test_message;
pub(super) mod watcher;
mod who;

use std::io::IsTerminal;
use std::path::{Path, PathBuf};
use std::time::Duration;

use api_health_core::ConfigIssue;
use futures_util::future::{FutureExt, LocalBoxFuture};
use futures_util::stream::{FuturesUnordered, StreamExt};
use indicatif::ProgressBar;

use super::args::{Cli, DoctorArgs};
use super::checks::{Check, SETTINGS_FILE};
use super::out::{Out, shows_progress};
use crate::app::{App, AppError};
use crate::control::client;
use crate::environment;
use crate::exit::Exit;
use crate::settings::{LoadedSettings, LogFormat, LogSettings, StoreKind};
use crate::telemetry;
use cloud::Cloud;
use report::{Finding, Report};
use watcher::Watcher;
use who::Who;

/// Bound on one check.
const CHECK_TIMEOUT: Duration = Duration::from_secs(15);
/// Bound on the test messages, which go through one channel after the other: three, each within its own bound.
const TEST_TIMEOUT: Duration = Duration::from_secs(40);

/// `doctor`. It reads the settings itself, since bad ones are a finding.
///
/// # Errors
/// An environment file that cannot be read, or standard output that cannot be written to.
pub(super) fn run(cli: &Cli, args: &DoctorArgs, out: &Out) -> Result<Exit, AppError> {
    if let Some(file) = &args.env_file {
        return Err(env_file::start_again(cli, args, file));
    }
    telemetry::start(&LogSettings { level: "off".into(), format: LogFormat::Text }, false);
    let report = match super::settings_in_force(cli.settings.as_deref()) {
        Err(issues) => {
            let mut findings: Vec<Finding> = issues.iter().map(bad_setting).collect();
            findings.push(Who::here(cli.settings.as_deref(), args.env_is_from.as_deref()).finding(None));
            Report { findings }
        }
        Ok(loaded) => {
            let app = App::new(loaded.settings.clone()).read_only();
            let system = actix_rt::System::new();
            let report = system.block_on(examine(&loaded, &app, args, out));
            // Dropping it would wait for whatever blocks a thread, such as a name service that does not answer.
            std::mem::forget(system);
            report
        }
    };
    if args.json {
        out.json(&report.json())?;
    } else {
        out.print(&report.text(out))?;
    }
    Ok(report.exit())
}

fn bad_setting(issue: &ConfigIssue) -> Finding {
    let what = format!("{}: {} {}", issue.location, issue.what, issue.why);
    Finding::fault(Check::Settings, what, format!("write {}", issue.remedy))
}

fn good_settings(loaded: &LoadedSettings) -> Finding {
    let installed = Path::new(SETTINGS_FILE);
    match &loaded.file {
        Some(path) => Finding::ok(Check::Settings, format!("valid: {} and the environment", path.display())),
        None if installed.exists() => Finding::warn(
            Check::Settings,
            format!("valid, of the environment alone; the installed service reads {}", installed.display()),
            format!("api-health --settings {} doctor", installed.display()),
        ),
        None => Finding::ok(Check::Settings, "valid: no file, the environment alone"),
    }
}

/// One check under way, with a name for what did not end.
struct CheckUnderWay<'a> {
    check: Check,
    bound: Duration,
    findings: LocalBoxFuture<'a, Vec<Finding>>,
}

impl<'a> CheckUnderWay<'a> {
    fn new(check: Check, findings: impl Future<Output = Vec<Finding>> + 'a) -> Self {
        Self { check, bound: CHECK_TIMEOUT, findings: findings.boxed_local() }
    }

    fn not_checked(checks: &'static [Check], why: &'static str) -> Self {
        let found = checks.iter().map(|check| Finding::not_checked(*check, why)).collect();
        Self::new(Check::Credentials, std::future::ready(found))
    }

    async fn end(self) -> Vec<Finding> {
        match tokio::time::timeout(self.bound, self.findings).await {
            Ok(findings) => findings,
            Err(_) => vec![Finding::fault(
                self.check,
                format!("did not end within {} s", self.bound.as_secs()),
                "see the way out of this machine, and the disk; then look again",
            )],
        }
    }
}

/// Runs every check that fits the settings.
async fn examine(loaded: &LoadedSettings, app: &App, args: &DoctorArgs, out: &Out) -> Report {
    let progress = ProgressBar::new_spinner();
    if shows_progress() && std::io::stdout().is_terminal() {
        progress.enable_steady_tick(Duration::from_millis(150));
    }
    progress.set_message("looking for region and credentials");
    let settings = &loaded.settings;
    let who = Who::here(loaded.file.as_deref(), args.env_is_from.as_deref());
    let mut report = Report::default();
    report.findings.push(good_settings(loaded));
    report.findings.extend(network::proxies(&settings.proxies));
    let asked = client::find(settings, &environment::get).await;
    let watcher = match &asked {
        Ok(Some(found)) => Some(Ok(Some(Watcher::that_answers(found)))),
        _ => (settings.store.kind == StoreKind::Sqlite).then(|| watcher::find(&settings.store.path)),
    };
    report.findings.push(who.finding(match &watcher {
        Some(Ok(Some(watcher))) => watcher.uid,
        _ => None,
    }));
    report.findings.extend(local(loaded, app, args.env_is_from.clone()).await);
    report.findings.extend(watcher.map(|watcher| watcher::finding(&watcher, |uid| who.called(uid))));
    if let Ok(Some(found)) = &asked {
        report.findings.extend(watcher::other_settings(loaded, found).await);
    }
    report.findings.extend(asked.err().as_ref().and_then(watcher::does_not_answer));

    let (cloud, findings) = Cloud::look(loaded, app).await;
    report.findings.extend(findings);
    let running = plan(app, args, out, &cloud);
    let (count, mut done) = (running.len(), 0);
    let mut ended: FuturesUnordered<_> =
        running.into_iter().enumerate().map(|(n, check)| check.end().map(move |found| (n, found))).collect();
    let mut all = Vec::new();
    progress.set_message(format!("{count} checks under way"));
    while let Some(one) = ended.next().await {
        done += 1;
        progress.set_message(format!("{done} of {count} checks done"));
        all.push(one);
    }
    progress.finish_and_clear();
    all.sort_by_key(|(n, _)| *n);
    report.findings.extend(all.into_iter().flat_map(|(_, found)| found));
    consequences::suppress_consequences(&mut report.findings);
    report
}

/// The checks of files, on a thread of their own, since a disk may hang.
async fn local(loaded: &LoadedSettings, app: &App, env_is_from: Option<PathBuf>) -> Vec<Finding> {
    let (loaded, app) = (loaded.clone(), App::new(app.settings.clone()));
    let looked = tokio::task::spawn_blocking(move || files::look(&loaded, &app, env_is_from.as_deref()));
    match tokio::time::timeout(CHECK_TIMEOUT, looked).await {
        Ok(Ok(found)) => found,
        _ => vec![Finding::fault(
            Check::SettingsFile,
            format!("files could not be looked at within {} s", CHECK_TIMEOUT.as_secs()),
            "see whether the disks answer (dmesg, mount)",
        )],
    }
}

/// The checks that may wait for somebody else.
fn plan<'a>(app: &'a App, args: &'a DoctorArgs, out: &'a Out, cloud: &'a Cloud) -> Vec<CheckUnderWay<'a>> {
    let mut running = cloud.checks(app);
    running.push(CheckUnderWay::new(Check::Webhook, network::webhook(app)));
    match cloud.missing().filter(|_| app.settings.store.kind == StoreKind::Dynamodb) {
        Some(why) => running.push(CheckUnderWay::not_checked(&[Check::Apis, Check::States, Check::Heartbeat], why)),
        None => {
            running.push(CheckUnderWay::new(Check::Apis, stored::apis(app)));
            running.push(CheckUnderWay::new(Check::States, stored::states(app, cloud)));
        }
    }
    if args.send_test_message {
        let sent = CheckUnderWay::new(Check::TestMessage, test_message::send(app, args.json, out));
        running.push(CheckUnderWay { bound: TEST_TIMEOUT, ..sent });
    }
    running
}
