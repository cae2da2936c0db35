//! The settings that the daemon has, and what SIGHUP makes of those that are written now: nothing that was changed is passed
//! over in silence.

use std::borrow::Cow;
use std::cell::RefCell;
use std::collections::{BTreeMap, BTreeSet};
use std::path::{Path, PathBuf};
use std::sync::Arc;

use api_health_actors::supervisor::LOAD_TIMEOUT;
use api_health_core::ConfigFault;
use serde_json::Value;
use tokio::sync::Mutex;

use crate::configs::values::ValueFault;
use crate::environment;
use crate::notify::channel::ChannelSettings;
use crate::settings::{LoadedSettings, load, show};
use crate::telemetry;

/// The one that is taken over while the daemon runs.
const LOG_LEVEL: &str = "log.level";

/// What the daemon runs with.
pub(super) struct InForce {
    loaded: RefCell<LoadedSettings>,
    /// What `--settings` named.
    named: Option<PathBuf>,
    /// Locked by the one thread that reads them: a disk that hangs costs no more, however often it is asked for.
    reading: Arc<Mutex<()>>,
}

/// One setting that is written otherwise than it is in force.
#[derive(Debug, PartialEq)]
struct Difference {
    key: Cow<'static, str>,
    words: String,
}

impl InForce {
    pub(super) fn new(loaded: LoadedSettings, named: Option<&Path>) -> Self {
        Self { loaded: RefCell::new(loaded), named: named.map(Path::to_owned), reading: Arc::default() }
    }

    /// As `settings show --json` prints them.
    pub(super) fn json(&self) -> Value {
        show::json(&self.loaded.borrow())
    }

    /// Reads them again, takes over what can be, and says of the rest what has to be done.
    pub(super) async fn read_again(&self) {
        let written = match self.read().await {
            Ok(written) => written,
            Err(faults) => {
                for fault in &faults {
                    tracing::error!("the settings cannot be taken over, and those from before stay in force: {fault}");
                }
                return;
            }
        };
        let mut differences = differences(&self.loaded.borrow(), &written);
        if differences.iter().any(|d| d.key == LOG_LEVEL) && telemetry::set_level(&written.settings.log.level) {
            differences.retain(|difference| difference.key != LOG_LEVEL);
            let mut loaded = self.loaded.borrow_mut();
            loaded.settings.log.level = written.settings.log.level.clone();
            let level = |loaded: &LoadedSettings| loaded.effective.iter().position(|e| e.key == LOG_LEVEL);
            if let (Some(ours), Some(theirs)) = (level(&loaded), level(&written)) {
                loaded.effective[ours] = written.effective[theirs].clone();
            }
            tracing::info!(level = written.settings.log.level, "the level of the log is another from now on");
        }
        if !differences.is_empty() {
            let words: Vec<String> = differences.into_iter().map(|difference| difference.words).collect();
            let words = words.join("; ");
            tracing::warn!("settings were changed that take effect when api-health is started again: {words}");
        }
    }

    /// As they are written now. The main thread does not wait for a disk.
    async fn read(&self) -> Result<LoadedSettings, Vec<ConfigFault>> {
        let (named, reading) = (self.named.clone(), Arc::clone(&self.reading));
        let read = async {
            let alone = reading.lock_owned().await;
            let read = move || {
                let _alone = alone;
                load::reload(named.as_deref(), Path::new(""), &environment::get)
            };
            tokio::task::spawn_blocking(read).await.map_err(|_| "was cut short".to_owned())
        };
        let in_time = tokio::time::timeout(LOAD_TIMEOUT, read).await;
        let late = |_| Err(format!("does not answer within {} s", LOAD_TIMEOUT.as_secs()));
        in_time.unwrap_or_else(late).unwrap_or_else(|why| {
            let file = self.loaded.borrow().file.clone().unwrap_or_else(|| load::FILE_NAME.into());
            let location = file.display().to_string();
            Err(vec![ValueFault::new("reading it", why, "SIGHUP again when its disk answers").at(location)])
        })
    }
}

/// What is written otherwise than it is in force.
fn differences(ours: &LoadedSettings, written: &LoadedSettings) -> Vec<Difference> {
    let mut differences: Vec<Difference> = ours
        .effective
        .iter()
        .filter_map(|ours| {
            let theirs = written.effective.iter().find(|theirs| theirs.key == ours.key)?;
            let words = || format!("{} (from {} to {})", ours.key, ours.value, theirs.value);
            (ours.value != theirs.value).then(|| Difference { key: ours.key.clone(), words: words() })
        })
        .collect();
    let hook = |loaded: &LoadedSettings| loaded.settings.notify.webhook.clone().map(|hook| hook.keys);
    let beat = |loaded: &LoadedSettings| loaded.settings.heartbeat_out.clone().map(|beat| (beat.url, beat.token));
    let mut masked = |key: &'static str, is_another: bool, words: &str| {
        if is_another && !differences.iter().any(|difference| difference.key.starts_with(key)) {
            differences.push(Difference { key: key.into(), words: words.into() });
        }
    };
    let of_hook = "notify.webhook.url or notify.webhook.secret (secrets are not shown)";
    masked("notify.webhook.", hook(ours) != hook(written), of_hook);
    let of_beat = "heartbeat_out.url or heartbeat_out.token (secrets are not shown)";
    masked("heartbeat_out.", beat(ours) != beat(written), of_beat);
    let is_another = ours.settings.proxies != written.settings.proxies;
    masked("proxy", is_another, "proxy (its user name and password are not shown)");
    differences.extend(channels(ours, written, &differences));
    differences
}

/// The channels that are other ones, where that is not shown already.
fn channels(ours: &LoadedSettings, written: &LoadedSettings, shown: &[Difference]) -> Vec<Difference> {
    let channels = |loaded: &LoadedSettings| -> BTreeMap<String, ChannelSettings> {
        loaded.settings.notify.channels.iter().map(|channel| (channel.name.clone(), channel.clone())).collect()
    };
    let (ours, written) = (channels(ours), channels(written));
    let names: BTreeSet<&String> = ours.keys().chain(written.keys()).collect();
    let difference = |name: &String| {
        let key = format!("notify.channel.{name}");
        let words = match (ours.get(name), written.get(name)) {
            (None, Some(_)) => "is new",
            (Some(_), None) => "is gone",
            (ours, written) if ours != written => "is another (secrets are not shown)",
            _ => return None,
        };
        let is_shown = shown.iter().any(|difference| difference.key == key);
        (!is_shown).then(|| Difference { words: format!("{key} {words}"), key: key.into() })
    };
    names.into_iter().filter_map(difference).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn of(text: &str) -> LoadedSettings {
        let folder = tempfile::tempdir().unwrap();
        std::fs::write(folder.path().join("api-health.toml"), text).unwrap();
        load::load(None, folder.path(), &|_| None).unwrap()
    }

    #[test]
    fn what_is_written_otherwise_is_named_with_both_values_and_no_secret_is() {
        let before = "[probe]\nspread = false\n[notify.webhook]\nurl = \"https://a.test/hunter2\"\n";
        let words = |text: &str| {
            differences(&of(before), &of(text)).into_iter().map(|difference| difference.words).collect::<Vec<_>>()
        };
        assert_eq!(words(before), [""; 0]);
        let after = before.replace("false", "true") + "[log]\nlevel = \"debug\"\n";
        assert_eq!(words(&after), ["probe.spread (from false to true)", "log.level (from \"info\" to \"debug\")"]);
        let secret = words(&before.replace("hunter2", "hunter3"));
        assert_eq!(secret, ["notify.webhook.url or notify.webhook.secret (secrets are not shown)"]);
        let channel = |name: &str, kind: &str| format!("[[notify.channel]]\nname = \"{name}\"\nkind = \"{kind}\"\n");
        let a_and_b = channel("a", "terminal") + &channel("b", "webhook") + "url = \"https://b.test/hunter2\"\n";
        let c_and_b = channel("c", "terminal") + &channel("b", "webhook") + "url = \"https://b.test/hunter3\"\n";
        let words: Vec<_> = differences(&of(&a_and_b), &of(&c_and_b)).into_iter().map(|one| one.words).collect();
        assert_eq!(
            words,
            [
                "notify.channel.a is gone",
                "notify.channel.b is another (secrets are not shown)",
                "notify.channel.c is new"
            ]
        );
    }
}
