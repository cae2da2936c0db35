//! What of a channel stands in files, which may get another content while the program runs.

use std::collections::BTreeMap;

use api_health_core::Secret;
use serde_json::Value;

use super::channel_keys::{HEADERS, as_written};
use super::channels::is_url;
use crate::configs::secrets::{SystemSecrets, has_file_reference, resolve};
use crate::configs::url as configs_url;
use crate::notify::channel::ChannelSettings;
use crate::notify::email;

/// A channel, and those of its keys and headers as they are written that files stand for, or for a part of them.
#[derive(Clone, Debug, PartialEq)]
pub struct InFiles {
    channel: ChannelSettings,
    /// Each with the bytes that it may have.
    keys: BTreeMap<&'static str, (Secret, usize)>,
    headers: Vec<(String, Secret)>,
}

impl InFiles {
    /// By what is `written` for each key, and how many bytes it may have; `None`: nothing of it is in a file.
    pub(super) fn of<'a>(
        written: impl Fn(&str) -> Option<(&'a Value, usize)>,
        channel: &ChannelSettings,
    ) -> Option<Self> {
        let in_files = |text: String| has_file_reference(&text).then(|| Secret::new(text));
        let key = |key: &&'static str| {
            let (value, bytes_max) = written(key)?;
            Some((*key, (in_files(as_written(value).ok()?)?, bytes_max)))
        };
        // Each recipient is a channel, so who they are is read once.
        let keys = channel.keys.keys().filter(|key| channel.kind.name != email::KIND.name || **key != email::TO.name);
        let keys: BTreeMap<&'static str, (Secret, usize)> = keys.filter_map(key).collect();
        let headers = written(HEADERS.name).and_then(|(value, _)| value.as_object()).into_iter().flatten();
        let headers: Vec<(String, Secret)> =
            headers.filter_map(|(name, value)| Some((name.clone(), in_files(value.as_str()?.to_owned())?))).collect();
        let is_any = !keys.is_empty() || !headers.is_empty();
        is_any.then(|| Self { channel: channel.clone(), keys, headers })
    }

    /// The channel with what the files hold now; `None` where not all of it can be used.
    pub fn read_again(&self) -> Option<ChannelSettings> {
        let mut again = self.channel.clone();
        let filled_in = |text: &Secret, bytes_max: usize| {
            let text = resolve(text.reveal(), &SystemSecrets, bytes_max).ok()?;
            (!text.trim().is_empty()).then_some(text)
        };
        for (key, (text, bytes_max)) in &self.keys {
            let text = filled_in(text, *bytes_max)?;
            let is_url = again.kind.keys.iter().any(|known| known.name == *key && is_url(known));
            let text = if is_url { configs_url::check(&text).ok()?.into() } else { text };
            again.keys.insert(key, Secret::new(text));
        }
        for (name, text) in &self.headers {
            let text = filled_in(text, HEADERS.kind.length_max())?;
            if text.contains(|c: char| !c.is_ascii() || (c.is_ascii_control() && c != '\t')) {
                return None;
            }
            again.headers.iter_mut().find(|(known, _)| known == name)?.1 = Secret::new(text);
        }
        Some(again)
    }
}
