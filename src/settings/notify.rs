//! `[notify]`: who is told. With nothing configured, the terminal is; nobody at all is a fault.

use api_health_core::Secret;

use super::load::NO_AWS;
use super::reader::{Origin, SettingsReader};
use super::{NotifySettings, SnsSettings, WebhookSettings};
use super::{channels, keys};
use crate::configs::field::{About, Field};
use crate::configs::secrets::{SystemSecrets, has_file_reference, resolve};
use crate::configs::url as configs_url;
use crate::configs::values::{self, ValueFault};
use crate::notify::channel::ChannelSettings;
use crate::notify::posted::check::{self, ChannelFault};

pub(super) fn read(reader: &mut SettingsReader<'_>) -> NotifySettings {
    let digest_above = reader.get(&keys::DIGEST_ABOVE);
    let webhook = webhook(reader);
    let sns = sns(reader);
    let has_section = |name: &str| reader.file.sections.contains_key(name);
    let others = !reader.file.channels.is_empty()
        || webhook.is_some()
        || sns.is_some()
        || has_section("notify.webhook")
        || has_section("notify.sns");
    let terminal = reader.get_or(&keys::TERMINAL, has_section("notify.terminal") || !others);
    if !terminal && !others {
        let fault = ValueFault::new(
            "false",
            "leaves nobody to tell",
            "true, or configure [notify.webhook], [notify.sns] or a [[notify.channel]]",
        );
        reader.fault(keys::TERMINAL.name, &reader.origin(&keys::TERMINAL), fault);
    }
    let (channels, in_files) = channels::read(reader);
    NotifySettings { webhook, sns, terminal, channels, in_files, digest_above }
}

/// A section that lacks the one key that it is for.
pub(super) fn require(reader: &mut SettingsReader<'_>, section: &str, key: &About) {
    if let (Some(line), None) = (reader.file.sections.get(section), reader.written(key)) {
        let origin = Origin::File(reader.file.path.clone(), *line);
        let last = key.name.rsplit('.').next().unwrap_or_default();
        let remedy = format!("{last} = {} below [{section}], with your own value", key.example);
        reader.fault(section, &origin, ValueFault::new(format!("the key {last}"), "is missing", remedy));
    }
}

fn webhook(reader: &mut SettingsReader<'_>) -> Option<WebhookSettings> {
    require(reader, "notify.webhook", &keys::WEBHOOK_URL);
    let url = reader.optional(&keys::WEBHOOK_URL);
    let secret = reader.optional(&keys::WEBHOOK_SECRET);
    let timeout = reader.get(&keys::WEBHOOK_TIMEOUT);
    let [as_written, secret_as_written] = [&keys::WEBHOOK_URL, &keys::WEBHOOK_SECRET]
        .map(|key| reader.written(key).and_then(|(value, _)| value.as_str().map(Secret::new)));
    let is_of_files = |text: &Secret| has_file_reference(text.reveal());
    let any = [&as_written, &secret_as_written].into_iter().flatten().any(is_of_files);
    let written = as_written.filter(|_| any).map(|url| (url, secret_as_written));
    let webhook = WebhookSettings { url: url?, secret, timeout, written };
    for ChannelFault { fault, .. } in check::faults(&webhook.channel()).into_iter().filter(|fault| fault.key == "url") {
        reader.fault(keys::WEBHOOK_URL.name, &reader.origin(&keys::WEBHOOK_URL), fault);
    }
    Some(webhook)
}

impl WebhookSettings {
    /// As a channel.
    pub fn channel(&self) -> ChannelSettings {
        ChannelSettings::webhook(self.url.clone(), self.secret.clone(), self.timeout)
    }

    /// The channel with what the files hold now; `None` where nothing of it is in a file, or not all of it can be used.
    pub fn read_again(&self) -> Option<ChannelSettings> {
        let (url, secret) = self.written.as_ref()?;
        let filled_in = |text: &Secret, key: &Field<Secret>| {
            let text = resolve(text.reveal(), &SystemSecrets, key.kind.length_max()).ok();
            text.filter(|text| !text.trim().is_empty())
        };
        let url = configs_url::check(&filled_in(url, &keys::WEBHOOK_URL)?).ok()?;
        let secret = match secret {
            Some(secret) => Some(Secret::new(filled_in(secret, &keys::WEBHOOK_SECRET)?)),
            None => None,
        };
        Some(ChannelSettings::webhook(Secret::new(url), secret, self.timeout))
    }
}

fn sns(reader: &mut SettingsReader<'_>) -> Option<SnsSettings> {
    require(reader, "notify.sns", &keys::TOPIC_ARN);
    if let (false, Some((value, origin))) = (reader.has_aws, reader.written(&keys::TOPIC_ARN)) {
        let found = value.as_str().map_or_else(|| "the topic".into(), values::quote);
        let remedy = "no topic, but for instance [notify.webhook], or take a build with AWS";
        reader.fault(keys::TOPIC_ARN.name, &origin, ValueFault::new(found, NO_AWS, remedy));
    }
    let topic_arn = reader.optional(&keys::TOPIC_ARN);
    let chat = reader.get(&keys::SNS_CHAT);
    topic_arn.map(|topic_arn| SnsSettings { topic_arn, chat })
}
