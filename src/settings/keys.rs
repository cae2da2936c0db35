//! The keys of `api-health.toml`, in one table. `docs/configuration.md` lists them too, and a test compares.

use std::collections::BTreeMap;
use std::net::SocketAddr;
use std::path::PathBuf;
use std::time::Duration;

use api_health_core::maintenance::Window;
use api_health_core::own::records::Role;
use api_health_core::{Secret, StatusSet};
use api_health_web::access::{Prefix, TokenHash};
use api_health_web::model::MetricsPerApi;

use super::types::{BeatForm, LogFormat, ResolverKind, StoreKind};
use super::{contact, parsers, proxy, web};
use crate::configs::field::{Field, ValueKind, table};
use crate::configs::kinds::{PATH_CHARS_MAX, choice, flag, number, path, seconds, secret, text};
use crate::configs::{fields, shared_windows, url};
use crate::probe::guard::Network;

/// The longest text of any other setting.
const CHARS_MAX: usize = 1024;
/// As many characters as fit beside the rest into the subject of an e-mail.
const ENVIRONMENT_CHARS_MAX: usize = 64;
/// The longest key of a signature; HMAC hashes anything over 64 bytes down to 32.
pub(super) const SECRET_BYTES_MAX: usize = 1024;
/// The most files and folders of APIs.
const PATHS_MAX: usize = 1_000;

const TABLE_NAME: &str = "3 to 255 characters of A-Z a-z 0-9 . _ -";

/// What an API's field means where a row does not say it.
const fn default_of<T>(name: &'static str, field: Field<T>) -> Field<T> {
    field.named(name).means("The default of the API field of this name.", field.about.example)
}

table! { KEYS
    ENVIRONMENT: String = text("environment", ENVIRONMENT_CHARS_MAX, "1 to 64 characters, no control characters")
        .means("The name of this deployment; it stands in every alert.", "\"production\"")
        .parsed_by(parsers::trimmed).default("local").env("APP_ENVIRONMENT");
    REGION: String = text("region", 32, "letters, digits and -, at most 32")
        .means("The AWS region of the tables and the topic.", "\"eu-central-1\"")
        .parsed_by(parsers::region).otherwise("the AWS chain").env("AWS_REGION");
    PROXY: Secret = fields::proxy("proxy").shown_by(proxy::show)
        .means(
            "The HTTP proxy by way of which APIs, channels and AWS are reached. It may hold a user name and a password, and `${env:NAME}`, `${file:PATH}` and `${credential:NAME}`; no more of it than host and port is shown.",
            "\"http://10.0.0.1:3128\"",
        )
        .otherwise("none; http_proxy, https_proxy, all_proxy and no_proxy in the environment count then");
    STORE_KIND: StoreKind = choice("store.kind")
        .means("Where states and API configs are kept.", "\"dynamodb\"")
        .otherwise("sqlite; dynamodb if DDB_CONFIG_TABLE or DDB_STATE_TABLE is set in the environment");
    STORE_PATH: PathBuf = path("store.path")
        .means("The SQLite file.", "\"/var/lib/api-health/api-health.db\"")
        .otherwise("api-health.db in the working directory, or in STATE_DIRECTORY if systemd sets it");
    CONFIG_TABLE: String = text("store.config_table", CHARS_MAX, TABLE_NAME)
        .means("The DynamoDB table of API configs.", "\"api_health_configs\"")
        .parsed_by(parsers::table).default("api_health_configs").env("DDB_CONFIG_TABLE");
    STATE_TABLE: String = text("store.state_table", CHARS_MAX, TABLE_NAME)
        .means("The DynamoDB table of states.", "\"api_health_states\"")
        .parsed_by(parsers::table).default("api_health_states").env("DDB_STATE_TABLE");
    CHECKPOINT: Duration = seconds("store.checkpoint_seconds", 1, 86_400)
        .means("How long a write that changes no decision may wait.", "60")
        .otherwise("10 with sqlite, 3600 with dynamodb");
    HEARTBEAT: Duration = seconds("store.heartbeat_seconds", 0, 86_400)
        .means("How often one record is written that says how everything stands; 0 writes none.", "60")
        .default("60");
    HISTORY_ENABLED: bool = flag("history.enabled")
        .means("Whether latencies, uptimes and incidents of the past are kept.", "false")
        .default("true");
    HISTORY_FLUSH: Duration = seconds("history.flush_seconds", 1, 86_400)
        .means("How often the present day of each API is written: so much of its latencies a kill costs at most.", "3600")
        .otherwise("300 with sqlite, 21600 with dynamodb");
    HISTORY_TABLE: String = text("history.table", CHARS_MAX, TABLE_NAME)
        .means("The DynamoDB table of history.", "\"api_health_history\"")
        .parsed_by(parsers::table).default("api_health_history").env("DDB_HISTORY_TABLE");
    APIS_FILE: Vec<PathBuf> = Field::new("apis.file", OF_PATHS, parsers::paths, |paths| parsers::show_paths(paths))
        .means("TOML files of [[api]] tables, watched beside the store's table.", "[\"apis.toml\", \"apis.d\"]");
    APIS_FROM_STORE: bool = flag("apis.from_store")
        .means("Whether the store's table of API configs is read; false needs apis.file.", "false")
        .default("true");
    APIS_RELOAD: Duration = seconds("apis.reload_seconds", 5, 86_400)
        .means("How often a table is read again. A file is read again when it changes.", "60")
        .default("60");
    DIGEST_ABOVE: usize = number("notify.digest_above", "alerts", 0, 1_000)
        .means("More alerts than this within 10 s go to a channel together, as a digest; 0 sends each by itself.", "10")
        .default("10");
    WEBHOOK_URL: Secret = Field::new(
            "notify.webhook.url",
            ValueKind::Text(url::CHARS_MAX, "http or https with a host, at most 2048 characters"),
            parsers::webhook_url,
            parsers::show_host,
        )
        .means(
            "Where alerts are posted as JSON. It may hold `${env:NAME}`, `${file:PATH}` and `${credential:NAME}`; no more of it than its host is shown.",
            "\"https://hooks.example.com/T0/B0\"",
        );
    WEBHOOK_SECRET: Secret = secret("notify.webhook.secret", SECRET_BYTES_MAX, "at most 1024 bytes")
        .means(
            "The key of the HMAC-SHA256 signature. It may hold `${env:NAME}`, `${file:PATH}` and `${credential:NAME}`.",
            "\"${env:WEBHOOK_SECRET}\"",
        )
        .parsed_by(parsers::nonempty_secret);
    WEBHOOK_TIMEOUT: Duration = seconds("notify.webhook.timeout_seconds", 1, 15)
        .means("Bound on one attempt to post.", "10")
        .default("10");
    TOPIC_ARN: String = text(
            "notify.sns.topic_arn",
            CHARS_MAX,
            "arn:aws:sns:REGION:ACCOUNT:NAME; the name of a FIFO topic ends in .fifo",
        )
        .means("The SNS topic that alerts are published to.", "\"arn:aws:sns:eu-central-1:123456789012:api-health\"")
        .parsed_by(parsers::topic_arn).env("SNS_TOPIC_ARN");
    SNS_CHAT: bool = flag("notify.sns.chat")
        .means(
            "Whether subscriptions by https get what Amazon Q Developer shows in a chat, in place of the machine form, which it throws away.",
            "true",
        )
        .default("false");
    TERMINAL: bool = flag("notify.terminal.enabled")
        .means("Whether alerts are printed.", "true")
        .otherwise("true if [notify.terminal] is there, or nothing else is configured");
    HEARTBEAT_OUT_URL: Secret = WEBHOOK_URL.named("heartbeat_out.url")
        .means(
            "Who is told again and again that this monitor works, and tells people when that ends. It may hold `${env:NAME}`, `${file:PATH}` and `${credential:NAME}`; no more of it than its host is shown.",
            "\"https://hc-ping.com/${env:HEALTHCHECKS_UUID}\"",
        );
    HEARTBEAT_OUT_EVERY: Duration = seconds("heartbeat_out.every_seconds", 1, 86_400)
        .means("How often. Whoever is told should wait for two of them at least.", "60")
        .default("60");
    HEARTBEAT_OUT_FORM: BeatForm = choice("heartbeat_out.form")
        .means(
            "What is sent: a ping of Healthchecks, a push of Uptime Kuma, the result of an external endpoint of Gatus, or a GET that wants a 2xx.",
            "\"gatus\"",
        )
        .default("plain");
    HEARTBEAT_OUT_TOKEN: Secret = secret("heartbeat_out.token", SECRET_BYTES_MAX, "at most 1024 bytes")
        .means(
            "A bearer token that is sent along. gatus needs one; healthchecks and kuma have theirs in the URL. It may hold `${env:NAME}`, `${file:PATH}` and `${credential:NAME}`.",
            "\"${env:GATUS_TOKEN}\"",
        )
        .parsed_by(parsers::nonempty_secret);
    MAINTENANCE_WINDOWS: Vec<Window> = fields::MAINTENANCE.named("maintenance.windows")
        .means(
            "Windows of every API, beside those that its row has: it is probed as usual and its alerts are held.",
            fields::MAINTENANCE.about.example,
        );
    MAINTENANCE_BY_TAG: BTreeMap<String, Vec<Window>> = shared_windows::by_tag()
        .means(
            "The same for the APIs that have a tag.",
            "{ payments = [\"0 2 * * SUN for 2h\"], \"old shop\" = [\"2026-12-01T22:00:00Z to 2026-12-02T02:00:00Z\"] }",
        );
    TIMEOUT: Duration = default_of("probe.timeout_seconds", fields::TIMEOUT_SECONDS);
    SCHEDULE: String = default_of("probe.schedule", fields::SCHEDULE);
    TIMEZONE: String = default_of("probe.timezone", fields::TIMEZONE);
    INTERVAL: Duration = default_of("probe.interval_seconds", fields::INTERVAL_SECONDS);
    EXPECTED_STATUS: StatusSet = default_of("probe.expected_status", fields::EXPECTED_STATUS);
    FAILURE_THRESHOLD: u32 = default_of("probe.failure_threshold", fields::FAILURE_THRESHOLD);
    SUCCESS_THRESHOLD: u32 = default_of("probe.success_threshold", fields::SUCCESS_THRESHOLD);
    RECHECK: Duration = default_of("probe.recheck_seconds", fields::RECHECK_SECONDS);
    UNCLEAR_AFTER: Duration = default_of("probe.unclear_after_seconds", fields::UNCLEAR_AFTER_SECONDS);
    FLAP_CHANGES: u32 = default_of("probe.flap_changes", fields::FLAP_CHANGES);
    FLAP_WINDOW: Duration = default_of("probe.flap_window_seconds", fields::FLAP_WINDOW_SECONDS);
    REMIND_AFTER: Duration = default_of("probe.remind_after_seconds", fields::REMIND_AFTER_SECONDS);
    MAX_REDIRECTS: u8 = default_of("probe.max_redirects", fields::MAX_REDIRECTS);
    SPREAD: bool = flag("probe.spread")
        .means("Whether each API has its own slot inside its tick; with false all fire at the tick.", "false")
        .default("true");
    MAX_IN_FLIGHT: usize = number("probe.max_in_flight", "probes", 1, 65_535)
        .means("Probes under way at once. Each takes a file descriptor, and two while its name is looked up.", "4096")
        .default("4096");
    MAX_IN_FLIGHT_PER_HOST: usize = number("probe.max_in_flight_per_host", "probes", 1, 65_535)
        .means("Of them, those to one host; more wait their turn.", "1024")
        .default("1024");
    CONTACT: String = text("probe.contact", contact::CHARS_MAX, contact::WORDS)
        .means("Whom the owner of an API may turn to about its probes: it stands in their User-Agent.", "\"https://status.example.com\"")
        .parsed_by(contact::parse);
    BODY_BYTES_MAX: usize = number("probe.body_bytes_max", "bytes", 1_024, 67_108_864)
        .means("How much of a response's body is read; what is longer is cut there.", "1048576")
        .default("1048576");
    RESOLVER: ResolverKind = choice("probe.resolver")
        .means(
            "Who looks names up: own asks the name servers of /etc/resolv.conf itself, system leaves it to the C library.",
            "\"system\"",
        )
        .default("own");
    EXTRA_ROOTS: PathBuf = path("probe.extra_roots")
        .means(
            "A PEM file of certificate authorities that are trusted beside the system's.",
            "\"/etc/ssl/private-ca.pem\"",
        );
    ALLOWED_LINK_LOCAL: Vec<Network> = Field::new(
            "probe.allowed_link_local",
            OF_NETWORKS,
            parsers::networks,
            |networks| parsers::show_texts(&networks.iter().map(ToString::to_string).collect::<Vec<_>>()),
        )
        .means(
            "Networks of link-local services that may be probed, such as those of VPC Lattice. Addresses of metadata and credentials cannot be opened.",
            "[\"169.254.171.0/24\", \"fd00:ec2:80::/64\"]",
        );
    WITNESSES: Vec<String> = Field::new("network.witnesses", OF_WITNESSES, parsers::witnesses, |all| parsers::show_texts(all))
        .means(
            "Who is asked, beside the name servers, the endpoints of AWS in use and the other APIs, whether our own network is well when an API cannot be reached.",
            "[\"1.1.1.1:443\", \"gateway.example.com:443\"]",
        );
    SHUTDOWN: Duration = seconds("run.shutdown_seconds", 1, 300)
        .means("How long a clean stop may take before probes in flight are cut.", "10")
        .default("10");
    FLEET_ROLE: Role = choice("fleet.role")
        .means(
            "What this process is there for among those that share the tables: its share of the APIs, or all of them when no worker lives.",
            "\"standby\"",
        )
        .default("worker");
    FLEET_EXPECTED: usize = number("fleet.expected", "workers", 0, 100)
        .means(
            "How many workers should live, standbys among them; fewer for a minute are told as api-health:fleet. 0 expects none in particular.",
            "2",
        )
        .default("0");
    FLEET_LEASE: Duration = seconds("fleet.lease_seconds", 5, 60)
        .means("How long a worker that has gone silent keeps its APIs while others live.", "10")
        .default("10");
    FLEET_RENEW: Duration = seconds("fleet.renew_seconds", 1, 20)
        .means("How often a lease is renewed while others live; at most a third of it.", "3")
        .default("3");
    FLEET_FAIL_OPEN: bool = flag("fleet.fail_open")
        .means(
            "Whether an alert that the store holds up for 30 seconds is sent anyway: better twice than never.",
            "false",
        )
        .default("true");
    LOG_LEVEL: String = text(
            "log.level",
            CHARS_MAX,
            "error, warn, info, debug, trace, off, or a filter such as info,api_health::probe=debug",
        )
        .means("What is logged.", "\"debug\"")
        .parsed_by(parsers::log_level).default("info").env("API_HEALTH_LOG");
    LOG_FORMAT: LogFormat = choice("log.format")
        .means(
            "How a line of the log looks; auto is text on a terminal and in systemd's journal, and JSON elsewhere.",
            "\"json\"",
        )
        .default("auto");
    WEB_ENABLED: bool = flag("web.enabled")
        .means("Whether `run` shows a page, a JSON API and metrics. `run --once` never does.", "false")
        .default("true");
    WEB_LISTEN: Vec<SocketAddr> = Field::new("web.listen", web::OF_ADDRESSES, web::addresses, |all| web::show(all))
        .means(
            "Where. An address that other machines can reach needs web.tokens, web.trusted_header or web.open.",
            "\"0.0.0.0:8462\"",
        )
        .default("127.0.0.1:8462").env("API_HEALTH_LISTEN");
    WEB_HOSTS: Vec<String> = Field::new("web.hosts", web::OF_HOSTS, web::hosts, |all| web::show(all))
        .means(
            "Names by which people call the page, beside localhost and addresses. Another one is answered with 421: a foreign page could read this one by it.",
            "\"status.example.org\"",
        );
    WEB_TOKENS: Vec<TokenHash> = Field::new("web.tokens", web::OF_TOKENS, web::tokens, |all| web::show_tokens(all))
        .means(
            "Who may look from other machines: whoever sends a token with this SHA-256, as bearer token or as password with any name.",
            "\"sha256:2c26b46b68ffc68ff99b453c1d30413413422d706483bfa0f98a5e886266e7ae\"",
        );
    WEB_TRUSTED_HEADER: String = text("web.trusted_header", web::HEADER_CHARS_MAX, web::HEADER_WORDS)
        .means("The header by which a proxy says that it let somebody in. It counts from web.trusted_proxies alone.", "\"X-Forwarded-User\"")
        .parsed_by(web::header);
    WEB_TRUSTED_PROXIES: Vec<Prefix> = Field::new("web.trusted_proxies", web::OF_PROXIES, web::proxies, |all| web::show(all))
        .means("The proxies whose header counts. They have to take it away from what others send.", "\"10.0.0.5\"");
    WEB_OPEN: bool = flag("web.open").means("Whether anybody may look who can reach the page.", "true").default("false");
    WEB_EMBED_ORIGINS: Vec<String> = Field::new("web.embed_origins", web::OF_ORIGINS, web::origins, |all| web::show(all))
        .means("Sites that may show the public pages in a frame.", "\"https://www.example.org\"");
    WEB_TIMEZONE: String = fields::TIMEZONE.named("web.timezone")
        .means("The time zone in which pages show times.", "\"Europe/Berlin\"");
    WEB_METRICS_PER_API: MetricsPerApi = choice("web.metrics_per_api")
        .means("Which APIs have metrics of their own: 10,000 of them are 20 MB at each scrape.", "\"not_up\"")
        .default("all");
}

const OF_PATHS: ValueKind = ValueKind::TextOrTexts {
    most: PATHS_MAX,
    chars_max: PATH_CHARS_MAX,
    words: "a path, or a list of at most 1000; a relative one begins where the settings file is; a folder stands for the *.toml in it",
};

/// The most networks that are opened.
const NETWORKS_MAX: usize = 16;

const OF_NETWORKS: ValueKind = ValueKind::TextOrTexts {
    most: NETWORKS_MAX,
    chars_max: CHARS_MAX,
    words: "prefixes inside 169.254.0.0/16 or fd00:ec2::/32, or a list of at most 16",
};

/// The most witnesses.
const WITNESSES_MAX: usize = 16;

const OF_WITNESSES: ValueKind =
    ValueKind::TextOrTexts { most: WITNESSES_MAX, chars_max: CHARS_MAX, words: "HOST:PORT, or a list of at most 16" };

/// What the AWS SDK reads for itself; listed by `settings show`, since it decides where calls go.
pub const READ_BY_THE_SDK: [&str; 4] =
    ["AWS_ENDPOINT_URL", "AWS_ENDPOINT_URL_DYNAMODB", "AWS_ENDPOINT_URL_SNS", "AWS_PROFILE"];

#[cfg(test)]
mod tests {
    use super::*;
    use crate::configs::field::{About, Unwritten};
    use crate::configs::fields::FIELDS;
    use api_health_core::own::terms::Terms;

    fn all() -> impl Iterator<Item = &'static About> {
        FIELDS.iter().chain(KEYS).copied()
    }

    #[test]
    fn every_number_flag_and_choice_has_a_default_that_it_takes() {
        for About { name, kind, default, .. } in all() {
            let Unwritten::Value(text) = default else { continue };
            let is_taken = match kind {
                ValueKind::Number { least, most, .. } => text.parse().is_ok_and(|n| (*least..=*most).contains(&n)),
                ValueKind::Flag => text.parse::<bool>().is_ok(),
                ValueKind::Choice(words) => words().contains(text),
                _ => !text.is_empty(),
            };
            assert!(is_taken, "{name}: {text}");
        }
        assert_eq!(FLEET_LEASE.built_in(), Some(Terms::DEFAULT.lease));
        assert_eq!(FLEET_RENEW.built_in(), Some(Terms::DEFAULT.renew));
    }

    #[test]
    fn words_that_name_a_bound_name_the_one_that_holds() {
        for About { name, kind, .. } in all() {
            let (words, bounds) = match *kind {
                ValueKind::Text(max, words) | ValueKind::TextOrNumber(max, words) => (words, vec![max]),
                ValueKind::TextOrTexts { most, words, .. } => (words, vec![most]),
                ValueKind::Texts { most, chars_max, words } => (words, vec![most, chars_max]),
                ValueKind::ListsByName { most, words } => (words, vec![most]),
                ValueKind::TextsByName { most, bytes_max, words } => (words, vec![most, bytes_max]),
                _ => continue,
            };
            for bound in bounds.into_iter().filter(|_| words.contains("at most") && !words.contains("codes")) {
                assert!(words.contains(&bound.to_string()), "{name}: {words}, and not {bound}");
            }
        }
    }

    #[test]
    fn a_field_and_its_default_in_the_settings_are_one() {
        for key in KEYS {
            let of_name = |name| FIELDS.iter().find(|field| field.name == name);
            if let Some(field) = key.name.strip_prefix("probe.").and_then(of_name) {
                assert_eq!(format!("{:?}", key.kind), format!("{:?}", field.kind), "{}", field.name);
                assert_eq!(key.default.to_string(), field.default.to_string(), "{}", field.name);
            }
        }
    }
}
