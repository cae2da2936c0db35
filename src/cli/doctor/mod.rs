//! `doctor`: everything that the daemon needs, looked at as its user, each finding with what to do about it.
//!
//! It keeps nothing: a file beside the SQLite database is made and removed, the database is opened to be read, writes to
//! the tables of states and history are made so that DynamoDB must refuse them, and one message to the topic so that SNS must. Region
//! and credentials come first. Then all checks run side by side, each within [`CHECK_TIMEOUT`], but those that need one which
//! found a fault (`causes`); `cli::checks` lists them.

mod causes;
#[cfg(feature = "aws")]
mod cloud;
#[cfg(not(feature = "aws"))]
#[path = "no_cloud.rs"]
mod cloud;
mod env_file;
mod files;
mod heartbeat;
mod network;
mod page;
mod report;
mod stored;
mod test_message;
mod watcher;
mod who;

use std::time::Duration;

use api_health_core::ConfigFault;
use futures_util::future::{FutureExt, LocalBoxFuture, join_all};
use indicatif::ProgressBar;

use super::args::{Cli, DoctorArgs};
use super::checks::{Check, SETTINGS_FILE};
use super::out::{Out, shows_progress};
use crate::app::{App, AppError};
use crate::exit::Exit;
use crate::settings::{LoadedSettings, LogFormat, LogSettings, load};
use crate::telemetry;
use report::Finding;
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
    if let Some(file) = args.env_file.as_ref().filter(|_| !env_file::is_in_force()) {
        return Err(env_file::start_again(file));
    }
    telemetry::start(&LogSettings { level: "off".into(), format: LogFormat::Text }, false);
    let findings = match super::settings_in_force(cli.settings.as_deref()) {
        Err(faults) => {
            let who = Who::here(cli.settings.as_deref(), args.env_file.as_deref());
            faults.iter().map(bad_setting).chain([who.finding(None)]).collect()
        }
        Ok(loaded) => {
            let app = App::new(loaded.settings.clone()).read_only();
            let system = actix_rt::System::new();
            let findings = system.block_on(examine(&loaded, &app, args, out));
            // Dropping it would wait for whatever blocks a thread, such as a name service that does not answer.
            std::mem::forget(system);
            findings
        }
    };
    if args.json {
        out.json(&report::json(&findings))?;
    } else {
        out.print(&report::text(&findings, out))?;
    }
    Ok(report::exit(&findings))
}

fn bad_setting(fault: &ConfigFault) -> Finding {
    let what = format!("{}: {} {}", fault.location, fault.what, fault.why);
    Check::Settings.fault(what, format!("write {}", fault.remedy))
}

fn good_settings(loaded: &LoadedSettings) -> Finding {
    match &loaded.file {
        Some(path) => Check::Settings.ok(format!("valid: {} and the environment", path.display())),
        None if load::is_there(SETTINGS_FILE.as_ref()) => Check::Settings.warn(
            format!("valid, of the environment alone; the installed service reads {SETTINGS_FILE}"),
            format!("api-health --settings {SETTINGS_FILE} doctor"),
        ),
        None => Check::Settings.ok("valid: no file, the environment alone"),
    }
}

/// A check that is to be made, and what it will have found.
type Task<'a> = (Check, LocalBoxFuture<'a, Vec<Finding>>);

fn task<'a, F: Into<Vec<Finding>> + 'a>(check: Check, findings: impl Future<Output = F> + 'a) -> Task<'a> {
    let within = if check == Check::TestMessage { TEST_TIMEOUT } else { CHECK_TIMEOUT };
    let in_time = async move {
        let Ok(found) = tokio::time::timeout(within, findings).await else {
            let what = format!("did not end within {} s", within.as_secs());
            let todo = "see the way out of this machine, and whether its disks answer (dmesg, mount); then look again";
            return check.fault(what, todo).into();
        };
        found.into()
    };
    (check, in_time.boxed_local())
}

/// Makes every check that fits the settings.
async fn examine(loaded: &LoadedSettings, app: &App, args: &DoctorArgs, out: &Out) -> Vec<Finding> {
    let progress = ProgressBar::new_spinner().with_message("looking at all that the daemon needs");
    if shows_progress() && out.is_terminal() {
        progress.enable_steady_tick(Duration::from_millis(150));
    }
    let env_file = args.env_file.clone();
    let who = Who::here(loaded.file.as_deref(), env_file.as_deref());
    let (identity, of_aws) = cloud::examine(loaded, app).await;
    let mut found = vec![good_settings(loaded)];
    found.extend(network::proxies(&loaded.settings.proxies));
    found.extend(identity);

    let mut tasks = vec![
        task(Check::Daemon, watcher::examine(loaded, &who)),
        task(Check::Page, page::examine(&loaded.settings.web)),
        task(Check::SettingsFile, files::examine(loaded.clone(), env_file)),
        task(Check::Webhook, network::webhooks(app)),
    ];
    tasks.extend(of_aws);
    tasks.extend([task(Check::Apis, stored::apis(app)), task(Check::States, stored::states(app))]);
    if args.send_test_message {
        tasks.push(task(Check::TestMessage, test_message::send(app, args.json, out)));
    }
    let mut running = Vec::new();
    for (check, findings) in tasks {
        match causes::cause_of(check, &found) {
            Some(cause) => found.push(causes::because_of(cause, check)),
            None => running.push(findings),
        }
    }
    found.extend(join_all(running).await.into_iter().flatten());
    found.sort_by_key(|finding| finding.check as usize);
    causes::suppress_consequences(&mut found);
    progress.finish_and_clear();
    found
}
