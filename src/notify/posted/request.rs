//! What is sent: the URL, the headers, the body and the signature of one post. Pure.

use api_health_core::{Secret, Timestamp};
use aws_lc_rs::hmac;
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use bytes::Bytes;
use percent_encoding::{AsciiSet, NON_ALPHANUMERIC, utf8_percent_encode};
use serde_json::{Map, Value};
use url::Url;

use super::template::{self, Form};
use super::words::{Alerts, Words};
use crate::notify::channel::{ChannelSettings, Posting, Signs};
use crate::notify::format;
use crate::probe::Request;

/// What stands in a path or a query as it is.
const KEPT: &AsciiSet = &NON_ALPHANUMERIC.remove(b'-').remove(b'.').remove(b'_').remove(b'~');

/// The post of `alerts` at `now`, or what is wrong with the template.
pub(super) fn request(
    settings: &ChannelSettings,
    posting: &Posting,
    alerts: Alerts<'_>,
    environment: &str,
    now: Timestamp,
) -> Result<Request, String> {
    let secret = secret(settings);
    let mut words = alerts.words(environment, now, posting);
    let seconds = now.as_millis().div_euclid(1_000).to_string();
    for (name, value) in [("timestamp", seconds.clone()), ("sign", body_sign(posting, secret, &seconds))] {
        words.insert(name.into(), value.into());
    }
    words.insert("keys".into(), keys(settings));
    let body = match settings.template.as_deref().or(posting.body) {
        Some(source) => template::render(source, form(settings), &words)?,
        None => alerts.json(environment, now),
    };
    let mut headers = vec![
        ("content-type".to_owned(), Secret::new("application/json")),
        ("user-agent".to_owned(), Secret::new(concat!("api-health/", env!("CARGO_PKG_VERSION")))),
    ];
    if posting.signs == Signs::Header {
        headers
            .push(("x-api-health-alert-id".to_owned(), Secret::new(format::ascii(&alerts.id(environment, now), 200))));
        headers.push(("x-api-health-timestamp".to_owned(), Secret::new(seconds.clone())));
        if let Some(secret) = secret {
            headers.push(("x-api-health-signature".to_owned(), Secret::new(signature(secret, &seconds, &body))));
        }
    }
    let of_kind = posting.headers.iter().filter_map(|(name, pattern)| {
        let value = filled_in(pattern, settings, &words, |value| value.to_owned())?;
        Some(((*name).to_owned(), Secret::new(value)))
    });
    headers.extend(of_kind);
    for (name, value) in &settings.headers {
        headers.retain(|(known, _)| !known.eq_ignore_ascii_case(name));
        headers.push((name.to_ascii_lowercase(), value.clone()));
    }
    Ok(Request {
        method: posting.method,
        url: url(settings, posting, &words, secret, now)?,
        headers,
        body: Some(Bytes::from(body)),
        timeout: settings.timeout,
        body_bytes_max: super::answer_bytes_max(settings, posting),
        keep_body: true,
        accept_encoding: None,
        max_redirects: 0, // a signed body goes where it was told to, nowhere else
    })
}

fn secret(settings: &ChannelSettings) -> Option<&Secret> {
    settings.keys.get("secret")
}

pub(super) fn form(settings: &ChannelSettings) -> Form {
    let content_type = settings.headers.iter().find(|(name, _)| name.eq_ignore_ascii_case("content-type"));
    match content_type {
        Some((_, value)) if !value.reveal().to_ascii_lowercase().contains("json") => Form::Text,
        _ => Form::Json,
    }
}

/// Every key of the kind; one that is not set is empty.
fn keys(settings: &ChannelSettings) -> Value {
    let value = |name: &str| settings.keys.get(name).map_or("", |value| value.reveal());
    let all = settings.kind.keys.iter().map(|key| (key.name.to_owned(), value(key.name).into()));
    Value::Object(all.collect::<Map<_, _>>())
}

fn url(
    settings: &ChannelSettings,
    posting: &Posting,
    words: &Words,
    secret: Option<&Secret>,
    now: Timestamp,
) -> Result<Url, String> {
    let ends = words.get("ends") == Some(&Value::Bool(true));
    let pattern = posting.end_url.filter(|_| ends).unwrap_or(posting.url);
    let base = settings.posted_to().unwrap_or_default();
    let encoded = |value: &str| utf8_percent_encode(value, KEPT).to_string();
    let whole = match pattern.strip_prefix("{url}") {
        Some("") => base.to_owned(),
        Some(rest) => {
            let rest = filled_in(rest, settings, words, encoded).ok_or("a key is missing")?;
            format!("{}{rest}", base.trim_end_matches('/'))
        }
        None => pattern.to_owned(),
    };
    let mut url = Url::parse(&whole).map_err(|_| "url is no URL".to_owned())?;
    for (name, value) in posting.query {
        url.query_pairs_mut().append_pair(name, value);
    }
    if let (Signs::Query, Some(secret)) = (posting.signs, secret) {
        let timestamp = now.as_millis().to_string();
        let sign = STANDARD.encode(mac(secret.reveal(), &[&timestamp, "\n", secret.reveal()]));
        url.query_pairs_mut().append_pair("timestamp", &timestamp).append_pair("sign", &sign);
    }
    Ok(url)
}

/// `pattern` with the keys and words that stand in braces there; `None`: one of them has no value.
fn filled_in(
    pattern: &str,
    settings: &ChannelSettings,
    words: &Words,
    encoded: impl Fn(&str) -> String,
) -> Option<String> {
    let mut parts = pattern.split('{');
    let mut text = parts.next().unwrap_or_default().to_owned();
    for part in parts {
        let (name, rest) = part.split_once('}')?;
        let value = match settings.keys.get(name) {
            Some(key) => key.reveal(),
            None => words.get(name)?.as_str()?,
        };
        text += &encoded(value);
        text += rest;
    }
    Some(text)
}

/// As Feishu wants it: of nothing, under time and secret together.
fn body_sign(posting: &Posting, secret: Option<&Secret>, timestamp: &str) -> String {
    match (posting.signs, secret) {
        (Signs::Body, Some(secret)) => STANDARD.encode(mac(&format!("{timestamp}\n{}", secret.reveal()), &[])),
        _ => String::new(),
    }
}

/// `v1=` and the HMAC-SHA256 of `<timestamp>.<body>` in hexadecimal. The timestamp is signed as well, so that nobody can
/// replay an old body with a new timestamp.
fn signature(secret: &Secret, timestamp: &str, body: &str) -> String {
    format!("v1={}", format::hex(&mac(secret.reveal(), &[timestamp, ".", body])))
}

/// The HMAC-SHA256 of all parts in a row.
fn mac(key: &str, parts: &[&str]) -> Vec<u8> {
    let mut context = hmac::Context::with_key(&hmac::Key::new(hmac::HMAC_SHA256, key.as_bytes()));
    for part in parts {
        context.update(part.as_bytes());
    }
    context.sign().as_ref().to_vec()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_signature_is_the_hmac_of_timestamp_and_body() {
        // RFC 4231, test case 2: the key and the hash are those that are meant.
        let whole = mac("Jefe", &["what do ya want ", "for nothing?"]);
        assert_eq!(format::hex(&whole), "5bdcc146bf60754e6a042426089575c75a003f089d2739839dec58b964ec3843");
        // Made with Python's hmac, over the bytes 1795332606.{"schema":1}
        assert_eq!(
            signature(&Secret::new("Jefe"), "1795332606", "{\"schema\":1}"),
            "v1=be15ec32580307e53c88054f229d97d79c50f8db92424a6328799d6dea49b051"
        );
    }
}
