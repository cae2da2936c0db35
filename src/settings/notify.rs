//! `[notify]`: who is told. With nothing configured, the terminal is; nobody at all is a fault.

use std::collections::BTreeMap;

use super::in_files::InFiles;
use super::load::NO_AWS;
use super::reader::{Origin, SettingsReader};
use super::{NotifySettings, SnsSettings};
use super::{channels, keys};
use crate::configs::field::About;
use crate::configs::values::{self, ValueFault};
use crate::notify::channel::ChannelSettings;
use crate::notify::posted::check;

pub(super) fn read(reader: &mut SettingsReader<'_>) -> NotifySettings {
    let digest_above = reader.get(&keys::DIGEST_ABOVE);
    let (webhook, again) = webhook(reader).unzip();
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
    let (channels, mut in_files) = channels::read(reader);
    in_files.extend(webhook.as_ref().map(|webhook| webhook.name.clone()).zip(again.flatten()));
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

/// The channel, and what of it has to be read again.
fn webhook(reader: &mut SettingsReader<'_>) -> Option<(ChannelSettings, Option<InFiles>)> {
    require(reader, "notify.webhook", &keys::WEBHOOK_URL);
    let url = reader.optional(&keys::WEBHOOK_URL);
    let secret = reader.optional(&keys::WEBHOOK_SECRET);
    let timeout = reader.get(&keys::WEBHOOK_TIMEOUT);
    let webhook = ChannelSettings::webhook(url?, secret, timeout);
    for (_, fault) in check::faults(&webhook).into_iter().filter(|(key, _)| *key == "url") {
        reader.fault(keys::WEBHOOK_URL.name, &reader.origin(&keys::WEBHOOK_URL), fault);
    }
    let section = [("url", &keys::WEBHOOK_URL), ("secret", &keys::WEBHOOK_SECRET)];
    let written: BTreeMap<_, _> = section
        .into_iter()
        .filter_map(|(name, key)| Some((name, (reader.written(key)?.0, key.kind.length_max()))))
        .collect();
    let in_files = InFiles::of(|key| written.get(key).map(|(value, bytes_max)| (value, *bytes_max)), &webhook);
    Some((webhook, in_files))
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
