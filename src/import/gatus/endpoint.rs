//! One endpoint as one row.

use std::collections::BTreeSet;

use serde_json::{Map, Value};

use super::super::reading::{Reading, Target};
use super::super::report::{Field, Fields};
use super::super::secrets::is_secret;
use super::super::tree::Node;
use super::super::words::{self, milliseconds};
use super::alerts::{self, Defaults};
use super::conditions::{self, CODES, EndpointKind, Meaning};
use super::{client, maintenance};

/// Reads an endpoint; the channels that it uses. Without a row, the whole of it is lost, and is said to be.
pub(super) fn read(reading: &mut Reading<'_>, field: Field, defaults: &Defaults) -> Vec<String> {
    let kind = match kind(&field.node) {
        Ok(kind) => kind,
        Err(why) => {
            reading.report.lost(field, why);
            return Vec::new();
        }
    };
    let url = field.node.of("url").to_owned();
    let name =
        Some(field.node.of("name")).filter(|name| !name.is_empty()).map_or_else(|| words::place(&url), str::to_owned);
    let shown = |text: &str| reading.plain(text).unwrap_or_else(|_| text.to_owned());
    let (group, name) = (shown(field.node.of("group")), shown(&name));
    let api_id = reading.begin(&field.file, field.node.line, &[&group, &name]);
    let target = match kind {
        EndpointKind::Dns => dns(&field, &url),
        EndpointKind::Http => field.node.get("url").map_or(Err("it has no url".into()), |node| {
            let place = Field { node: node.clone(), path: format!("{}.url", field.path), file: field.file.clone() };
            reading.url(&api_id, &place, &url)
        }),
        EndpointKind::Tcp | EndpointKind::Tls => reading.plain(&url).map(Target::new),
    };
    let Some((field, target)) = reading.asks(field, target, &name) else { return Vec::new() };
    let mut fields = reading.report.fields(field);
    if let Some(field) = fields.take("url") {
        reading.report.judged(field, target.near);
    }
    reading.report.all_taken(&mut fields, &["dns"]); // its name and type stand in the URL
    plain_fields(reading, &mut fields, &group);
    if kind == EndpointKind::Http {
        reading.set("max_redirects", 10);
        request(reading, &mut fields, &api_id, &name, &group);
    }
    if let Some(field) = fields.take("client") {
        client::read(reading, field, kind, &api_id);
    }
    if let Some(field) = fields.take("conditions") {
        of_conditions(reading, field, kind);
    }
    if let Some(field) = fields.take("maintenance-windows") {
        for item in reading.report.items(field) {
            if let Some(window) = maintenance::window(reading, item) {
                reading.push("maintenance", window);
            }
        }
    }
    let channels = fields.take("alerts").map(|field| alerts::of_endpoint(reading, field, defaults)).unwrap_or_default();
    let alone = "requests that build on each other are not asked";
    let looks = "the page of api-health has its own looks; URLs and reasons never stand on `/public`";
    reading.report.all_lost(&mut fields, &[("ui", looks), ("store", alone), ("always-run", alone)]);
    if kind != EndpointKind::Http {
        let of_http = ["method", "body", "headers", "graphql"].map(|name| (name, "it is of HTTP, and url is not"));
        reading.report.all_lost(&mut fields, &of_http);
    }
    reading.report.rest(fields);
    channels
}

fn kind(node: &Node) -> Result<EndpointKind, String> {
    if node.get("client").and_then(|client| client.get("tunnel")).is_some_and(|tunnel| tunnel.scalar().is_some()) {
        return Err(
            "it is asked through an SSH tunnel, which nothing is here; asked without it, it would seem down".into()
        );
    }
    if node.get("dns").is_some_and(|dns| !dns.is_null()) {
        return Ok(EndpointKind::Dns);
    }
    let url = node.get("url").and_then(|url| url.scalar()).unwrap_or_default();
    match url.split_once("://").map(|(scheme, _)| scheme) {
        Some("http" | "https") => Ok(EndpointKind::Http),
        Some("tcp") => Ok(EndpointKind::Tcp),
        Some("tls") => Ok(EndpointKind::Tls),
        Some(scheme) if !scheme.contains('$') => {
            Err(format!("{scheme} is not spoken; http, https, tcp, tls and dns are"))
        }
        _ if url.starts_with('$') => Ok(EndpointKind::Http),
        _ => Err("it has no url with a scheme".into()),
    }
}

fn dns(endpoint: &Field, server: &str) -> Result<Target, String> {
    let dns = endpoint.node.get("dns");
    let of = |name: &str| dns.and_then(|dns| dns.get(name)).and_then(|node| node.scalar());
    let kind = of("query-type").unwrap_or("A").to_ascii_uppercase();
    if !["A", "AAAA", "CAA", "CNAME", "MX", "NS", "PTR", "SRV", "TXT"].contains(&kind.as_str()) {
        return Err(format!("records of type {kind} are not asked for"));
    }
    let Some(name) = of("query-name") else { return Err("it has no query-name".into()) };
    let (server, name) = (server.trim_start_matches("udp://").trim_end_matches(":53"), name.trim_end_matches('.'));
    Ok(Target::new(format!("dns://{server}/{name}?type={kind}")))
}

fn plain_fields(reading: &mut Reading<'_>, fields: &mut Fields, group: &str) {
    reading.report.all_taken(fields, &["name", "group"]);
    reading.tag(group);
    if let Some(field) = fields.take("enabled") {
        reading.enabled(field);
    }
    match fields.take("interval") {
        Some(field) => {
            let interval = field.scalar().and_then(milliseconds);
            reading.interval(field, interval);
        }
        None => reading.set("interval_seconds", 60),
    }
    if let Some(field) = fields.take("extra-labels") {
        for field in reading.report.fields(field).into_fields() {
            reading.tag(&format!("{}:{}", field.name(), field.text()));
            reading.report.near(field, "as a tag");
        }
    }
}

fn request(reading: &mut Reading<'_>, fields: &mut Fields, api_id: &str, name: &str, group: &str) {
    if let Some(field) = fields.take("method") {
        reading.method(field);
    }
    let mut headers = fields.take("headers").map_or_else(Map::new, |field| reading.headers(api_id, field));
    let graphql = fields.take("graphql");
    let is_graphql = graphql.as_ref().and_then(Field::flag) == Some(true);
    if let Some(field) = graphql {
        reading.report.taken(field);
    }
    if let Some(field) = fields.take("body") {
        let written = field.text();
        let url = reading.get("url").and_then(Value::as_str).unwrap_or_default().to_owned();
        let filled = [("[ENDPOINT_NAME]", name), ("[ENDPOINT_GROUP]", group), ("[ENDPOINT_URL]", &url)]
            .iter()
            .fold(written.clone(), |text, (placeholder, value)| text.replace(placeholder, value));
        let body = if is_graphql { serde_json::json!({ "query": filled }).to_string() } else { filled.clone() };
        let body = reading.body(api_id, &field, &body);
        reading.set("body", body);
        if is_graphql && !headers.keys().any(|name| name.eq_ignore_ascii_case("content-type")) {
            headers.insert("Content-Type".into(), Value::from("application/json"));
        }
        let is_sent_so = !written.contains("[RANDOM_STRING_") && !written.contains("[LOCAL_ADDRESS]");
        match filled != written {
            true => reading.report.near(field, "its placeholders are filled in"),
            false => reading.report.near_unless(is_sent_so, field, "its placeholders are sent as they stand"),
        }
    }
    reading.set_headers(headers);
}

fn of_conditions(reading: &mut Reading<'_>, field: Field, kind: EndpointKind) {
    let mut codes: BTreeSet<u16> = CODES.collect();
    for item in reading.report.items(field) {
        let Some(text) = item.scalar().map(str::to_owned) else {
            reading.report.lost(item, "it is no condition");
            continue;
        };
        let names = reading.dialect.to_ours(&text).1;
        if names.iter().any(|name| is_secret(name)) {
            reading.report.lost(item, "an assertion holds no references, and this one is of a secret");
            continue;
        }
        let Ok(text) = reading.plain(&text) else {
            reading.report.lost(item, "a variable in it is not set here; set it and import again");
            continue;
        };
        match conditions::read(&text, kind) {
            Meaning::Status(passes) => {
                let both: BTreeSet<u16> = codes.intersection(&passes).copied().collect();
                if both.is_empty() {
                    reading.report.lost(item, "with the conditions before it, no status would pass");
                } else if words::codes(&both).split(',').count() > 50 {
                    reading.report.lost(item, "a row has at most 50 ranges of status codes");
                } else {
                    codes = both;
                    reading.report.taken(item);
                }
            }
            Meaning::Assert(assertion) => reading.assert(item, &assertion, None),
            Meaning::Nearly(assertion, how) => reading.assert(item, &assertion, Some(how.into())),
            Meaning::CertificateDays(_) if kind == EndpointKind::Tcp || kind == EndpointKind::Dns => {
                reading.report.lost(item, "there is no certificate");
            }
            Meaning::CertificateDays(days) => {
                reading.push("certificate_days", days);
                reading.report.near(item, format!("told {days} days before, beside the status: it is no outage"));
            }
            Meaning::Answer(answer) => {
                reading.push("expected_answers", answer);
                reading.report.taken(item);
            }
            Meaning::Always => reading.report.taken(item),
            Meaning::Lost(why) => reading.report.lost(item, why),
        }
    }
    if kind == EndpointKind::Http {
        reading.set("expected_status", words::codes(&codes));
    }
}
