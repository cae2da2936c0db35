//! The keys of `api-health.toml`, in one table: what is read, what is suggested for a misspelt key, what
//! `settings show` lists, and what `docs/configuration.md` says (a test compares).

use std::str::FromStr;

use crate::configs::fields::{self, Bounds, Field};

/// One key of the settings.
#[derive(Clone, Copy, Debug)]
pub struct Key {
    /// Its dotted name, type, default, bounds and meaning.
    pub field: Field,
    /// The environment variable that wins over the file.
    pub env: Option<&'static str>,
    /// Whether its value is never shown.
    pub secret: bool,
}

impl Key {
    const fn of(field: Field) -> Self {
        Self { field, env: None, secret: false }
    }

    const fn env(self, name: &'static str) -> Self {
        Self { env: Some(name), ..self }
    }

    const fn secret(self) -> Self {
        Self { secret: true, ..self }
    }

    /// The value that stands in the table where nothing is written; nothing of its type, where that hangs on something else.
    pub fn default<T: FromStr + Default>(&self) -> T {
        self.field.default.parse().unwrap_or_default()
    }

    /// The dotted name.
    pub const fn name(&self) -> &'static str {
        self.field.name
    }
}

const fn text(
    name: &'static str,
    default: &'static str,
    bounds: &'static str,
    meaning: &'static str,
    example: &'static str,
) -> Key {
    Key::of(Field::text(name, default, bounds, meaning, example))
}

const fn path(name: &'static str, default: &'static str, meaning: &'static str, example: &'static str) -> Key {
    text(name, default, "a path; a relative one begins where the settings file is", meaning, example)
}

const fn seconds(
    name: &'static str,
    default: &'static str,
    bounds: (u64, u64),
    meaning: &'static str,
    example: &'static str,
) -> Key {
    Key::of(Field::number(name, "seconds", default, bounds, meaning, example))
}

const fn flag(name: &'static str, default: &'static str, meaning: &'static str, example: &'static str) -> Key {
    Key::of(Field::flag(name, default, meaning, example))
}

/// What an API's field of that name means where a row does not say it.
const fn default_of(name: &'static str, field: Field) -> Key {
    Key::of(field.named(name, "The default of the API field of this name."))
}

pub(super) const ENVIRONMENT: Key = text(
    "environment",
    "local",
    "1 to 64 characters, no control characters",
    "The name of this deployment; it stands in every alert.",
    "\"production\"",
)
.env("APP_ENVIRONMENT");
pub(super) const REGION: Key = text(
    "region",
    "the AWS chain",
    "letters, digits and -, at most 32",
    "The AWS region of the tables and the topic.",
    "\"eu-central-1\"",
)
.env("AWS_REGION");
pub(super) const STORE_KIND: Key = text(
    "store.kind",
    "sqlite; dynamodb if DDB_CONFIG_TABLE or DDB_STATE_TABLE is set in the environment",
    "sqlite, dynamodb",
    "Where states and API configs are kept.",
    "\"dynamodb\"",
);
pub(super) const STORE_PATH: Key = path(
    "store.path",
    "api-health.db in the working directory, or in STATE_DIRECTORY if systemd sets it",
    "The SQLite file.",
    "\"/var/lib/api-health/api-health.db\"",
);
const TABLE_NAME: &str = "3 to 255 characters of A-Z a-z 0-9 . _ -";
pub(super) const CONFIG_TABLE: Key = text(
    "store.config_table",
    "api_health_configs",
    TABLE_NAME,
    "The DynamoDB table of API configs.",
    "\"api_health_configs\"",
)
.env("DDB_CONFIG_TABLE");
pub(super) const STATE_TABLE: Key = text(
    "store.state_table",
    "api_health_states",
    TABLE_NAME,
    "The DynamoDB table of states.",
    "\"api_health_states\"",
)
.env("DDB_STATE_TABLE");
pub(super) const CHECKPOINT: Key = seconds(
    "store.checkpoint_seconds",
    "10 with sqlite, 3600 with dynamodb",
    (1, 86_400),
    "How long a write that changes no decision may wait.",
    "60",
);
pub(super) const HEARTBEAT: Key = seconds(
    "store.heartbeat_seconds",
    "60",
    (0, 86_400),
    "How often one record is written that says how everything stands; 0 writes none.",
    "60",
);
pub(super) const APIS_FILE: Key = text(
    "apis.file",
    "none",
    "a path, or a list of at most 1000; a relative one begins where the settings file is; a folder stands for the *.toml in it",
    "TOML files of [[api]] tables, watched beside the store's table.",
    "[\"apis.toml\", \"apis.d\"]",
);
pub(super) const APIS_FROM_STORE: Key = flag(
    "apis.from_store",
    "true",
    "Whether the store's table of API configs is read; false needs apis.file.",
    "false",
);
pub(super) const APIS_RELOAD: Key = seconds(
    "apis.reload_seconds",
    "60",
    (5, 86_400),
    "How often a table is read again. A file is read again when it changes.",
    "60",
);
pub(super) const WEBHOOK_URL: Key = text(
    "notify.webhook.url",
    "none",
    "http or https with a host, at most 2048 characters",
    "Where alerts are posted as JSON. It may hold `${env:NAME}`, `${file:PATH}` and `${credential:NAME}`; no more of it than its host is shown.",
    "\"https://hooks.example.com/T0/B0\"",
)
.secret();
pub(super) const WEBHOOK_SECRET: Key = text(
    "notify.webhook.secret",
    "none",
    "at most 1024 bytes",
    "The key of the HMAC-SHA256 signature. It may hold `${env:NAME}`, `${file:PATH}` and `${credential:NAME}`.",
    "\"${env:WEBHOOK_SECRET}\"",
)
.secret();
pub(super) const WEBHOOK_TIMEOUT: Key =
    seconds("notify.webhook.timeout_seconds", "10", (1, 15), "Bound on one attempt to post.", "10");
pub(super) const TOPIC_ARN: Key = text(
    "notify.sns.topic_arn",
    "none",
    "arn:aws:sns:REGION:ACCOUNT:NAME; the name of a FIFO topic ends in .fifo",
    "The SNS topic that alerts are published to.",
    "\"arn:aws:sns:eu-central-1:123456789012:api-health\"",
)
.env("SNS_TOPIC_ARN");
pub(super) const TERMINAL: Key = flag(
    "notify.terminal.enabled",
    "true if [notify.terminal] is there, or nothing else is configured",
    "Whether alerts are printed.",
    "true",
);
pub(super) const TIMEOUT: Key = default_of("probe.timeout_seconds", fields::TIMEOUT_SECONDS);
pub(super) const SCHEDULE: Key = default_of("probe.schedule", fields::SCHEDULE);
pub(super) const TIMEZONE: Key = default_of("probe.timezone", fields::TIMEZONE);
pub(super) const INTERVAL: Key = default_of("probe.interval_seconds", fields::INTERVAL_SECONDS);
pub(super) const EXPECTED_STATUS: Key = default_of("probe.expected_status", fields::EXPECTED_STATUS);
pub(super) const FAILURE_THRESHOLD: Key = default_of("probe.failure_threshold", fields::FAILURE_THRESHOLD);
pub(super) const SUCCESS_THRESHOLD: Key = default_of("probe.success_threshold", fields::SUCCESS_THRESHOLD);
pub(super) const RECHECK: Key = default_of("probe.recheck_seconds", fields::RECHECK_SECONDS);
pub(super) const UNCLEAR_AFTER: Key = default_of("probe.unclear_after_seconds", fields::UNCLEAR_AFTER_SECONDS);
pub(super) const MAX_REDIRECTS: Key = default_of("probe.max_redirects", fields::MAX_REDIRECTS);
pub(super) const SPREAD: Key = flag(
    "probe.spread",
    "true",
    "Whether each API has its own slot inside its tick; with false all fire at the tick.",
    "false",
);
pub(super) const MAX_IN_FLIGHT: Key = Key::of(Field::number(
    "probe.max_in_flight",
    "probes",
    "4096",
    (1, 65_535),
    "Probes under way at once. Each takes a file descriptor.",
    "4096",
));
pub(super) const BODY_BYTES_MAX: Key = Key::of(Field::number(
    "probe.body_bytes_max",
    "bytes",
    "1048576",
    (1_024, 67_108_864),
    "How much of a response's body is read; what is longer is cut there.",
    "1048576",
));
pub(super) const EXTRA_ROOTS: Key = path(
    "probe.extra_roots",
    "none",
    "A PEM file of certificate authorities that are trusted beside the system's.",
    "\"/etc/ssl/private-ca.pem\"",
);
pub(super) const WITNESSES: Key = text(
    "network.witnesses",
    "none",
    "HOST:PORT, or a list of at most 16",
    "Who is asked, beside the name servers, the endpoints of AWS in use and the other APIs, whether our own network is well when an API cannot be reached.",
    "[\"1.1.1.1:443\", \"gateway.example.com:443\"]",
);
pub(super) const SHUTDOWN: Key = seconds(
    "run.shutdown_seconds",
    "10",
    (1, 300),
    "How long a clean stop may take before probes in flight are cut.",
    "10",
);
pub(super) const FLEET_ROLE: Key = text(
    "fleet.role",
    "worker",
    "worker, standby",
    "What this process is there for among those that share the tables: its share of the APIs, or all of them when no worker lives.",
    "\"standby\"",
);
pub(super) const FLEET_EXPECTED: Key = Key::of(Field::number(
    "fleet.expected",
    "workers",
    "0",
    (0, 100),
    "How many workers should live, standbys among them; fewer for a minute are told as api-health:fleet. 0 expects none in particular.",
    "2",
));
pub(super) const FLEET_LEASE: Key = seconds(
    "fleet.lease_seconds",
    "10",
    (5, 60),
    "How long a worker that has gone silent keeps its APIs while others live.",
    "10",
);
pub(super) const FLEET_RENEW: Key = seconds(
    "fleet.renew_seconds",
    "3",
    (1, 20),
    "How often a lease is renewed while others live; at most a third of it.",
    "3",
);
pub(super) const FLEET_FAIL_OPEN: Key = flag(
    "fleet.fail_open",
    "true",
    "Whether an alert that the store holds up for 30 seconds is sent anyway: better twice than never.",
    "false",
);
pub(super) const LOG_LEVEL: Key = text(
    "log.level",
    "info",
    "error, warn, info, debug, trace, off, or a filter such as info,api_health::probe=debug",
    "What is logged.",
    "\"debug\"",
)
.env("API_HEALTH_LOG");
pub(super) const LOG_FORMAT: Key = text(
    "log.format",
    "auto",
    "auto, text, json",
    "How a line of the log looks; auto is text on a terminal and in systemd's journal, and JSON elsewhere.",
    "\"json\"",
);

/// Every key, in the order in which documentation and `settings show` list them.
pub const KEYS: [&Key; 39] = [
    &ENVIRONMENT,
    &REGION,
    &STORE_KIND,
    &STORE_PATH,
    &CONFIG_TABLE,
    &STATE_TABLE,
    &CHECKPOINT,
    &HEARTBEAT,
    &APIS_FILE,
    &APIS_FROM_STORE,
    &APIS_RELOAD,
    &WEBHOOK_URL,
    &WEBHOOK_SECRET,
    &WEBHOOK_TIMEOUT,
    &TOPIC_ARN,
    &TERMINAL,
    &TIMEOUT,
    &SCHEDULE,
    &TIMEZONE,
    &INTERVAL,
    &EXPECTED_STATUS,
    &FAILURE_THRESHOLD,
    &SUCCESS_THRESHOLD,
    &RECHECK,
    &UNCLEAR_AFTER,
    &MAX_REDIRECTS,
    &SPREAD,
    &MAX_IN_FLIGHT,
    &BODY_BYTES_MAX,
    &EXTRA_ROOTS,
    &WITNESSES,
    &SHUTDOWN,
    &FLEET_ROLE,
    &FLEET_EXPECTED,
    &FLEET_LEASE,
    &FLEET_RENEW,
    &FLEET_FAIL_OPEN,
    &LOG_LEVEL,
    &LOG_FORMAT,
];

/// What the AWS SDK reads for itself; listed by `settings show`, since it decides where calls go.
pub const READ_BY_THE_SDK: [&str; 4] =
    ["AWS_ENDPOINT_URL", "AWS_ENDPOINT_URL_DYNAMODB", "AWS_ENDPOINT_URL_SNS", "AWS_PROFILE"];

/// The words of a bound that lists its values: `sqlite, dynamodb`.
pub(super) fn one_of(key: &Key) -> String {
    match key.field.bounds {
        Bounds::Words(words) => format!("one of {words}"),
        Bounds::Number(..) => key.field.bounds.to_string(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_number_and_flag_has_a_default_of_its_type() {
        let hang_on_others = ["store.checkpoint_seconds", "probe.interval_seconds", "probe.unclear_after_seconds", "notify.terminal.enabled"];
        for key in KEYS.into_iter().filter(|key| !hang_on_others.contains(&key.name())) {
            let (name, default) = (key.name(), key.field.default);
            match key.field.bounds {
                Bounds::Number(least, most) => {
                    assert!(default.parse().is_ok_and(|n| (least..=most).contains(&n)), "{name}: {default}");
                }
                Bounds::Words(_) => {
                    assert!(key.field.kind != "true or false" || default.parse::<bool>().is_ok(), "{name}");
                }
            }
        }
    }

    #[test]
    fn every_probe_default_has_the_bounds_of_its_field() {
        for key in KEYS {
            if let Some(field) =
                key.name().strip_prefix("probe.").and_then(|n| fields::FIELDS.iter().find(|f| f.name == n))
            {
                assert_eq!((key.field.bounds, key.field.default), (field.bounds, field.default), "{}", field.name);
            }
        }
    }
}
