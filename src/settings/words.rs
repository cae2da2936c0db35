//! The texts of settings that must have a form: names, levels, ARNs.

use api_health_core::own::records::Role;
use serde_json::{Value, json};
use tracing_subscriber::EnvFilter;

use super::keys::{self, Key, one_of};
use super::{LogFormat, StoreKind};
use crate::configs::fields::nearest_of;
use crate::configs::values::{ValueFault, quote, text, wanted};

/// The longest path on Linux.
pub(super) const PATH_CHARS_MAX: usize = 4096;
/// The longest text of any other setting.
const CHARS_MAX: usize = 1024;
/// As many characters as fit beside the rest into the subject of an e-mail.
const ENVIRONMENT_CHARS_MAX: usize = 64;

pub(super) fn environment(value: &Value) -> Result<String, ValueFault> {
    text(value, &keys::ENVIRONMENT.field, ENVIRONMENT_CHARS_MAX).map(|name| name.trim().to_owned())
}

/// The most witnesses.
pub(super) const WITNESSES_MAX: usize = 16;

/// `host:port`, as it is written; an IPv6 address stands in brackets.
pub(super) fn witness(value: &Value) -> Result<String, ValueFault> {
    let written = text(value, &keys::WITNESSES.field, CHARS_MAX)?;
    let url = url::Url::parse(&format!("tcp://{written}")).ok();
    let is_plain = url.as_ref().is_some_and(|url| {
        url.has_host() && url.port().is_some() && url.username().is_empty() && matches!(url.path(), "" | "/") && url.query().is_none()
    });
    if is_plain && !written.ends_with('/') && written.bytes().all(|b| b.is_ascii_graphic()) {
        return Ok(written.to_owned());
    }
    Err(ValueFault::new(quote(written), "is not a host and a port", "such as \"1.1.1.1:443\", \"[2606:4700::1111]:443\" or \"gateway.example.com:443\""))
}

pub(super) fn region(value: &Value) -> Result<String, ValueFault> {
    let region = text(value, &keys::REGION.field, 32)?;
    if region.bytes().all(|b| b.is_ascii_lowercase() || b.is_ascii_digit() || b == b'-') {
        return Ok(region.to_owned());
    }
    Err(ValueFault::new(quote(region), "is not the name of a region", wanted(&keys::REGION.field)))
}

pub(super) fn table(key: &Key, value: &Value) -> Result<String, ValueFault> {
    let name = text(value, &key.field, CHARS_MAX)?;
    let plain = name.bytes().all(|b| b.is_ascii_alphanumeric() || matches!(b, b'.' | b'_' | b'-'));
    if plain && (3..=255).contains(&name.len()) {
        return Ok(name.to_owned());
    }
    Err(ValueFault::new(quote(name), "is not the name of a DynamoDB table", wanted(&key.field)))
}

pub(super) fn store_kind(value: &Value) -> Result<StoreKind, ValueFault> {
    choice(&keys::STORE_KIND, value, &[StoreKind::Sqlite, StoreKind::Dynamodb], StoreKind::as_str)
}

pub(super) fn role(value: &Value) -> Result<Role, ValueFault> {
    choice(&keys::FLEET_ROLE, value, &[Role::Worker, Role::Standby], role_word)
}

pub(super) const fn role_word(role: Role) -> &'static str {
    match role {
        Role::Worker => "worker",
        Role::Standby => "standby",
    }
}

pub(super) fn log_format(value: &Value) -> Result<LogFormat, ValueFault> {
    choice(&keys::LOG_FORMAT, value, &[LogFormat::Auto, LogFormat::Text, LogFormat::Json], LogFormat::as_str)
}

fn choice<T: Copy>(key: &Key, value: &Value, all: &[T], name: impl Fn(T) -> &'static str) -> Result<T, ValueFault> {
    let written = text(value, &key.field, CHARS_MAX)?;
    let remedy = match nearest_of(written, all.iter().map(|t| name(*t))) {
        Some(nearest) => format!("\"{nearest}\""),
        None => one_of(key),
    };
    let known = all.iter().copied().find(|t| name(*t) == written);
    known.ok_or_else(|| ValueFault::new(quote(written), "is not known", remedy))
}

const LEVELS: [&str; 6] = ["error", "warn", "info", "debug", "trace", "off"];

pub(super) fn log_level(value: &Value) -> Result<String, ValueFault> {
    let filter = text(value, &keys::LOG_LEVEL.field, CHARS_MAX)?;
    // The filter's own parser takes a lone word that is no level for the name of a module, and so a misspelt level.
    for part in filter.split(',').map(str::trim).filter(|part| !part.contains(['=', '['])) {
        if !LEVELS.iter().any(|level| level.eq_ignore_ascii_case(part)) {
            let remedy = match nearest_of(part, LEVELS) {
                Some(level) => format!("\"{level}\""),
                None => format!("one of {}, or module=level", LEVELS.join(", ")),
            };
            return Err(ValueFault::new(quote(part), "is not a level", remedy));
        }
    }
    // Values of fields are compared as they are: a regular expression of a few hundred characters can fill the memory.
    match EnvFilter::builder().with_regex(false).parse(filter) {
        Ok(_) => Ok(filter.to_owned()),
        Err(_) => Err(ValueFault::new(quote(filter), "is not a filter", wanted(&keys::LOG_LEVEL.field))),
    }
}

/// `arn:PARTITION:sns:REGION:ACCOUNT:NAME`, as the Service Authorization Reference of SNS gives it.
pub(super) fn topic_arn(value: &Value) -> Result<String, ValueFault> {
    let arn = text(value, &keys::TOPIC_ARN.field, CHARS_MAX)?;
    let refuse = |why: &str| {
        Err(ValueFault::new(quote(arn), why, format!("it in full, such as {}", keys::TOPIC_ARN.field.example)))
    };
    let parts: Vec<&str> = arn.split(':').collect();
    let ["arn", partition, service, region, account, name] = parts[..] else {
        return refuse("is not an ARN of six parts with colons between them");
    };
    if !partition.starts_with("aws") || service != "sns" {
        return refuse("is not the ARN of an SNS topic");
    }
    let lower = |text: &str| text.bytes().all(|b| b.is_ascii_lowercase() || b.is_ascii_digit() || b == b'-');
    if region.is_empty() || !lower(region) {
        return refuse("has no region in its fourth part");
    }
    if account.len() != 12 || !account.bytes().all(|b| b.is_ascii_digit()) {
        return refuse("has no account of 12 digits in its fifth part");
    }
    let plain = name.strip_suffix(".fifo").unwrap_or(name);
    let good = plain.bytes().all(|b| b.is_ascii_alphanumeric() || matches!(b, b'_' | b'-'));
    if plain.is_empty() || name.len() > 256 || !good {
        return refuse("has no topic name (letters, digits, _ and -, perhaps .fifo) in its last part");
    }
    Ok(arn.to_owned())
}

/// An endpoint as it may be shown: a user name before the host is masked.
pub(super) fn endpoint(value: &str) -> Value {
    match value.split_once("://") {
        Some((scheme, rest)) if rest.contains('@') => {
            json!(format!("{scheme}://***@{}", rest.rsplit('@').next().unwrap_or_default()))
        }
        _ => json!(value),
    }
}
