//! Endpoints of Gatus. Each text is written as JSON, which YAML reads as it is meant.

use serde_json::{Map, Value};

use super::{Export, Fields};

pub(super) fn export(rows: &[Map<String, Value>]) -> Export {
    let mut export = Export { text: "endpoints:\n".into(), unsaid: Vec::new() };
    for row in rows {
        endpoint(row, &mut export);
    }
    if rows.is_empty() {
        export.text = "endpoints: []\n".into();
    }
    export
}

fn quoted(text: &str) -> String {
    Value::from(text).to_string()
}

/// A text with references as Gatus has them; `None` where one is of a file or a credential.
fn references(text: &str) -> Option<String> {
    let (mut theirs, mut rest) = (String::new(), text);
    while let Some(at) = rest.find('$') {
        theirs.push_str(&rest[..at]);
        let behind = &rest[at..];
        if let Some(after) = behind.strip_prefix("$${") {
            theirs.push_str("$${");
            rest = after;
        } else if let Some((name, after)) = behind.strip_prefix("${env:").and_then(|inner| inner.split_once('}')) {
            theirs.push_str(&format!("${{{name}}}"));
            rest = after;
        } else if behind.starts_with("${file:") || behind.starts_with("${credential:") {
            return None;
        } else {
            theirs.push_str("$$");
            rest = &behind[1..];
        }
    }
    theirs.push_str(rest);
    Some(theirs)
}

fn endpoint(row: &Map<String, Value>, export: &mut Export) {
    const FILES: &str = "Gatus refers to its environment alone, not to files and credentials";
    let mut fields = Fields::of(row);
    fields.take("api_id");
    let url = fields.text("url").unwrap_or_default();
    let Some(mut address) = references(url) else {
        return export.unsaid.push(fields.unsaid("url", format!("{FILES}; it is left out")));
    };
    let mut lines: Vec<String> = Vec::new();
    let mut line = |depth: usize, name: &str, value: &str| {
        let value = if value.is_empty() { String::new() } else { format!(" {value}") };
        lines.push(format!(
            "{}{name}:{value}
",
            "  ".repeat(depth)
        ));
    };
    line(2, "name", &quoted(fields.text("name").unwrap_or(fields.api_id)));
    let tags = fields.texts("tags");
    if let Some(group) = tags.first() {
        line(2, "group", &quoted(group));
    }
    for tag in tags.iter().skip(1) {
        export.unsaid.push(fields.unsaid("tags", format!("{tag}: an endpoint has one group")));
    }
    if let Some(basic) = fields.text("basic_auth") {
        match (references(basic), address.split_once("://")) {
            (Some(basic), Some((scheme, rest))) => address = format!("{scheme}://{basic}@{rest}"),
            _ => export.unsaid.push(fields.unsaid("basic_auth", FILES)),
        }
    }
    let mut conditions = Vec::new();
    if let Some(query) = address.strip_prefix("dns://") {
        let (server, rest) = query.split_once('/').unwrap_or(("", query));
        let (name, kind) = rest.split_once("?type=").unwrap_or((rest, "A"));
        line(2, "url", &quoted(server));
        line(2, "dns", &format!("{{query-name: {}, query-type: {}}}", quoted(name), quoted(kind)));
        conditions.push("[DNS_RCODE] == NOERROR".to_owned());
        for answer in fields.texts("expected_answers") {
            conditions.push(format!("[BODY] == {answer}"));
        }
    } else {
        line(2, "url", &quoted(&address));
    }
    match (fields.take("interval_seconds").and_then(Value::as_f64), fields.text("schedule")) {
        (Some(seconds), _) => line(2, "interval", &format!("{seconds}s")),
        (None, Some(schedule)) => {
            export
                .unsaid
                .push(fields.unsaid("schedule", format!("{schedule}: Gatus knows intervals alone; 60s is written")));
            line(2, "interval", "60s");
        }
        _ => {}
    }
    if fields.take("enabled") == Some(&Value::Bool(false)) {
        line(2, "enabled", "false");
    }
    let is_http = url.starts_with("http");
    if let Some(method) = fields.text("method").filter(|method| *method != "GET") {
        line(2, "method", &quoted(method));
    }
    if let Some(body) = fields.text("body") {
        match references(body) {
            Some(body) => line(2, "body", &quoted(&body)),
            None => export.unsaid.push(fields.unsaid("body", FILES)),
        }
    }
    let mut headers: Vec<(String, &str)> = match fields.take("headers") {
        Some(Value::Object(headers)) => {
            headers.iter().filter_map(|(name, value)| Some((name.clone(), value.as_str()?))).collect()
        }
        _ => Vec::new(),
    };
    let bearer = fields.text("bearer_token").map(|token| format!("Bearer {token}"));
    headers.extend(bearer.as_deref().map(|token| ("Authorization".to_owned(), token)));
    if !headers.is_empty() {
        line(2, "headers", "");
        for (name, value) in headers {
            match references(value) {
                Some(value) => line(3, &quoted(&name), &quoted(&value)),
                None => export.unsaid.push(fields.unsaid(&format!("headers.{name}"), FILES)),
            }
        }
    }
    client(&mut fields, &mut line, is_http, export);
    let expected = fields.text("expected_status").unwrap_or("2xx");
    if is_http {
        match status(expected) {
            Some(found) => conditions.extend(found),
            None => export.unsaid.push(fields.unsaid("expected_status", "so many ranges are no condition of Gatus")),
        }
    }
    for assertion in fields.texts("assert") {
        match condition(assertion) {
            Some(condition) => conditions.push(condition),
            None => export.unsaid.push(fields.unsaid("assert", format!("{assertion}: there is no such condition"))),
        }
    }
    if conditions.is_empty() {
        conditions.push("[CONNECTED] == true".into());
    }
    line(2, "conditions", "");
    for condition in conditions {
        lines.push(format!("      - {}\n", quoted(&condition.replace('$', "$$"))));
    }
    for name in ["kind", "success_threshold", "failure_threshold", "max_redirects"] {
        let Some(value) = fields.take(name) else { continue };
        if name.ends_with("threshold") {
            export.unsaid.push(fields.unsaid(name, format!("{value}: it stands in each of an endpoint's alerts")));
        }
    }
    for (name, _) in std::mem::take(&mut fields.rest) {
        let why = match name.as_str() {
            "certificate_days" => "a condition about a certificate would make it down",
            "maintenance" => "windows that cron opens are not written",
            _ => "Gatus has no such field",
        };
        export.unsaid.push(fields.unsaid(name, why));
    }
    if let Some(first) = lines.first_mut() {
        first.replace_range(..4, "  - ");
    }
    export.text.push_str(&lines.concat());
}

fn client(fields: &mut Fields<'_>, line: &mut impl FnMut(usize, &str, &str), is_http: bool, export: &mut Export) {
    let timeout = fields.take("timeout_seconds").and_then(Value::as_f64);
    line(2, "client", "");
    line(3, "timeout", &format!("{}s", timeout.unwrap_or(10.0)));
    if is_http {
        let follows = fields.rest.iter().any(|(name, value)| *name == "max_redirects" && value.as_u64() != Some(0));
        line(3, "ignore-redirect", if follows { "false" } else { "true" });
    }
    if let Some(proxy) = fields.text("proxy").and_then(references).filter(|proxy| proxy != "none") {
        line(3, "proxy-url", &quoted(&proxy));
    }
    if let (Some(certificate), Some(key)) = (fields.text("client_certificate"), fields.text("client_key")) {
        let path = |text: &str| text.trim_start_matches("${file:").trim_end_matches('}').to_owned();
        line(
            3,
            "tls",
            &format!("{{certificate-file: {}, private-key-file: {}}}", quoted(&path(certificate)), quoted(&path(key))),
        );
    }
    if let Some(Value::Object(oauth)) = fields.take("oauth2") {
        line(3, "oauth2", "");
        for (name, value) in oauth {
            let value = value.as_str().and_then(references);
            match (name.as_str(), value) {
                ("scope", Some(scope)) => {
                    let scopes: Vec<String> = scope.split(' ').map(quoted).collect();
                    line(4, "scopes", &format!("[{}]", scopes.join(", ")));
                }
                ("token_url" | "client_id" | "client_secret", Some(value)) => {
                    line(4, &name.replace('_', "-"), &quoted(&value));
                }
                _ => export.unsaid.push(fields.unsaid(&format!("oauth2.{name}"), "Gatus has no such field")),
            }
        }
    }
}

/// `200-299,301` as conditions.
fn status(expected: &str) -> Option<Vec<String>> {
    let mut ranges = Vec::new();
    for part in expected.split(',').map(str::trim) {
        let range = match (part.strip_suffix("xx"), part.split_once('-')) {
            (Some(class), _) => {
                let class: u16 = class.parse().ok()?;
                (class * 100, class * 100 + 99)
            }
            (None, Some((from, to))) => (from.trim().parse().ok()?, to.trim().parse().ok()?),
            (None, None) => part.parse().ok().map(|code: u16| (code, code))?,
        };
        ranges.push(range);
    }
    match &ranges[..] {
        [(from, to)] if from == to => Some(vec![format!("[STATUS] == {from}")]),
        [(from, to)] => Some(vec![format!("[STATUS] >= {from}"), format!("[STATUS] <= {to}")]),
        ranges => {
            let codes: Vec<String> =
                ranges.iter().flat_map(|(from, to)| *from..=*to).map(|code| code.to_string()).collect();
            (codes.len() <= 500).then(|| vec![format!("[STATUS] == any({})", codes.join(", "))])
        }
    }
}

/// An assertion as a condition.
fn condition(assertion: &str) -> Option<String> {
    let (subject, rest) = assertion.trim().split_once(' ')?;
    let (how, with) = rest.trim().split_once(' ').unwrap_or((rest.trim(), ""));
    let text = |with: &str| serde_json::from_str::<String>(with).unwrap_or_else(|_| with.to_owned());
    match (subject, how) {
        ("body", "contains") if !text(with).contains('*') => Some(format!("[BODY] == pat(*{}*)", text(with))),
        ("body", "lacks") if !text(with).contains('*') => Some(format!("[BODY] != pat(*{}*)", text(with))),
        ("latency", "<" | "<=") => {
            let (number, unit) =
                with.trim().split_once(' ').unwrap_or((with.trim_end_matches(char::is_alphabetic), "ms"));
            let milliseconds = number.parse::<f64>().ok()? * if unit == "s" { 1000.0 } else { 1.0 };
            Some(format!("[RESPONSE_TIME] {how} {milliseconds}"))
        }
        ("json", path) => json(path, with),
        _ => None,
    }
}

fn json(path: &str, with: &str) -> Option<String> {
    let simple = path.strip_prefix('$')?.replace("['", ".").replace("']", "");
    if simple.contains(['?', '"', ':']) || simple.contains("..") {
        return None;
    }
    let body = format!("[BODY]{simple}");
    let (how, value) = with.split_once(' ').unwrap_or((with, ""));
    let plain = |value: &Value| value.as_str().map_or_else(|| value.to_string(), str::to_owned);
    match how {
        "exists" => Some(format!("has({body}) == true")),
        "length" => {
            let (sign, number) = value.split_once(' ')?;
            Some(format!("len({body}) {} {number}", if sign == "=" { "==" } else { sign }))
        }
        "in" => {
            let Value::Array(values) = serde_json::from_str(value).ok()? else { return None };
            let mut texts: Vec<String> = values.iter().map(plain).collect();
            texts.dedup();
            match &texts[..] {
                [one] => Some(format!("{body} == {one}")),
                _ => Some(format!("{body} == any({})", texts.join(", "))),
            }
        }
        "=" | "!=" | "<" | "<=" | ">" | ">=" => {
            let value = plain(&serde_json::from_str(value).ok()?);
            Some(format!("{body} {} {value}", if how == "=" { "==" } else { how }))
        }
        _ => None,
    }
}
