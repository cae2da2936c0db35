//! The fields of an API, in one table.

use std::sync::Arc;
use std::time::Duration;

use api_health_core::asking::Oauth;
use api_health_core::assertion::Assertion;
use api_health_core::maintenance::Window;
use api_health_core::{ApiId, IpFamily, Method, Protocol, Secret, StatusSet};
use serde_json::{Value, json};

use super::field::{About, Context, Field, Parsed, ValueKind, table};
use super::kinds::{Choice, choice, each, flag, listed, number, parse_text, seconds, secret, secret_text, text, words};
use super::nearest;
use super::target::{self, Target};
use super::values::{ValueFault, quote, show};
use super::{alerting, asking, assertions, cron_text, headers, secrets, url as urls};
use crate::probe::proxies::ProxyChoice;

pub const NAME_CHARS_MAX: usize = 200;
/// The longest body of a request.
pub const BODY_BYTES_MAX: usize = 64 * 1024;
/// The longest `expected_status`: as many parts as it may have, the longest of them, with a comma and a space between them.
pub const EXPECTED_STATUS_CHARS_MAX: usize = 500;
/// The most tags of one API.
pub const TAGS_MAX: usize = 20;
/// The longest tag.
pub const TAG_CHARS_MAX: usize = 64;
/// The longest cron expression.
pub const EXPRESSION_CHARS_MAX: usize = 200;
/// The longest name of a time zone.
pub const ZONE_CHARS_MAX: usize = 64;

table! { FIELDS
    API_ID: ApiId = Field::new(
            "api_id",
            ValueKind::Text(ApiId::CHARS_MAX, "1 to 80 characters of A-Z a-z 0-9 . _ -"),
            api_id,
            |id| json!(id.as_str()),
        )
        .means("The key: unique, and the same for as long as this API is watched.", "\"shop-checkout\"")
        .otherwise("required").also(&["id", "key"]);
    NAME: String = text("name", NAME_CHARS_MAX, "1 to 200 characters, no control characters")
        .means("Its name for people; it stands in alerts.", "\"Checkout\"")
        .otherwise("the api_id").also(&["title", "label", "description"]);
    URL: Target = Field::new(
            "url",
            ValueKind::Text(urls::CHARS_MAX, "http, https, tcp, tls or dns with a host, at most 2048 characters"),
            target::parse,
            |target| json!(target.url),
        )
        .means(
            "What is asked. No user name, password or fragment; no link-local, metadata, multicast or unspecified address. Path and query may hold `${env:NAME}`, `${file:PATH}` and `${credential:NAME}`, which are shown as `***`.",
            "\"https://shop.example.com/health\"",
        )
        .otherwise("required").also(&["uri", "endpoint", "address", "target"]);
    KIND: Protocol = choice("kind")
        .means(
            "What is done: an HTTP request, a TCP connection, a TLS handshake, or a question to a name server. The scheme of url says it too.",
            "\"tcp\"",
        )
        .default("http").also(&["type", "protocol", "check_type"]);
    METHOD: Method = Field::new("method", ValueKind::Choice(words::<Method>), method, |method| json!(method.as_str()))
        .means("The HTTP method, in either case.", "\"HEAD\"")
        .default("GET").also(&["verb", "http_method"]);
    HEADERS: Vec<(String, Secret)> = Field::new("headers", OF_HEADERS, headers::parse, |_| json!("***"))
        .means(
            "Request headers by name. A value may hold `${env:NAME}`, `${file:PATH}` and `${credential:NAME}`.",
            "{ Authorization = \"Bearer ${env:SHOP_TOKEN}\" }",
        )
        .also(&["header", "http_headers"]);
    BODY: Secret = secret("body", BODY_BYTES_MAX, "at most 65536 bytes")
        .means(
            "The request body. It may hold `${env:NAME}`, `${file:PATH}` and `${credential:NAME}`.",
            "'{\"ping\": true}'",
        )
        .also(&["payload", "data"]);
    EXPECTED_STATUS: StatusSet = Field::new("expected_status", OF_STATUS, status_set, |set| json!(set.to_string()))
        .means("The status codes that count as a pass.", "\"200-299,301,404\"")
        .default("2xx").also(&["status", "status_code", "expected_status_code", "expect_status"]);
    ASSERT: Vec<Arc<Assertion>> = assertions::ASSERT;
    CERTIFICATE_DAYS: Vec<u16> = assertions::CERTIFICATE_DAYS;
    TIMEOUT_SECONDS: Duration = seconds("timeout_seconds", 1, 300)
        .means("Bound on the whole exchange, from name resolution to the last byte.", "10")
        .default("10").also(&["timeout", "timeout_ms", "timeout_secs"]);
    SCHEDULE: String = text(
            "schedule",
            EXPRESSION_CHARS_MAX,
            "5 cron fields, or 6 with seconds first; at most 200 characters",
        )
        .parsed_by(cron_text::expression)
        .means("When it is probed: a cron expression. Not beside interval_seconds.", "\"*/5 8-18 * * MON-FRI\"")
        .default("*/2 * * * *").also(&["cron", "crontab", "when"]);
    TIMEZONE: String = text("timezone", ZONE_CHARS_MAX, "an IANA name")
        .parsed_by(cron_text::zone)
        .means("The time zone that schedule is read in.", "\"Europe/Berlin\"")
        .default("UTC").also(&["tz", "time_zone", "zone"]);
    INTERVAL_SECONDS: Duration = seconds("interval_seconds", 1, 86_400)
        .means("When it is probed: every N seconds. Not beside schedule or timezone.", "30")
        .also(&["interval", "every", "period", "frequency", "interval_secs"]);
    ENABLED: bool = flag("enabled")
        .means("A disabled API is kept and not probed.", "false")
        .default("true").also(&["active", "disabled", "enable", "paused"]);
    FAILURE_THRESHOLD: u32 = number("failure_threshold", "probes", 1, 20)
        .means("So many failed probes in a row make it down. The outage is dated from the first of them.", "3")
        .default("2").also(&["failures", "retries", "fail_threshold", "unhealthy_threshold"]);
    SUCCESS_THRESHOLD: u32 = number("success_threshold", "probes", 1, 20)
        .means("So many passed probes in a row make it up again.", "1")
        .default("2").also(&["successes", "healthy_threshold", "recovery_threshold"]);
    RECHECK_SECONDS: Duration = seconds("recheck_seconds", 1, 3_600)
        .means("The longest wait before the next probe while a change of status is being confirmed.", "5")
        .default("5").also(&["recheck", "retry_seconds", "retry_interval"]);
    UNCLEAR_AFTER_SECONDS: Duration = seconds("unclear_after_seconds", 1, 2_592_000)
        .means(
            "How long its probes may be inconclusive or missing before an `unclear` alert is sent; with none it is three intervals, and 300 at least.",
            "600",
        )
        .also(&["unclear", "unclear_after", "stale_after"]);
    MAX_REDIRECTS: u8 = number("max_redirects", "redirects", 0, 10)
        .means("How many redirects are followed; with 0 the redirect itself is judged.", "3")
        .default("0").also(&["redirects", "follow_redirects"]);
    IP_FAMILY: IpFamily = choice("ip_family")
        .means("Which addresses of its name are used; with any, IPv6 and IPv4 are tried in turn.", "\"ipv4\"")
        .default("any").also(&["family", "address_family", "ip_version", "ip_protocol"]);
    PROXY: Secret = proxy("proxy")
        .means(
            "The HTTP proxy to probe it through, or none. It may hold a user name and a password, and `${env:NAME}`, `${file:PATH}` and `${credential:NAME}`; no more of it than host and port is shown.",
            "\"http://10.0.0.1:3128\"",
        )
        .otherwise("what stands in the settings").also(&["http_proxy", "https_proxy", "proxy_url", "via"]);
    CONNECT_TO: String = text("connect_to", CONNECT_TO_CHARS_MAX, "a host, or a host and a port")
        .parsed_by(asking::connect_to)
        .means(
            "Where to connect instead of to the host of url, such as one machine behind a load balancer. Request, SNI and certificate check still go by url. No proxy is used.",
            "\"10.0.0.5:8443\"",
        )
        .also(&["resolve_to", "backend", "origin", "override_address"]);
    SERVER_NAME: String = text("server_name", CONNECT_TO_CHARS_MAX, "a name or an address")
        .parsed_by(asking::server_name)
        .means("The name that is sent as SNI, and that the certificate must be for.", "\"shop.example.com\"")
        .otherwise("the host of url").also(&["sni", "tls_server_name", "ssl_server_name", "servername"]);
    CA_CERTIFICATES: Secret = pem("ca_certificates")
        .means(
            "The certificate authorities to trust instead of this machine's: PEM by reference, or the path of a PEM file.",
            "\"/etc/ssl/shop-ca.pem\"",
        )
        .otherwise("what this machine trusts").also(&["ca", "ca_file", "ca_certificate", "cacert", "extra_roots"]);
    CLIENT_CERTIFICATE: Secret = pem("client_certificate")
        .means(
            "The client certificate with its chain: PEM by reference, or the path of a PEM file. It is read again when the file changes.",
            "\"${file:/etc/api-health/client.pem}\"",
        )
        .also(&["client_cert", "cert", "tls_certificate", "certificate"]);
    CLIENT_KEY: Secret = pem("client_key")
        .means("Its private key, in the same ways.", "\"${credential:client.key}\"")
        .also(&["client_private_key", "tls_key", "private_key"]);
    BASIC_AUTH: Secret = secret("basic_auth", headers::VALUE_BYTES_MAX / 2, "a user name, a colon and a password; at most 4096 bytes")
        .parsed_by(asking::credential)
        .means("User name and password that are sent in the header Authorization.", "\"monitor:${env:SHOP_PASSWORD}\"")
        .also(&["basic", "basic_authentication", "username", "password"]);
    BEARER_TOKEN: Secret = secret("bearer_token", headers::VALUE_BYTES_MAX / 2, "at most 4096 bytes")
        .parsed_by(asking::credential)
        .means("A token that is sent in the header Authorization.", "\"${env:SHOP_TOKEN}\"")
        .also(&["bearer", "token", "auth_token"]);
    OAUTH2: Oauth = Field::new("oauth2", OF_OAUTH2, asking::oauth, |_| json!("***"))
        .means(
            "OAuth 2.0 client credentials: where the access token comes from. It is kept until shortly before it expires, and shared by all APIs with the same settings.",
            "{ token_url = \"https://login.example.com/token\", client_id = \"monitor\", client_secret = \"${env:CLIENT_SECRET}\", scope = \"health\" }",
        )
        .also(&["oauth", "client_credentials", "oauth2_client_credentials"]);
    HEAD_ONLY: bool = flag("head_only")
        .means(
            "Whether it is judged by status and headers alone and the body is left unread; the method stays as it is. Streams that never end (`text/event-stream` and others) are always read so.",
            "true",
        )
        .default("false").also(&["stream", "streaming", "ignore_body", "headers_only"]);
    EXPECTED_ANSWERS: Vec<String> = Field::new("expected_answers", OF_ANSWERS, asking::texts, |texts| json!(texts))
        .means(
            "Records that the answer of DNS must contain; with none, any record will do.",
            "[\"10.0.0.5\", \"10.0.0.6\"]",
        )
        .also(&["expected_answer", "expected_records", "answers", "expect_answer"]);
    TAGS: Vec<String> = Field::new("tags", OF_TAGS, tags, |tags| json!(tags))
        .means("Free words for people and filters.", "[\"shop\", \"eu\"]")
        .also(&["labels", "groups"]);
    PUBLIC: bool = flag("public")
        .means(
            "Whether it is listed on the page `/public`, which shows its name and status, but neither URL nor reasons.",
            "true",
        )
        .default("false").also(&["is_public", "published", "show_public"]);
    MAINTENANCE: Vec<Window> = alerting::maintenance()
        .means(
            "Windows in which it is probed as usual and its alerts are held. A window recurs by a cron expression, or is open once.",
            "[\"0 2 * * SUN Europe/Berlin for 2h\", \"2026-12-01T22:00:00Z to 2026-12-02T02:00:00Z\"]",
        )
        .also(&["maintenance_windows", "downtime", "silence"]);
    DEPENDS_ON: Vec<ApiId> = alerting::depends_on()
        .means("APIs that it needs: while one of them is down, its alerts are held.", "[\"shop-database\"]")
        .also(&["depends", "parent", "parents", "requires"]);
    FLAP_CHANGES: u32 = number("flap_changes", "changes", 0, 100)
        .means(
            "After more changes of status than this within flap_window_seconds, one `flapping` alert is sent, and others are held until the count is down to half. 0: never.",
            "6",
        )
        .default("0").also(&["flapping", "flap_threshold"]);
    FLAP_WINDOW_SECONDS: Duration = seconds("flap_window_seconds", 10, 86_400)
        .means("The time within which flap_changes are counted.", "1800")
        .default("3600").also(&["flap_window", "flap_seconds"]);
    REMIND_AFTER_SECONDS: Duration = seconds("remind_after_seconds", 10, 604_800)
        .means(
            "How long into an outage the first reminder is sent. Each further pause is twice as long, up to a day.",
            "3600",
        )
        .also(&["remind", "reminder_seconds", "repeat_interval", "resend_interval"]);
}

/// The longest place to connect to: a name of 253 characters, and a port.
const CONNECT_TO_CHARS_MAX: usize = 260;
/// The most records that an answer must hold.
pub(super) const ANSWERS_MAX: usize = 20;

const OF_OAUTH2: ValueKind = ValueKind::TextsByName {
    most: 5,
    bytes_max: 2048,
    words: "at most 5: token_url, client_id, client_secret, scope, audience; each at most 2048 bytes",
};
const OF_ANSWERS: ValueKind = ValueKind::TextOrTexts {
    most: ANSWERS_MAX,
    chars_max: 300,
    words: "a record, or a list of at most 20 of at most 300 characters",
};

/// Certificates or keys.
const fn pem(name: &'static str) -> Field<Secret> {
    secret(name, secrets::FILE_BYTES_MAX as usize, "PEM, or the path of a file of it; at most 65536 bytes")
        .parsed_by(asking::pem)
}

const OF_HEADERS: ValueKind = ValueKind::TextsByName {
    most: headers::HEADERS_MAX,
    bytes_max: headers::VALUE_BYTES_MAX,
    words: "at most 50; each value at most 8192 characters of printable ASCII",
};
const OF_STATUS: ValueKind =
    ValueKind::TextOrNumber(EXPECTED_STATUS_CHARS_MAX, "at most 50 codes, classes and ranges from 100 to 999");
const OF_TAGS: ValueKind =
    ValueKind::Texts { most: TAGS_MAX, chars_max: TAG_CHARS_MAX, words: "at most 20 of at most 64 characters" };

/// A proxy, or `none`. It may hold a password.
pub(crate) const fn proxy(name: &'static str) -> Field<Secret> {
    secret(name, urls::CHARS_MAX, "none, or http:// with a host and a port; at most 2048 characters")
        .parsed_by(proxy_text)
}

fn proxy_text(value: &Value, about: &About, context: &mut Context<'_>) -> Parsed<Secret> {
    let text = secret_text(value, context.secrets, about.kind.length_max())?;
    match ProxyChoice::parse(&text) {
        Ok(_) => Ok(Secret::new(text.trim())),
        Err(why) => Err(ValueFault::new("the proxy", why, about.wanted()).into()),
    }
}

/// The field that was probably meant by `name`.
pub fn nearest(name: &str) -> Option<&'static str> {
    nearest::nearest(name, FIELDS.iter().map(|field| (field.name, field.also)))
}

fn api_id(value: &Value, about: &About, _: &mut Context<'_>) -> Parsed<ApiId> {
    let text = parse_text(value, about)?;
    Ok(ApiId::parse(text).map_err(|why| ValueFault::new(quote(text), why, about.wanted()))?)
}

impl Choice for IpFamily {
    const ALL: &'static [Self] = &Self::ALL;

    fn as_str(self) -> &'static str {
        Self::as_str(self)
    }
}

impl Choice for Method {
    const ALL: &'static [Self] = &Method::ALL;

    fn as_str(self) -> &'static str {
        Method::as_str(self)
    }
}

fn method(value: &Value, about: &About, _: &mut Context<'_>) -> Parsed<Method> {
    let text = parse_text(value, about)?;
    let fault =
        || ValueFault::new(quote(text), "is not a method that is used", format!("one of {}", about.kind.bounds()));
    Ok(Method::parse(text).ok_or_else(fault)?)
}

/// Text, or one code as a number.
fn status_set(value: &Value, about: &About, _: &mut Context<'_>) -> Parsed<StatusSet> {
    let text = match value {
        Value::Number(number) => number.to_string(),
        _ => parse_text(value, about)?.to_owned(),
    };
    let remedy = "codes, classes and ranges with commas between them, such as \"200-299,301,404\"";
    Ok(StatusSet::parse(&text).map_err(|why| ValueFault::new(show(value), why, remedy))?)
}

fn tags(value: &Value, about: &About, _: &mut Context<'_>) -> Parsed<Vec<String>> {
    each(listed(value, about)?, TAGS_MAX, |tag| Ok(parse_text(tag, about)?.to_owned()))
}

#[cfg(test)]
mod tests {
    use super::*;
    use api_health_core::Schedule;

    #[test]
    fn a_misspelt_name_finds_its_field() {
        for (written, meant) in [
            ("timout_seconds", "timeout_seconds"),
            ("Timeout-Seconds", "timeout_seconds"),
            ("timeout", "timeout_seconds"),
            ("cron", "schedule"),
            ("shedule", "schedule"),
            ("header", "headers"),
            ("id", "api_id"),
            ("apiid", "api_id"),
            ("failure_treshold", "failure_threshold"),
            ("expectedStatus", "expected_status"),
        ] {
            assert_eq!(nearest(written), Some(meant), "{written}");
        }
        assert_eq!(nearest("colour"), None);
        assert_eq!(nearest(&"name".repeat(1_000)), None);
    }

    #[test]
    fn each_name_finds_itself_and_no_two_fields_claim_one_name() {
        for field in FIELDS {
            assert_eq!(nearest(field.name), Some(field.name));
        }
        let mut names: Vec<_> = FIELDS.iter().flat_map(|f| f.also.iter().chain([&f.name])).collect();
        let all = names.len();
        names.sort_unstable();
        names.dedup();
        assert_eq!(names.len(), all);
    }

    #[test]
    fn the_schedule_of_the_table_is_that_of_the_core() {
        assert_eq!(SCHEDULE.built_in().as_deref(), Some(Schedule::DEFAULT_CRON));
    }
}
