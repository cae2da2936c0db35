//! What a monitor of HTTP sends: method, headers, body, login, proxy.

use serde_json::{Map, Value};

use super::super::reading::Reading;
use super::super::report::{Field, Fields};
use super::super::tree;
use super::super::words::is_ours;
use super::monitor::{Shared, take};

pub(super) fn request(reading: &mut Reading<'_>, fields: &mut Fields, api_id: &str, shared: &Shared) {
    if let Some(field) = fields.take("method") {
        reading.method(field);
    }
    let mut headers = Map::new();
    if let Some(field) = fields.take("headers") {
        let inner = field.scalar().and_then(|text| tree::documents(text).ok()?.pop());
        let table = inner.as_ref().unwrap_or(&field.node);
        let mut left_out = Vec::new();
        for (name, value) in table.table() {
            match (value.scalar(), is_ours(name)) {
                (Some(value), false) => {
                    let value = reading.header(api_id, name, &field, value);
                    headers.insert(name.clone(), Value::from(value));
                }
                _ => left_out.push(name.clone()),
            }
        }
        let how = format!("without what the client writes: {}", left_out.join(", "));
        match field.node.is_null() || !table.table().is_empty() {
            true => reading.report.near_unless(left_out.is_empty(), field, how),
            false => reading.report.lost(field, "it is no table of JSON"),
        }
    }
    let encoding = take(fields, &["http_body_encoding", "httpBodyEncoding"]);
    let encoding_text = encoding.as_ref().and_then(|f| f.scalar()).unwrap_or("json").to_owned();
    if let Some(field) = encoding {
        reading.report.taken(field);
    }
    if let Some(field) = fields.take("body") {
        let body = field.text();
        if !body.is_empty() {
            let body = reading.body(api_id, &field, &body);
            reading.set("body", body);
            let media_type = match encoding_text.as_str() {
                "xml" => "text/xml; charset=utf-8",
                "form" => "application/x-www-form-urlencoded",
                _ => "application/json",
            };
            if !headers.keys().any(|name| name.eq_ignore_ascii_case("content-type")) {
                headers.insert("Content-Type".into(), Value::from(media_type));
            }
        }
        reading.report.taken(field);
    }
    reading.set_headers(headers);
    login(reading, fields, api_id);
    if let Some(field) = take(fields, &["proxy_id", "proxyId"]) {
        proxy(reading, field, api_id, shared);
    }
    if let Some(field) = fields.take("maxredirects") {
        reading.redirects(field);
    }
}

/// The names in the database and in the backup.
const OAUTH: [(&str, &str); 10] = [
    ("oauth_token_url", "token_url"),
    ("oauthTokenUrl", "token_url"),
    ("oauth_client_id", "client_id"),
    ("oauthClientId", "client_id"),
    ("oauth_client_secret", "client_secret"),
    ("oauthClientSecret", "client_secret"),
    ("oauth_scopes", "scope"),
    ("oauthScopes", "scope"),
    ("oauth_audience", "audience"),
    ("oauthAudience", "audience"),
];

fn login(reading: &mut Reading<'_>, fields: &mut Fields, api_id: &str) {
    let method = take(fields, &["auth_method", "authMethod"]);
    let way = method.as_ref().and_then(|field| field.scalar()).unwrap_or_default().to_owned();
    let (user, password) = (fields.take("basic_auth_user"), fields.take("basic_auth_pass"));
    let is_set =
        |field: &Option<Field>| field.as_ref().is_some_and(|f| f.scalar().is_some_and(|text| !text.is_empty()));
    if matches!(way.as_str(), "" | "basic") && is_set(&user) {
        let text = |field: &Option<Field>| field.as_ref().and_then(|f| f.scalar()).unwrap_or_default().to_owned();
        let (name, secret) = (text(&user), text(&password));
        let secret = match &password {
            Some(field) => reading.secret(&format!("{api_id}_password"), field, &secret),
            None => secret,
        };
        let name = reading.text(&name);
        reading.set("basic_auth", format!("{name}:{secret}"));
    }
    for field in [user, password].into_iter().flatten() {
        let is_said = matches!(way.as_str(), "" | "basic") || field.scalar().is_none_or(str::is_empty);
        reading.report.lost_unless(is_said, field, format!("nobody logs in by {way} here"));
    }
    if way == "oauth2-cc" {
        reading.oauth(api_id, fields, &OAUTH);
    }
    reading.report.all_taken(fields, &OAUTH.map(|(name, _)| name)); // left over from another way
    if let Some(field) = take(fields, &["bearer_token", "bearerToken"]) {
        let text = field.text();
        if !text.is_empty() && reading.get("basic_auth").is_none() {
            let token = reading.secret(&format!("{api_id}_token"), &field, &text);
            reading.set("bearer_token", token);
        }
        reading.report.taken(field);
    }
    if let Some(field) = method {
        let is_known = matches!(way.as_str(), "" | "basic" | "oauth2-cc" | "bearer");
        let why = format!("nobody logs in by {way} here; client_certificate takes PEM files");
        reading.report.lost_unless(is_known, field, why);
    }
}

fn proxy(reading: &mut Reading<'_>, field: Field, api_id: &str, shared: &Shared) {
    let Some(id) = field.scalar().map(str::to_owned) else { return reading.report.taken(field) };
    let proxies = shared.proxies.as_ref().map(|node| node.list()).unwrap_or_default();
    let Some(proxy) = proxies.iter().find(|proxy| proxy.of("id") == id) else {
        return reading.report.lost(field, "there is no such proxy");
    };
    if proxy.of("protocol") != "http" {
        return reading.report.lost(field, format!("a proxy is one of HTTP, not {}", proxy.of("protocol")));
    }
    let place = format!("{}:{}", proxy.of("host"), proxy.of("port"));
    let user = proxy.of("username");
    let text = match user.is_empty() {
        true => format!("http://{place}"),
        false => {
            let password = reading.secret(&format!("{api_id}_proxy_password"), &field, proxy.of("password"));
            format!("http://{user}:{password}@{place}")
        }
    };
    reading.set("proxy", text);
    reading.report.taken(field);
}
