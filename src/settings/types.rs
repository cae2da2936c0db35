//! The settings in force: typed, validated, each with its unit. What a person writes is in `raw`.

use std::collections::BTreeMap;
use std::net::SocketAddr;
use std::path::PathBuf;
use std::time::Duration;

use api_health_core::Secret;
use api_health_core::own::records::Role;
use api_health_web::Access;
use api_health_web::model::MetricsPerApi;

use super::in_files::InFiles;
use crate::configs::defaults::ApiDefaults;
use crate::notify::channel::ChannelSettings;
use crate::probe::guard::Allowed;

/// Where states and, unless told otherwise, API configs are kept: `[store]`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct StoreSettings {
    pub kind: StoreKind,
    /// The SQLite file. Unused with DynamoDB.
    pub path: PathBuf,
    /// The DynamoDB table of API configs. Unused with SQLite.
    pub config_table: String,
    /// The DynamoDB table of states. Unused with SQLite.
    pub state_table: String,
    /// How long a write that changes no decision may wait.
    pub checkpoint: Duration,
    /// How often a heartbeat is written; `None`: never.
    pub heartbeat: Option<Duration>,
}

/// The stores that there are.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum StoreKind {
    /// A file of our own.
    #[default]
    Sqlite,
    /// Tables in AWS.
    Dynamodb,
}

/// What is kept of the past: `[history]`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct HistorySettings {
    pub enabled: bool,
    /// How often the present day of each API is written.
    pub flush: Duration,
    /// The DynamoDB table. Unused with SQLite.
    pub table: String,
}

/// Where API configs come from: `[apis]`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ApisSettings {
    /// TOML files of `[[api]]` tables, and folders of them.
    pub files: Vec<PathBuf>,
    /// Whether the store's table is read as well.
    pub from_store: bool,
    /// How often a source is read again that cannot tell cheaply whether it changed.
    pub reload: Duration,
}

/// Who is told: `[notify]`. There is at least one channel.
#[derive(Clone, Debug, PartialEq)]
pub struct NotifySettings {
    /// `[notify.webhook]`, as a channel of the kind of this name.
    pub webhook: Option<ChannelSettings>,
    /// An SNS topic.
    pub sns: Option<SnsSettings>,
    pub terminal: bool,
    /// Those with names of their own.
    pub channels: Vec<ChannelSettings>,
    /// By name, those of which something stands in a file: it is read again before each attempt.
    pub in_files: BTreeMap<String, InFiles>,
    /// More alerts than this within seconds go to a channel together; 0: never.
    pub digest_above: usize,
}

/// Scheme, host and port of a URL that was checked when it was read.
pub(super) fn host_of(url: &Secret) -> String {
    match url::Url::parse(url.reveal()) {
        Ok(url) => url[..url::Position::BeforePath].to_owned(), // a user name before the host is refused
        Err(_) => "***".into(),
    }
}

/// `[notify.sns]`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct SnsSettings {
    /// `arn:aws:sns:REGION:ACCOUNT:NAME`, checked for its form. The name of a FIFO topic ends in `.fifo`.
    pub topic_arn: String,
    /// Whether subscriptions by https get the form of a chat in place of the machine form.
    pub chat: bool,
}

impl NotifySettings {
    /// Every topic that alerts are published to.
    pub fn topics(&self) -> Vec<SnsSettings> {
        self.sns.iter().cloned().chain(self.channels.iter().filter_map(SnsSettings::of)).collect()
    }
}

impl SnsSettings {
    /// The topic of a channel, if it is one.
    pub fn of(channel: &ChannelSettings) -> Option<Self> {
        let topic_arn = channel.keys.get("topic_arn").filter(|_| channel.kind.name == "sns")?.reveal().to_owned();
        Some(Self { topic_arn, chat: channel.keys.get("chat").is_some_and(|chat| chat.reveal() == "true") })
    }

    /// Whether the topic is a FIFO topic.
    pub fn is_fifo(&self) -> bool {
        self.topic_arn.ends_with(".fifo")
    }

    /// The region that the topic is in; the whole text where that is no ARN.
    pub fn region(&self) -> &str {
        self.topic_arn.split(':').nth(3).unwrap_or(&self.topic_arn)
    }
}

/// Who is told outside that this monitor works: `[heartbeat_out]`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct HeartbeatOutSettings {
    /// A secret, as that of a webhook is.
    pub url: Secret,
    pub every: Duration,
    pub form: BeatForm,
    pub token: Option<Secret>,
}

/// What is sent there.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum BeatForm {
    Healthchecks,
    Kuma,
    Gatus,
    #[default]
    Plain,
}

/// How probes are made: `[probe]`.
#[derive(Clone, Debug, PartialEq)]
pub struct ProbeSettings {
    /// What rows mean where they say nothing.
    pub defaults: ApiDefaults,
    /// Whether each API has its own slot inside its tick; if not, all fire at the tick.
    pub spread: bool,
    /// Probes under way at once.
    pub max_in_flight: usize,
    /// Of them, to one host.
    pub max_in_flight_per_host: usize,
    /// Whom to turn to about its probes: it stands in the User-Agent.
    pub contact: Option<String>,
    /// Bytes of a response body that are read at most.
    pub body_bytes_max: usize,
    pub resolver: ResolverKind,
    /// A PEM file of certificate authorities that are trusted beside the system's.
    pub extra_roots: Option<PathBuf>,
    /// Link-local networks that may be probed.
    pub allowed: Allowed,
}

/// Who looks names up.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum ResolverKind {
    /// We ourselves, by the name servers of this machine.
    #[default]
    Own,
    /// The C library.
    System,
}

/// How it is found out whether our own network is well: `[network]`.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct NetworkSettings {
    /// Who is asked, as `host:port`, beside those that are asked in any case.
    pub witnesses: Vec<String>,
}

/// `[run]`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct RunSettings {
    /// How long a clean stop may take before probes in flight are cut.
    pub shutdown: Duration,
}

/// How the tables are shared with other processes: `[fleet]`. An SQLite file is not shared.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct FleetSettings {
    /// What this process is there for.
    pub role: Role,
    /// How many workers should live; `None`: whatever there is.
    pub expected: Option<usize>,
    /// How long a worker that has gone silent keeps its APIs while others live.
    pub lease: Duration,
    /// How often a lease is renewed while others live.
    pub renew: Duration,
    /// An alert that the store holds up for 30 seconds is told anyway.
    pub fail_open: bool,
}

/// `[log]`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct LogSettings {
    /// A level (`info`) or a filter of `tracing` (`info,api_health::probe=debug`), checked for its form.
    pub level: String,
    /// How a line looks.
    pub format: LogFormat,
}

/// How a line of the log looks.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum LogFormat {
    /// Text on a terminal, JSON elsewhere.
    #[default]
    Auto,
    Text,
    /// One JSON object per line.
    Json,
}

/// The page, the JSON API and the metrics: `[web]`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct WebSettings {
    pub enabled: bool,
    /// At least one.
    pub listen: Vec<SocketAddr>,
    /// Who may look. Where an address is not of loopback, somebody may from elsewhere.
    pub access: Access,
    /// Where public pages may be framed.
    pub embed_origins: Vec<String>,
    /// The zone in which times are shown.
    pub timezone: String,
    pub metrics_per_api: MetricsPerApi,
}
