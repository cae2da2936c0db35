//! Channels that a file names, as settings to be looked through: `[[notify.channel]]`.

use std::collections::BTreeMap;

/// What another program calls a kind of channel, our kind, and the keys of both. What has a `!` is no secret.
pub(crate) type Known = (&'static str, &'static str, &'static [(&'static str, &'static str)]);

/// So long is a name before what makes it unique; the settings take 32 characters.
const NAME_CHARS: usize = 20;

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
    pub(crate) fn new(wanted: &str, kind: &str) -> Self {
        Self::beside(&[], wanted, kind)
    }

    /// One with a name that none of `others` has.
    pub(crate) fn beside(others: &[Self], wanted: &str, kind: &str) -> Self {
        let mut base: String = super::words::slug(wanted).replace(['.', '_'], "-");
        base.truncate(NAME_CHARS);
        let mut base = base.trim_matches('-').to_owned();
        if base.is_empty() || ["sns", "webhook", "terminal"].contains(&base.as_str()) {
            base = format!("{kind}-imported");
        }
        let is_free = |name: &str| others.iter().all(|other| other.name != name);
        let mut name = base.clone();
        let mut nth = 1;
        while !is_free(&name) {
            name = if nth == 1 && !kind.is_empty() { format!("{base}-{kind}") } else { format!("{base}-{nth}") };
            nth += 1;
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

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_channel_has_a_name_of_its_own_that_the_settings_take() {
        let mut channels = Vec::new();
        for wanted in [
            "Ops: the Whole Team, Night & Day",
            "Ops: the Whole Team, Night & Day",
            "Ops: the Whole Team, Night & Day",
            "sns",
            "…",
        ] {
            channels.push(Channel::beside(&channels, wanted, "rocketchat"));
        }
        let names: Vec<&str> = channels.iter().map(|channel| channel.name.as_str()).collect();
        let want = [
            "ops-the-whole-team-n",
            "ops-the-whole-team-n-rocketchat",
            "ops-the-whole-team-n-2",
            "rocketchat-imported",
            "rocketchat-imported-rocketchat",
        ];
        assert_eq!(names, want);
        assert!(names.iter().all(|name| name.len() <= 32));
    }
}
