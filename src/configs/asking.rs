//! The fields of a row that say how it is asked where a plain request is not enough, and what of them cannot stand together.

use std::path::Path;

use api_health_core::asking::{Identity, Oauth};
use api_health_core::{Asking, Protocol, Secret};
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use serde_json::Value;

use super::field::{About, Context, Parsed};
use super::fields;
use super::kinds::{Choice, each, parse_text, secret_text};
use super::target::Target;
use super::validate::RowReader;
use super::values::{ValueFault, quote, sort_of};
use crate::probe::{identity, place};

/// Fields that say something of an HTTP request or its answer.
const OF_HTTP: [&str; 11] = [
    "method",
    "headers",
    "body",
    "expected_status",
    "assert",
    "max_redirects",
    "proxy",
    "basic_auth",
    "bearer_token",
    "oauth2",
    "head_only",
];
/// Fields that say something of TLS.
const OF_TLS: [&str; 4] = ["server_name", "ca_certificates", "client_certificate", "client_key"];
/// Fields of which one is enough: each ends up in the header `Authorization`.
const OF_AUTHORIZATION: [&str; 3] = ["basic_auth", "bearer_token", "oauth2"];

impl Choice for Protocol {
    const ALL: &'static [Self] = &Self::ALL;

    fn as_str(self) -> &'static str {
        Self::as_str(self)
    }
}

/// What a row says of it; nothing, where a plain request will do. A fixed credential becomes one of the headers.
pub(super) fn read(
    reader: &mut RowReader<'_>,
    target: Option<&Target>,
    headers: &mut Vec<(String, Secret)>,
) -> Option<Box<Asking>> {
    let protocol = target.map(|target| target.protocol).unwrap_or_default();
    conflicts(reader, target, protocol, headers);
    for (field, scheme) in [(&fields::BASIC_AUTH, "Basic"), (&fields::BEARER_TOKEN, "Bearer")] {
        if let Some(secret) = reader.get(field) {
            let credentials = match scheme {
                "Basic" => STANDARD.encode(secret.reveal()),
                _ => secret.reveal().to_owned(),
            };
            headers.push(("Authorization".into(), Secret::new(format!("{scheme} {credentials}"))));
        }
    }
    let (certificate, key) = (reader.get(&fields::CLIENT_CERTIFICATE), reader.get(&fields::CLIENT_KEY));
    let identity = certificate.zip(key).map(|(certificate, key)| Identity { certificate, key });
    if let Some(identity) = &identity
        && !reader.context.secrets.is_stand_in(identity.certificate.reveal())
        && !reader.context.secrets.is_stand_in(identity.key.reveal())
        && let Err((field, why)) = identity::check(identity)
    {
        reader.push(field, ValueFault::new("the text", why, "PEM, by ${file:PATH} or ${credential:NAME}"));
    }
    let ca_certificates = reader.get(&fields::CA_CERTIFICATES);
    if let Some(pem) = &ca_certificates
        && !reader.context.secrets.is_stand_in(pem.reveal())
        && let Err(why) = identity::check_authorities(pem)
    {
        reader.push(
            fields::CA_CERTIFICATES.name,
            ValueFault::new("the text", why, "PEM, by ${file:PATH} or ${credential:NAME}"),
        );
    }
    let (secret_url, url_secrets) = target.and_then(|target| target.secret.clone()).unzip();
    let asking = Asking {
        protocol,
        secret_url,
        url_secrets: url_secrets.unwrap_or_default(),
        connect_to: reader.get(&fields::CONNECT_TO),
        server_name: reader.get(&fields::SERVER_NAME),
        ca_certificates,
        identity,
        oauth: reader.get(&fields::OAUTH2),
        head_only: reader.get(&fields::HEAD_ONLY).unwrap_or_default(),
        expected_answers: reader.get(&fields::EXPECTED_ANSWERS).unwrap_or_default(),
    };
    (asking != Asking::default()).then(|| Box::new(asking))
}

fn conflicts(reader: &mut RowReader<'_>, target: Option<&Target>, protocol: Protocol, headers: &[(String, Secret)]) {
    let row = reader.row;
    let has = |name: &str| row.fields.contains_key(name);
    let written = reader.get(&fields::KIND);
    let Some(target) = target else { return };
    if let Some(written) = written
        && written != protocol
    {
        let why = format!("does not fit url, which is of {}", protocol.as_str());
        let remedy = match written {
            Protocol::Http => "a url with http or https",
            Protocol::Tcp => "a url such as \"tcp://10.0.0.5:5432\"",
            Protocol::Tls => "a url such as \"tls://mail.example.com:993\"",
            Protocol::Dns => "a url such as \"dns://10.0.0.2/shop.example.com?type=AAAA\"",
        };
        reader.push(fields::KIND.name, ValueFault::new(quote(written.as_str()), why, remedy));
    }
    let beside = |name: &str, why: &str, remedy: &str| ValueFault::new(name, why, remedy);
    for name in OF_HTTP.into_iter().filter(|name| protocol != Protocol::Http && has(name)) {
        let why = format!("is of HTTP, and url is of {}", protocol.as_str());
        reader.push(name, beside(name, &why, "nothing: remove it"));
    }
    for name in OF_TLS.into_iter().filter(|name| !target.has_tls && has(name)) {
        reader.push(name, beside(name, "is of TLS, and url is not", "a url with https or tls, or nothing: remove it"));
    }
    if has("expected_answers") && protocol != Protocol::Dns {
        let why = "is of DNS, and url is not";
        reader.push("expected_answers", beside("expected_answers", why, "a url with dns, or nothing: remove it"));
    }
    if has("connect_to") && (protocol == Protocol::Dns || has("proxy")) {
        let why = if protocol == Protocol::Dns {
            "stands beside a url of dns, which names its server"
        } else {
            "stands beside proxy"
        };
        reader.push("connect_to", beside("connect_to", why, "one of the two"));
    }
    for (name, other) in [("client_certificate", "client_key"), ("client_key", "client_certificate")] {
        if has(name) && !has(other) {
            reader.push(name, beside(name, &format!("stands without {other}"), "both, or neither"));
        }
    }
    let written = headers.iter().any(|(name, _)| name.eq_ignore_ascii_case("authorization"));
    let mut ways = OF_AUTHORIZATION.into_iter().filter(|name| has(name));
    let (first, second) = (ways.next(), ways.next());
    let other = second.or(written.then_some("headers.Authorization"));
    if let Some((name, other)) = first.zip(other) {
        reader.push(name, beside(name, &format!("stands beside {other}, and both say who is asking"), "one of them"));
    }
}

/// `HOST` or `HOST:PORT`; the port of the URL is meant where there is none.
pub(super) fn connect_to(value: &Value, about: &About, context: &mut Context<'_>) -> Parsed<String> {
    let text = parse_text(value, about)?;
    let fault = |why: String| ValueFault::new(quote(text), why, about.wanted());
    let place = place::parse(text, Some(0)).map_err(|why| fault(why.into()))?;
    let address = super::target::address(&place);
    match address.and_then(|address| context.allowed.refuse(address)) {
        Some(why) => Err(fault(format!("is {why}, which is never probed")).into()),
        None => Ok(text.to_owned()),
    }
}

pub(super) fn server_name(value: &Value, about: &About, _: &mut Context<'_>) -> Parsed<String> {
    let text = parse_text(value, about)?;
    match identity::server_name(text) {
        Some(_) => Ok(text.to_owned()),
        None => Err(ValueFault::new(quote(text), "is not a name that a certificate can be for", about.wanted()).into()),
    }
}

/// PEM as it is, or the path of a file of it.
pub(super) fn pem(value: &Value, about: &About, context: &mut Context<'_>) -> Parsed<Secret> {
    let text = secret_text(value, context.secrets, about.kind.length_max())?;
    if !text.starts_with('/') {
        return Ok(Secret::new(text));
    }
    let read = context.secrets.file(Path::new(&text));
    Ok(read
        .map(Secret::new)
        .map_err(|why| ValueFault::new(quote(&text), why, "the path of a file that api-health can read"))?)
}

/// A text that may stand in a header.
pub(super) fn credential(value: &Value, about: &About, context: &mut Context<'_>) -> Parsed<Secret> {
    let text = secret_text(value, context.secrets, about.kind.length_max())?;
    let why = match about.name {
        _ if text.trim().is_empty() => "is empty",
        _ if text.chars().any(|c| c.is_control()) => "has a control character or a line break",
        "basic_auth" if !text.contains(':') && !context.secrets.is_stand_in(&text) => {
            "has no colon between user name and password"
        }
        "bearer_token" if !text.is_ascii() || text.contains(' ') => "has a character that no token has",
        _ => return Ok(Secret::new(text)),
    };
    Err(ValueFault::new("the text", why, about.wanted()).into())
}

/// What a table for OAuth may hold.
const OF_OAUTH: [&str; 5] = ["token_url", "client_id", "client_secret", "scope", "audience"];

pub(super) fn oauth(value: &Value, about: &About, context: &mut Context<'_>) -> Parsed<Oauth> {
    let Value::Object(table) = value else {
        return Err(ValueFault::new(sort_of(value), "is not a table", about.wanted()).into());
    };
    let mut faults = Vec::new();
    for name in table.keys().filter(|name| !OF_OAUTH.contains(&name.as_str())) {
        faults.push(ValueFault::unknown(quote(name), None, || format!("one of {}", OF_OAUTH.join(", "))));
    }
    let mut text = |name: &str, is_required: bool| match table.get(name) {
        None if is_required => {
            faults.push(ValueFault::new(name, "is missing", about.wanted()));
            None
        }
        None => None,
        Some(value) => match secret_text(value, context.secrets, about.kind.length_max()) {
            Ok(text) if text.is_empty() || text.chars().any(char::is_control) => {
                faults.push(ValueFault::new("the text", "is empty or has a control character", "another").inside(name));
                None
            }
            Ok(text) => Some(text),
            Err(of_value) => {
                faults.extend(of_value.into_iter().map(|fault| fault.inside(name)));
                None
            }
        },
    };
    let token_url = text("token_url", true);
    let (client_id, client_secret) = (text("client_id", true), text("client_secret", true));
    let (scope, audience) = (text("scope", false), text("audience", false));
    let token_url = token_url.and_then(|url| match super::url::check_for(&url, context.allowed) {
        Ok(url) => Some(Secret::new(url)),
        Err(fault) => {
            // What was found is not shown.
            faults.push(ValueFault::new("the URL", fault.why, about.wanted()).inside("token_url"));
            None
        }
    });
    match (token_url, client_id, client_secret) {
        (Some(token_url), Some(client_id), Some(client_secret)) if faults.is_empty() => {
            let [client_id, client_secret] = [client_id, client_secret].map(Secret::new);
            let [scope, audience] = [scope, audience].map(|text| text.map(Secret::new));
            Ok(Oauth { token_url, client_id, client_secret, scope, audience })
        }
        _ => Err(faults),
    }
}

/// One text or several.
pub(super) fn texts(value: &Value, about: &About, _: &mut Context<'_>) -> Parsed<Vec<String>> {
    if value.as_array().is_some_and(Vec::is_empty) {
        return Err(ValueFault::new("the list", "is empty", about.wanted()).into());
    }
    each(value, fields::ANSWERS_MAX, |text| Ok(parse_text(text, about)?.to_owned()))
}
