//! Channels that a file names, as settings to be looked through: `[[notify.channel]]`.

use std::collections::BTreeMap;

use super::secrets::Dialect;

/// A channel as the settings would have it.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Channel {
    pub name: String,
    pub kind: String,
    pub keys: BTreeMap<String, String>,
    pub tags: Vec<String>,
    /// What has to be looked at before it is used.
    pub remarks: Vec<String>,
}

impl Channel {
    pub(crate) fn new(name: &str, kind: &str) -> Self {
        let mut name: String = super::words::slug(name).replace(['.', '_'], "-");
        if name.is_empty() || ["sns", "webhook", "terminal"].contains(&name.as_str()) {
            name = format!("{kind}-imported");
        }
        Self { name, kind: kind.to_owned(), ..Self::default() }
    }

    #[must_use]
    pub(crate) fn with(mut self, key: &str, value: impl Into<String>) -> Self {
        self.keys.insert(key.to_owned(), value.into());
        self
    }

    #[must_use]
    pub(crate) fn remark(mut self, remark: impl Into<String>) -> Self {
        self.remarks.push(remark.into());
        self
    }
}

/// The settings of these channels, as TOML.
pub fn to_toml(channels: &[Channel]) -> String {
    let mut text = String::new();
    for channel in channels {
        if !text.is_empty() {
            text.push('\n');
        }
        for remark in &channel.remarks {
            text.push_str(&format!("# {}\n", super::words::name(remark)));
        }
        text.push_str("[[notify.channel]]\n");
        let own = [("name", &channel.name), ("kind", &channel.kind)];
        for (key, value) in own.into_iter().chain(channel.keys.iter().map(|(key, value)| (key.as_str(), value))) {
            text.push_str(&format!("{key} = {}\n", toml::Value::from(value.as_str())));
        }
        if !channel.tags.is_empty() {
            text.push_str(&format!("tags = {}\n", toml::Value::from(channel.tags.clone())));
        }
    }
    text
}

/// A text without references, as the settings write it.
pub(crate) fn literal(text: &str) -> String {
    Dialect::Literal.to_ours(text).0
}
