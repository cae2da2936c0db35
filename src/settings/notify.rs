//! `[notify]`: who is told. With nothing configured, the terminal is; nobody at all is a fault.

use super::keys;
use super::load::NO_AWS;
use super::reader::{Origin, SettingsReader};
use super::{NotifySettings, SnsSettings, WebhookSettings};
use crate::configs::field::About;
use crate::configs::values::{self, ValueFault};

pub(super) fn read(reader: &mut SettingsReader<'_>) -> NotifySettings {
    let webhook = webhook(reader);
    let sns = sns(reader);
    let has_section = |name: &str| reader.file.sections.contains_key(name);
    let others = webhook.is_some() || sns.is_some() || has_section("notify.webhook") || has_section("notify.sns");
    let terminal = reader.get_or(&keys::TERMINAL, has_section("notify.terminal") || !others);
    if !terminal && !others {
        let fault =
            ValueFault::new("false", "leaves nobody to tell", "true, or configure [notify.webhook] or [notify.sns]");
        reader.fault(keys::TERMINAL.name, &reader.origin(&keys::TERMINAL), fault);
    }
    NotifySettings { webhook, sns, terminal }
}

/// A section that lacks the one key that it is for.
fn require(reader: &mut SettingsReader<'_>, section: &str, key: &About) {
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
    Some(WebhookSettings { url: url?, secret, timeout })
}

fn sns(reader: &mut SettingsReader<'_>) -> Option<SnsSettings> {
    require(reader, "notify.sns", &keys::TOPIC_ARN);
    if let (false, Some((value, origin))) = (reader.has_aws, reader.written(&keys::TOPIC_ARN)) {
        let found = value.as_str().map_or_else(|| "the topic".into(), values::quote);
        let remedy = "no topic, but for instance [notify.webhook], or take a build with AWS";
        reader.fault(keys::TOPIC_ARN.name, &origin, ValueFault::new(found, NO_AWS, remedy));
    }
    reader.optional(&keys::TOPIC_ARN).map(|topic_arn| SnsSettings { topic_arn })
}
