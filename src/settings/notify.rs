//! `[notify]`: who is told. With nothing configured, the terminal is; nobody at all is a fault.

use api_health_core::Secret;
use serde_json::{Value, json};

use super::keys::{self, Key};
use super::load::NO_AWS;
use super::reader::{Origin, SettingsReader};
use super::words;
use super::{NotifySettings, SnsSettings, WebhookSettings};
use crate::configs::headers::secret_text;
use crate::configs::secrets::{SecretSource, SystemSecrets, resolve};
use crate::configs::url as configs_url;
use crate::configs::values::{self, ValueFault, wanted};
use crate::environment;

/// The longest key of a signature; HMAC hashes anything over 64 bytes down to 32.
const SECRET_BYTES_MAX: usize = 1024;

/// References in settings come from the same environment as the settings.
struct Surroundings<'a>(&'a dyn Fn(&str) -> Option<String>);

impl SecretSource for Surroundings<'_> {
    fn env(&self, name: &str) -> Result<String, String> {
        (self.0)(name).ok_or_else(|| environment::why_missing(name))
    }
}

pub(super) fn read(reader: &mut SettingsReader<'_>) -> NotifySettings {
    let webhook = webhook(reader);
    let sns = sns(reader);
    let others = webhook.is_some() || sns.is_some() || has_section(reader, "webhook") || has_section(reader, "sns");
    let default = has_section(reader, "terminal") || !others;
    let terminal = reader.value(&keys::TERMINAL, default, values::flag, |flag| json!(flag));
    if let (false, false, Some((_, origin))) = (terminal, others, reader.written(&keys::TERMINAL)) {
        let fault =
            ValueFault::new("false", "leaves nobody to tell", "true, or configure [notify.webhook] or [notify.sns]");
        if reader.issues.iter().all(|issue| !issue.location.ends_with(keys::TERMINAL.name())) {
            reader.fault(keys::TERMINAL.name(), &origin, fault);
        }
    }
    NotifySettings { webhook, sns, terminal }
}

fn has_section(reader: &SettingsReader<'_>, name: &str) -> bool {
    reader.file.sections.contains_key(&format!("notify.{name}"))
}

/// A section that lacks the one key that it is for.
fn require(reader: &mut SettingsReader<'_>, section: &str, key: &Key) {
    if let (Some(line), None) = (reader.file.sections.get(section).copied(), reader.written(key)) {
        let origin = Origin::File(reader.file.path.clone(), line);
        let last = key.name().rsplit('.').next().unwrap_or_default();
        let remedy = format!("{last} = {} below [{section}], with your own value", key.field.example);
        reader.fault(section, &origin, ValueFault::new(format!("the key {last}"), "is missing", remedy));
    }
}

fn webhook(reader: &mut SettingsReader<'_>) -> Option<WebhookSettings> {
    require(reader, "notify.webhook", &keys::WEBHOOK_URL);
    let url = secret(reader, &keys::WEBHOOK_URL, configs_url::CHARS_MAX);
    let url = url.and_then(|(text, origin)| match configs_url::check(text.reveal()) {
        Ok(url) => Some((Secret::new(url), origin)),
        Err(fault) => {
            // What was found is not shown: with many services the path is the secret.
            let fault = ValueFault::new("the URL", fault.why, wanted(&keys::WEBHOOK_URL.field));
            reader.fault(keys::WEBHOOK_URL.name(), &origin, fault);
            None
        }
    });
    let host = |url: &Secret| {
        let timeout = std::time::Duration::ZERO;
        let shown = WebhookSettings { url: url.clone(), secret: None, timeout, written: None };
        json!(format!("{}/***", shown.host()))
    };
    let origin = |found: &Option<(Secret, Origin)>| found.as_ref().map_or(Origin::Default, |(_, o)| o.clone());
    reader.note(&keys::WEBHOOK_URL, url.as_ref().map_or(Value::Null, |(url, _)| host(url)), origin(&url));
    let secret = secret(reader, &keys::WEBHOOK_SECRET, SECRET_BYTES_MAX);
    reader.note(&keys::WEBHOOK_SECRET, secret.as_ref().map_or(Value::Null, |_| json!("***")), origin(&secret));
    let timeout = reader.seconds(&keys::WEBHOOK_TIMEOUT);
    let [as_written, secret_as_written] = [&keys::WEBHOOK_URL, &keys::WEBHOOK_SECRET]
        .map(|key| reader.written(key).and_then(|(value, _)| value.as_str().map(Secret::new)));
    let both = [&as_written, &secret_as_written];
    let is_of_files = both
        .into_iter()
        .flatten()
        .any(|text| text.reveal().contains("${file:") || text.reveal().contains("${credential:"));
    let written = as_written.filter(|_| is_of_files).map(|url| (url, secret_as_written));
    url.map(|(url, _)| WebhookSettings { url, secret: secret.map(|(secret, _)| secret), timeout, written })
}

impl WebhookSettings {
    /// URL and secret of what the files hold now; `None` where nothing of them is in a file, or not all of it can be used.
    pub fn read_again(&self) -> Option<(url::Url, Option<Secret>)> {
        let (url, secret) = self.written.as_ref()?;
        let filled_in = |text: &Secret, bytes_max| {
            resolve(text.reveal(), &SystemSecrets, bytes_max).ok().filter(|text| !text.trim().is_empty())
        };
        let url = configs_url::check(&filled_in(url, configs_url::CHARS_MAX)?).ok()?;
        let secret = match secret {
            Some(secret) => Some(Secret::new(filled_in(secret, SECRET_BYTES_MAX)?)),
            None => None,
        };
        Some((url, secret))
    }
}

/// A text whose references are filled in. Every fault of it is noted.
pub(super) fn secret(reader: &mut SettingsReader<'_>, key: &Key, bytes_max: usize) -> Option<(Secret, Origin)> {
    let (value, origin) = reader.written(key)?;
    let found = match secret_text(&value, &Surroundings(reader.env), bytes_max) {
        Ok(text) if text.trim().is_empty() => Err(vec![ValueFault::new("the text", "is empty", wanted(&key.field))]),
        other => other,
    };
    match found {
        Ok(text) => Some((Secret::new(text), origin)),
        Err(faults) => {
            for fault in faults {
                reader.fault(key.name(), &origin, fault);
            }
            None
        }
    }
}

fn sns(reader: &mut SettingsReader<'_>) -> Option<SnsSettings> {
    require(reader, "notify.sns", &keys::TOPIC_ARN);
    if let (false, Some((value, origin))) = (reader.has_aws, reader.written(&keys::TOPIC_ARN)) {
        let found = value.as_str().map_or_else(|| "the topic".into(), values::quote);
        let remedy = "no topic, but for instance [notify.webhook], or take a build with AWS";
        reader.fault(keys::TOPIC_ARN.name(), &origin, ValueFault::new(found, NO_AWS, remedy));
    }
    let read = |v: &Value| words::topic_arn(v).map(|topic_arn| Some(SnsSettings { topic_arn }));
    reader.value(&keys::TOPIC_ARN, None, read, |sns| json!(sns.as_ref().map(|s| &s.topic_arn)))
}
