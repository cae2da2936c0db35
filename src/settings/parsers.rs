//! The parsers of settings that have a form of their own: names, levels, ARNs, the webhook's URL.

use std::path::PathBuf;

use api_health_core::Secret;
use api_health_core::own::records::Role;
use api_health_web::model::MetricsPerApi;
use serde_json::{Value, json};
use tracing_subscriber::EnvFilter;

use super::types::{BeatForm, LogFormat, ResolverKind, StoreKind, host_of};
use crate::configs::field::{About, Context, Parsed, ValueKind};
use crate::configs::kinds::{Choice, each, parse_text, secret_text};
use crate::configs::nearest::nearest_of;
use crate::configs::url;
use crate::configs::values::{ValueFault, quote};
use crate::probe::guard::Network;

pub(super) fn trimmed(value: &Value, about: &About, _: &mut Context<'_>) -> Parsed<String> {
    Ok(parse_text(value, about)?.trim().to_owned())
}

/// A text that `is_good`; what is not is called `why`.
fn checked(value: &Value, about: &About, is_good: impl Fn(&str) -> bool, why: &str) -> Result<String, ValueFault> {
    let text = parse_text(value, about)?;
    if is_good(text) { Ok(text.to_owned()) } else { Err(ValueFault::new(quote(text), why, about.wanted())) }
}

fn is_region(text: &str) -> bool {
    !text.is_empty() && text.bytes().all(|b| b.is_ascii_lowercase() || b.is_ascii_digit() || b == b'-')
}

pub(super) fn region(value: &Value, about: &About, _: &mut Context<'_>) -> Parsed<String> {
    Ok(checked(value, about, is_region, "is not the name of a region")?)
}

pub(super) fn table(value: &Value, about: &About, _: &mut Context<'_>) -> Parsed<String> {
    let is_plain = |b: u8| b.is_ascii_alphanumeric() || matches!(b, b'.' | b'_' | b'-');
    let is_good = |name: &str| name.bytes().all(is_plain) && (3..=255).contains(&name.len());
    Ok(checked(value, about, is_good, "is not the name of a DynamoDB table")?)
}

/// One path or several.
pub(super) fn paths(value: &Value, about: &About, context: &mut Context<'_>) -> Parsed<Vec<PathBuf>> {
    if value.as_array().is_some_and(Vec::is_empty) {
        return Err(ValueFault::new("the list", "is empty", "the paths of files, or of a folder of them").into());
    }
    each(value, most_texts(about), |path| Ok(context.folder.join(parse_text(path, about)?)))
}

const fn most_texts(about: &About) -> usize {
    if let ValueKind::TextOrTexts { most, .. } = about.kind { most } else { 1 }
}

pub(super) fn show_paths(paths: &[PathBuf]) -> Value {
    match paths {
        [] => Value::Null,
        [one] => json!(one.display().to_string()),
        more => more.iter().map(|path| path.display().to_string()).collect(),
    }
}

/// One text or several, each parsed by itself; every fault of them.
pub(super) fn each_text<T>(
    value: &Value,
    about: &About,
    parse: impl Fn(&str) -> Result<T, ValueFault>,
) -> Parsed<Vec<T>> {
    each(value, most_texts(about), |one| parse(parse_text(one, about)?))
}

/// One network or several.
pub(super) fn networks(value: &Value, about: &About, _: &mut Context<'_>) -> Parsed<Vec<Network>> {
    each_text(value, about, |text| {
        Network::parse(text).map_err(|why| ValueFault::new(quote(text), why, about.wanted()))
    })
}

/// One `host:port` or several; an IPv6 address stands in brackets.
pub(super) fn witnesses(value: &Value, about: &About, _: &mut Context<'_>) -> Parsed<Vec<String>> {
    each(value, most_texts(about), |one| checked(one, about, is_host_and_port, "is not a host and a port"))
}

fn is_host_and_port(text: &str) -> bool {
    ::url::Url::parse(&format!("tcp://{text}")).is_ok_and(|url| {
        let is_bare =
            url.username().is_empty() && url.path().is_empty() && url.query().is_none() && url.fragment().is_none();
        url.has_host() && url.port().is_some() && is_bare
    })
}

pub(super) fn show_texts(texts: &[String]) -> Value {
    if texts.is_empty() { Value::Null } else { json!(texts) }
}

/// The words of each choice.
macro_rules! choices {
    ($($choice:ident { $($value:ident = $word:literal),+ })+) => {$(
        impl Choice for $choice {
            const ALL: &'static [Self] = &[$(Self::$value),+];

            fn as_str(self) -> &'static str {
                match self { $(Self::$value => $word),+ }
            }
        }
    )+};
}

choices! {
    StoreKind { Sqlite = "sqlite", Dynamodb = "dynamodb" }
    ResolverKind { Own = "own", System = "system" }
    Role { Worker = "worker", Standby = "standby" }
    LogFormat { Auto = "auto", Text = "text", Json = "json" }
    BeatForm { Healthchecks = "healthchecks", Kuma = "kuma", Gatus = "gatus", Plain = "plain" }
    MetricsPerApi { All = "all", NotUp = "not_up", None = "none" }
}

const LEVELS: [&str; 6] = ["error", "warn", "info", "debug", "trace", "off"];

pub(super) fn log_level(value: &Value, about: &About, _: &mut Context<'_>) -> Parsed<String> {
    let filter = parse_text(value, about)?;
    // The filter's own parser takes a lone word that is no level for the name of a module, and so a misspelt level.
    for part in filter.split(',').map(str::trim).filter(|part| !part.contains(['=', '['])) {
        if !LEVELS.iter().any(|level| level.eq_ignore_ascii_case(part)) {
            let remedy = match nearest_of(part, LEVELS) {
                Some(level) => format!("\"{level}\""),
                None => format!("one of {}, or module=level", LEVELS.join(", ")),
            };
            return Err(ValueFault::new(quote(part), "is not a level", remedy).into());
        }
    }
    // Values of fields are compared as they are: a regular expression of a few hundred characters can fill the memory.
    let is_filter = |filter: &str| EnvFilter::builder().with_regex(false).parse(filter).is_ok();
    Ok(checked(value, about, is_filter, "is not a filter")?)
}

/// A secret that is not empty.
pub(super) fn nonempty_secret(value: &Value, about: &About, context: &mut Context<'_>) -> Parsed<Secret> {
    match secret_text(value, context.secrets, about.kind.length_max())? {
        text if text.trim().is_empty() => Err(ValueFault::new("the text", "is empty", about.wanted()).into()),
        text => Ok(Secret::new(text)),
    }
}

pub(super) fn webhook_url(value: &Value, about: &About, context: &mut Context<'_>) -> Parsed<Secret> {
    match url::check(nonempty_secret(value, about, context)?.reveal()) {
        Ok(url) => Ok(Secret::new(url)),
        // What was found is not shown: with many services the path is the secret.
        Err(fault) => Err(ValueFault::new("the URL", fault.why, about.wanted()).into()),
    }
}

pub(super) fn show_host(url: &Secret) -> Value {
    json!(format!("{}/***", host_of(url)))
}

/// `arn:PARTITION:sns:REGION:ACCOUNT:NAME`, as the Service Authorization Reference of SNS gives it.
pub(super) fn topic_arn(value: &Value, about: &About, _: &mut Context<'_>) -> Parsed<String> {
    let arn = parse_text(value, about)?;
    let plain = |name: &str| name.bytes().all(|b| b.is_ascii_alphanumeric() || matches!(b, b'_' | b'-'));
    let why = match arn.split(':').collect::<Vec<_>>()[..] {
        ["arn", partition, service, _, _, _] if !partition.starts_with("aws") || service != "sns" => {
            "is not the ARN of an SNS topic"
        }
        ["arn", _, _, region, _, _] if !is_region(region) => "has no region in its fourth part",
        ["arn", _, _, _, account, _] if account.len() != 12 || !account.bytes().all(|b| b.is_ascii_digit()) => {
            "has no account of 12 digits in its fifth part"
        }
        ["arn", _, _, _, _, name] => match name.strip_suffix(".fifo").unwrap_or(name) {
            bare if !bare.is_empty() && name.len() <= 256 && plain(bare) => return Ok(arn.to_owned()),
            _ => "has no topic name (letters, digits, _ and -, perhaps .fifo) in its last part",
        },
        _ => "is not an ARN of six parts with colons between them",
    };
    Err(ValueFault::new(quote(arn), why, format!("it in full, such as {}", about.example)).into())
}

/// An endpoint as it may be shown: a user name before the host is masked.
pub(super) fn endpoint(value: &str) -> Value {
    let Some((secret, rest)) = value.rsplit_once('@') else { return json!(value) };
    let scheme = secret.split_once("://").map_or(String::new(), |(scheme, _)| format!("{scheme}://"));
    json!(format!("{scheme}***@{rest}"))
}
