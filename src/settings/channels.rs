//! `[[notify.channel]]`: channels with names of their own, several of one kind.

use std::collections::{BTreeMap, BTreeSet};

use api_health_core::{ConfigFault, Secret};
use serde_json::{Map, Value, json};
use url::Url;

use super::channel_keys::{self as keys, CHANNEL_KEYS, VALUE_BYTES_MAX, value_of};
use super::in_files::InFiles;
use super::load::NO_AWS;
use super::parsers;
use super::raw::{CHANNELS, CHANNELS_MAX, RawChannel};
use super::reader::{Effective, Origin, SettingsReader};
use super::types::host_of;
use crate::configs::field::Field;
use crate::configs::nearest::nearest;
use crate::configs::url as configs_url;
use crate::configs::values::{ValueFault, bounded, quote};
use crate::notify::channel::{ChannelKind, ChannelSettings, Key};
use crate::notify::email;
use crate::notify::kinds::KINDS;
use crate::notify::posted::check;

/// The most faults that are told of all channels.
const FAULTS_MAX: usize = 50;

/// The channels that are written, what of them has to be read again, and all that is wrong with them.
pub(super) fn read(reader: &mut SettingsReader<'_>) -> (Vec<ChannelSettings>, BTreeMap<String, InFiles>) {
    let file = reader.file;
    let before = reader.faults.len();
    let (mut channels, mut in_files) = (Vec::<ChannelSettings>::new(), BTreeMap::new());
    let mut names = BTreeSet::new();
    for raw in &file.channels {
        let faults_before = reader.faults.len();
        let channel = OneChannel { raw, reader: &mut *reader }.read();
        let Some(channel) = channel else { continue };
        let mut one_each = match channel.kind == &email::KIND {
            true => email::for_each_recipient(&channel).unwrap_or_default(), // its faults are told
            false => vec![channel.clone()],
        };
        if !names.insert(channel.name.clone()) {
            let fault = ValueFault::new(quote(&channel.name), "is the name of another channel", "another name");
            let origin = origin_of(raw, "name", reader);
            reader.fault(&format!("{CHANNELS}.name"), &origin, fault);
        } else if reader.faults.len() == faults_before {
            for channel in &one_each {
                let origin = Origin::File(file.path.clone(), raw.line);
                let key = format!("{CHANNELS}.{}", channel.name).into();
                reader.effective.push(Effective { key, value: shown(channel), origin });
                if let Some(again) = InFiles::of(|key| Some((&raw.values.get(key)?.0, VALUE_BYTES_MAX)), channel) {
                    in_files.insert(channel.name.clone(), again);
                }
            }
            channels.append(&mut one_each);
        }
        if channels.len() > CHANNELS_MAX {
            let what = format!("{} channels (each recipient of e-mail is one)", channels.len());
            let fault = ValueFault::new(what, format!("are more than {CHANNELS_MAX}"), "fewer");
            reader.fault(CHANNELS, &origin_of(raw, email::TO.name, reader), fault);
            break;
        }
    }
    let mut faults: Vec<ConfigFault> = reader.faults.split_off(before);
    bounded(&mut faults, FAULTS_MAX, 0, "file", &file.path.display().to_string());
    reader.faults.extend(faults);
    (channels, in_files)
}

fn origin_of(raw: &RawChannel, key: &str, reader: &SettingsReader<'_>) -> Origin {
    let line = raw.values.get(key).map_or(raw.line, |(_, line)| *line);
    Origin::File(reader.file.path.clone(), line)
}

struct OneChannel<'r, 's> {
    raw: &'r RawChannel,
    reader: &'r mut SettingsReader<'s>,
}

impl OneChannel<'_, '_> {
    /// `None` where it has no name or kind.
    fn read(mut self) -> Option<ChannelSettings> {
        for (key, example) in [("name", keys::NAME.example), ("kind", keys::KIND.example)] {
            if !self.raw.values.contains_key(key) {
                self.missing(key, example);
            }
        }
        let (name, kind) = (self.get(&keys::NAME), self.get(&keys::KIND));
        let tags = self.get(&keys::TAGS).unwrap_or_default();
        let (template, success) = (self.get(&keys::TEMPLATE), self.get(&keys::SUCCESS));
        let headers = self.get(&keys::HEADERS).unwrap_or_default();
        let timeout = self.get(&keys::TIMEOUT).or_else(|| keys::TIMEOUT.built_in()).unwrap_or_default();
        self.refuse_unknown(kind);
        if let Some(kind) = kind.filter(|kind| kind.posting.is_none()) {
            for key in [keys::TEMPLATE.name, keys::HEADERS.name, keys::SUCCESS.name] {
                if self.raw.values.contains_key(key) {
                    let why = format!("is nothing for kind {}, which posts nothing by HTTP", kind.name);
                    self.fault(key, ValueFault::new(format!("the key {key}"), why, "nothing: remove it"));
                }
            }
        }
        let kind = kind?;
        let before = self.reader.faults.len();
        let keys = self.keys_of(kind);
        let are_read = self.reader.faults.len() == before;
        let (named, name) = (name.is_some(), name.unwrap_or_default());
        let channel = ChannelSettings { name, kind, tags, keys, headers, template, success, timeout };
        // A key that is missing or cannot be read is told already.
        let is_read = |key: &Key| channel.keys.contains_key(key.name);
        let is_wanted = |key: &Key| key.required || self.raw.values.contains_key(key.name);
        let is_whole = kind.keys.iter().all(|key| is_read(key) || !is_wanted(key));
        if kind == &email::KIND && is_whole {
            for (key, fault) in email::for_each_recipient(&channel).err().unwrap_or_default() {
                self.fault(key, fault);
            }
        }
        for (key, fault) in check::faults(&channel).into_iter().filter(|_| are_read) {
            self.fault(key, fault);
        }
        named.then_some(channel)
    }

    fn fault(&mut self, key: &str, fault: ValueFault) {
        let origin = origin_of(self.raw, key, self.reader);
        self.reader.fault(&format!("{CHANNELS}.{key}"), &origin, fault);
    }

    fn missing(&mut self, key: &str, example: &str) {
        let origin = Origin::File(self.reader.file.path.clone(), self.raw.line);
        let remedy = format!("{key} = {example} below [[{CHANNELS}]], with your own value");
        self.reader.fault(CHANNELS, &origin, ValueFault::new(format!("the key {key}"), "is missing", remedy));
    }

    fn get<T>(&mut self, key: &Field<T>) -> Option<T> {
        let (value, _) = self.raw.values.get(key.name)?;
        let parsed = key.parse(value, &mut self.reader.context);
        parsed.map_err(|faults| faults.into_iter().for_each(|fault| self.fault(key.name, fault))).ok()
    }

    /// Keys that this kind does not have; where the kind is not known, those that none has.
    fn refuse_unknown(&mut self, kind: Option<&'static ChannelKind>) {
        let kinds = || KINDS.iter().filter(|one| kind.is_none_or(|kind| kind == *one));
        let of_kinds = || kinds().flat_map(|kind| kind.keys).map(|key| key.name);
        let common = || CHANNEL_KEYS.iter().map(|about| about.name);
        for key in self.raw.values.keys() {
            if common().chain(of_kinds()).any(|known| known == key) {
                continue;
            }
            let what = match kind {
                Some(kind) => format!("the key {} of kind {}", quote(key), kind.name),
                None => format!("the key {}", quote(key)),
            };
            let also = CHANNEL_KEYS.iter().map(|about| (about.name, about.also));
            let near = nearest(key, also.chain(of_kinds().map(|name| (name, &[][..]))));
            let known = || format!("one of {}", common().chain(of_kinds()).collect::<Vec<_>>().join(", "));
            self.fault(key, ValueFault::unknown(what, near.map(str::to_owned), known));
        }
    }

    fn keys_of(&mut self, kind: &'static ChannelKind) -> BTreeMap<&'static str, Secret> {
        if kind.name == "sns" && !self.reader.has_aws {
            let remedy = "another kind, or take a build with AWS";
            self.fault("kind", ValueFault::new("\"sns\"", NO_AWS, remedy));
        }
        let mut values = BTreeMap::new();
        for key in kind.keys {
            let Some((value, _)) = self.raw.values.get(key.name) else {
                if key.required {
                    self.missing(key.name, key.example);
                }
                continue;
            };
            let checked =
                value_of(value, &self.reader.context).and_then(|text| self.checked(key, text).map_err(Into::into));
            match checked {
                Ok(text) => drop(values.insert(key.name, Secret::new(text))),
                Err(faults) => faults.into_iter().for_each(|fault| self.fault(key.name, fault)),
            }
        }
        values
    }

    /// What can be told of a value by itself: of a URL that it is one, of an ARN that it is that of a topic.
    fn checked(&mut self, key: &Key, text: String) -> Result<String, ValueFault> {
        if key.name == "topic_arn" {
            let faults = parsers::topic_arn(&text.clone().into(), &super::keys::TOPIC_ARN, &mut self.reader.context);
            return faults.map_err(|mut faults| faults.swap_remove(0));
        }
        if !is_url(key) {
            return Ok(text);
        }
        // What was found is not shown: with many services the path is the secret.
        let wanted = || format!("http or https with a host, such as {}", key.example);
        let url = configs_url::check(&text).map_err(|fault| ValueFault::new("the URL", fault.why, wanted()))?;
        Ok(url.into())
    }
}

pub(super) fn is_url(key: &Key) -> bool {
    key.name == "url" && key.example.contains("http")
}

/// A channel as it may be shown.
fn shown(channel: &ChannelSettings) -> Value {
    let mut shown = Map::from_iter([("kind".to_owned(), json!(channel.kind.name))]);
    for key in channel.kind.keys {
        let Some(value) = channel.keys.get(key.name) else { continue };
        let text = match Url::parse(value.reveal()) {
            Ok(url) if url.has_host() => format!("{}/***", host_of(value)),
            _ if key.secret => "***".to_owned(),
            _ => value.reveal().to_owned(),
        };
        shown.insert(key.name.to_owned(), text.into());
    }
    if !channel.tags.is_empty() {
        shown.insert("tags".into(), json!(channel.tags));
    }
    if !channel.headers.is_empty() {
        shown.insert("headers".into(), (keys::HEADERS.show)(&channel.headers));
    }
    if let Some(template) = &channel.template {
        shown.insert("template".into(), json!(template));
    }
    if let Some(success) = &channel.success {
        shown.insert("success".into(), (keys::SUCCESS.show)(success));
    }
    shown.insert("timeout_seconds".into(), json!(channel.timeout.as_secs()));
    shown.into()
}
