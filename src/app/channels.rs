//! The channels: which there are, and what carries their alerts.

use std::collections::HashMap;
use std::sync::Arc;

use api_health_actors::ports::Notifier;
use api_health_core::routes::{Route, Routes};

use super::{App, AppError, cloud};
use crate::notify::channel::ChannelSettings;
use crate::notify::email::EmailNotifier;
use crate::notify::named::Named;
use crate::notify::posted::PostedNotifier;
use crate::notify::terminal::TerminalNotifier;
use crate::probe::Client;
use crate::settings::SnsSettings;
use crate::telemetry;

/// Where alerts for the terminal are written.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Screen {
    Stdout {
        colour: bool,
    },
    /// Standard output is JSON.
    Stderr,
}

impl App {
    /// The names of the channels that are set, as they stand in the record of what was delivered.
    pub fn channels(&self) -> Vec<&str> {
        let notify = &self.settings.notify;
        let set = [("sns", notify.sns.is_some()), ("webhook", notify.webhook.is_some()), ("terminal", notify.terminal)];
        let old = set.into_iter().filter(|(_, is_set)| *is_set).map(|(channel, _)| channel);
        old.chain(notify.channels.iter().map(|channel| channel.name.as_str())).collect()
    }

    /// The tags by which alerts go to some channels alone.
    pub fn tags_of_channels(&self) -> HashMap<String, Vec<String>> {
        let tagged = self.settings.notify.channels.iter().filter(|channel| !channel.tags.is_empty());
        tagged.map(|channel| (channel.name.clone(), channel.tags.clone())).collect()
    }

    /// Which alert goes where.
    pub fn routes(&self) -> Routes {
        let mut tags = self.tags_of_channels();
        let route =
            |channel: &str| Route { channel: channel.to_owned(), tags: tags.remove(channel).unwrap_or_default() };
        Routes::new(self.channels().into_iter().map(route).collect())
    }

    /// Every channel that is set, ready to be moved to the thread that will own it. `stays`: for a daemon, which looks now and then
    /// whether anybody hears a topic.
    ///
    /// # Errors
    /// What cannot be set up, and what to do.
    pub async fn notifiers(
        &self,
        client: &Client,
        screen: Screen,
        stays: bool,
    ) -> Result<Vec<Arc<dyn Notifier>>, AppError> {
        let notify = &self.settings.notify;
        let mut notifiers: Vec<Arc<dyn Notifier>> = Vec::new();
        if let Some(sns) = &notify.sns {
            notifiers.push(cloud::topic(sns, &self.settings, Arc::clone(&self.clock), stays).await?);
        }
        if let Some(webhook) = &notify.webhook {
            notifiers.push(self.posted(client, webhook)?);
        }
        if notify.terminal {
            notifiers.push(self.terminal(screen)?);
        }
        for channel in &notify.channels {
            notifiers.push(self.named(client, channel, screen, stays).await?);
        }
        Ok(notifiers)
    }

    async fn named(
        &self,
        client: &Client,
        channel: &ChannelSettings,
        screen: Screen,
        stays: bool,
    ) -> Result<Arc<dyn Notifier>, AppError> {
        let inner = match SnsSettings::of(channel) {
            Some(sns) => cloud::topic(&sns, &self.settings, Arc::clone(&self.clock), stays).await?,
            None => match channel.kind.name {
                "terminal" => self.terminal(screen)?,
                "email" => return self.email(client, channel),
                _ => return self.posted(client, channel),
            },
        };
        Ok(Arc::new(Named::new(channel.name.clone(), inner)))
    }

    fn posted(&self, client: &Client, channel: &ChannelSettings) -> Result<Arc<dyn Notifier>, AppError> {
        let (environment, clock) = (self.settings.environment.clone(), Arc::clone(&self.clock));
        let notifier =
            PostedNotifier::new(client, channel.clone(), environment, clock).map_err(AppError::Unavailable)?;
        Ok(Arc::new(match self.settings.notify.in_files.get(&channel.name).cloned() {
            Some(in_files) => notifier.with_read_again(move || in_files.read_again()),
            None => notifier,
        }))
    }

    fn email(&self, client: &Client, channel: &ChannelSettings) -> Result<Arc<dyn Notifier>, AppError> {
        let (environment, clock) = (self.settings.environment.clone(), Arc::clone(&self.clock));
        let notifier = EmailNotifier::new(client.clone(), channel, environment, clock);
        let notifier = notifier.map_err(|why| AppError::Unavailable(format!("channel {}: {why}", channel.name)))?;
        Ok(Arc::new(match self.settings.notify.in_files.get(&channel.name).cloned() {
            Some(in_files) => notifier.with_read_again(move || in_files.read_again()),
            None => notifier,
        }))
    }

    fn terminal(&self, screen: Screen) -> Result<Arc<dyn Notifier>, AppError> {
        let (environment, clock) = (self.settings.environment.clone(), Arc::clone(&self.clock));
        let notifier = match screen {
            Screen::Stdout { colour } => TerminalNotifier::new(std::io::stdout(), environment, colour, clock)
                .map(|notifier| notifier.with_priorities(telemetry::is_journal(std::io::stdout()))),
            Screen::Stderr => TerminalNotifier::new(std::io::stderr(), environment, false, clock),
        };
        let notifier = notifier.map_err(|error| AppError::Internal(format!("no thread for the terminal: {error}")))?;
        Ok(Arc::new(notifier))
    }
}
