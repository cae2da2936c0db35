//! A module of the exporter: how its targets are asked. It is judged once, and stands in the row of each target.

use std::collections::{BTreeMap, BTreeSet};
use std::rc::Rc;

use serde_json::{Map, Value, json};

use super::super::reading::{Reading, Row};
use super::super::report::{Field, Fields};
use super::super::words::{self, milliseconds};
use super::{login::login, tls};

/// What a module says of each of its targets.
#[derive(Clone, Debug)]
pub(super) struct Module {
    /// `http`, `tcp`, `tls` or `dns`; else why its targets are lost.
    pub(super) prober: Result<&'static str, String>,
    /// Fields of a row.
    pub(super) fields: Map<String, Value>,
    pub(super) timeout: Option<u64>,
    /// What is asked of a name server.
    pub(super) query: String,
}

/// Reads all modules. What no job uses is lost.
pub(super) fn read(
    reading: &mut Reading<'_>,
    field: Field,
    used: &BTreeSet<String>,
    modules: &mut BTreeMap<String, Module>,
) {
    for field in reading.report.fields(field).into_fields() {
        let name = field.path.trim_start_matches("modules.").to_owned();
        if used.contains(&name) {
            let module = one(reading, field, &name);
            modules.insert(name, module);
        } else {
            reading.report.lost(field, "no job that was read uses this module");
        }
    }
}

/// A module that is not among the files: those that the exporter brings are known.
pub(super) fn of_name(name: &str) -> Module {
    let prober = match name {
        "http_2xx" => Ok("http"),
        "tcp_connect" => Ok("tcp"),
        _ => Err(format!("its module {name} is not among the files; import blackbox.yml as well")),
    };
    let fields = if prober == Ok("http") { defaults() } else { Map::new() };
    Module { prober, fields, timeout: None, query: String::new() }
}

/// What the exporter does where a module of HTTP says nothing.
fn defaults() -> Map<String, Value> {
    Map::from_iter([("max_redirects".to_owned(), json!(10)), ("expected_status".to_owned(), json!("2xx"))])
}

fn one(reading: &mut Reading<'_>, field: Field, name: &str) -> Module {
    let is_tls = field.node.get("tcp").and_then(|tcp| tcp.flag_of("tls")) == Some(true);
    let prober = match field.node.of("prober") {
        "http" => Ok("http"),
        "tcp" if is_tls => Ok("tls"),
        "tcp" => Ok("tcp"),
        "dns" => Ok("dns"),
        other => Err(format!("{other} is not asked; http, https, tcp, tls and dns are")),
    };
    let mut module = Module { prober, fields: Map::new(), timeout: None, query: String::new() };
    if let Err(why) = &module.prober {
        reading.report.lost(field, why.clone());
        return module;
    }
    // Its values are gathered in a row that is none.
    reading.rows.push(Row { location: String::new(), fields: Map::new() });
    let mut fields = reading.report.fields(field);
    reading.report.all_taken(&mut fields, &["prober"]);
    if let Some(field) = fields.take("timeout") {
        module.timeout = field.scalar().and_then(milliseconds);
        reading.report.lost_unless(module.timeout.is_some(), field, "it is no length of time");
    }
    match module.prober {
        Ok("http") => {
            defaults().into_iter().for_each(|(name, value)| reading.set(&name, value));
            if let Some(field) = fields.take("http") {
                http(reading, field, name);
            }
        }
        Ok("dns") => {
            if let Some(field) = fields.take("dns") {
                module.query = dns(reading, field);
            }
        }
        _ => {
            if let Some(field) = fields.take("tcp") {
                tcp(reading, field);
            }
        }
    }
    let others = ["http", "tcp", "dns", "icmp", "grpc"].map(|name| (name, "it is of another prober"));
    reading.report.all_lost(&mut fields, &others);
    reading.report.rest(fields);
    module.fields = reading.rows.pop().map(|row| row.fields).unwrap_or_default();
    module
}

fn http(reading: &mut Reading<'_>, field: Field, name: &str) {
    let mut http = reading.report.fields(field);
    if let Some(field) = http.take("method") {
        reading.method(field);
    }
    if let Some(field) = http.take("valid_status_codes") {
        let items = reading.report.items(field);
        reading.status_codes(items);
    }
    for (name, follows) in [("follow_redirects", true), ("no_follow_redirects", false)] {
        if let Some(field) = http.take(name) {
            if field.flag() == Some(!follows) {
                reading.set("max_redirects", 0);
            }
            reading.report.taken(field);
        }
    }
    if let Some(field) = http.take("headers") {
        let headers = reading.headers(name, field);
        reading.set("headers", Value::Object(headers));
    }
    if let Some(field) = http.take("body") {
        reading.plain_body(name, field);
    }
    answer(reading, &mut http);
    login(reading, &mut http, name);
    family(reading, &mut http);
    if let Some(field) = http.take("tls_config") {
        tls::read(reading, field);
    }
    let others = [
        ("valid_http_versions", "which version is spoken is not judged"),
        ("compression", "gzip, deflate and br are asked for where a body is judged"),
        ("body_size_limit", "a body is read to `probe.body_bytes_max` of the settings"),
        ("enable_http2", "HTTP/1.1 is spoken, and HTTP/2 where nothing else is"),
        ("enable_http3", "HTTP/3 is not spoken"),
        ("fail_if_ssl", "there is no assertion that TLS is not spoken"),
        ("skip_resolve_phase_with_proxy", "a proxy looks names up by itself"),
        ("use_proxy_dns", "a proxy looks names up by itself"),
    ];
    reading.report.all_lost(&mut http, &others);
    reading.report.rest(http);
}

fn answer(reading: &mut Reading<'_>, http: &mut Fields) {
    for (list, must) in [("fail_if_body_not_matches_regexp", true), ("fail_if_body_matches_regexp", false)] {
        let Some(field) = http.take(list) else { continue };
        for item in reading.report.items(field) {
            let regex = item.text();
            match (must, is_literal(&regex)) {
                (true, _) => reading.assert(item, &format!("body matches {}", words::quoted(&regex)), None),
                (false, true) => reading.assert(item, &format!("body lacks {}", words::quoted(&regex)), None),
                (false, false) => {
                    reading.report.lost(item, "there is no assertion that a regular expression is not found");
                }
            }
        }
    }
    for (list, must) in [("fail_if_header_not_matches", true), ("fail_if_header_matches", false)] {
        let Some(field) = http.take(list) else { continue };
        for item in reading.report.items(field) {
            let node = Rc::clone(&item.node);
            let (header, regex) = (node.of("header"), node.of("regexp"));
            let may_lack = node.flag_of("allow_missing") == Some(true);
            let test = words::quoted(regex);
            match (must, may_lack, is_literal(regex)) {
                (true, false, _) => reading.assert(item, &format!("header {header} matches {test}"), None),
                (false, true, true) => reading.assert(item, &format!("header {header} lacks {test}"), None),
                (false, false, true) => {
                    let how = "where it is missing, that is no fail";
                    reading.assert(item, &format!("header {header} lacks {test}"), Some(how.into()));
                }
                _ => reading.report.lost(item, "there is no such assertion of a header"),
            }
        }
    }
    if let Some(field) = http.take("fail_if_not_ssl") {
        match field.flag() {
            Some(true) => reading.assert(field, "tls >= 1.2", None),
            _ => reading.report.taken(field),
        }
    }
    let cel = ["fail_if_body_json_matches_cel", "fail_if_body_json_not_matches_cel"];
    reading.report.all_lost(http, &cel.map(|name| (name, "CEL is not spoken; write it as `json $.path = value`")));
}

/// Whether a regular expression is just a text.
fn is_literal(regex: &str) -> bool {
    !regex.is_empty() && !regex.contains(|c: char| "\\.+*?()|[]{}^$".contains(c))
}

/// `preferred_ip_protocol`, and whether the other one will do.
pub(super) fn family(reading: &mut Reading<'_>, fields: &mut Fields) {
    let (preferred, fallback) = (fields.take("preferred_ip_protocol"), fields.take("ip_protocol_fallback"));
    let is_strict = fallback.as_ref().and_then(Field::flag) == Some(false);
    if is_strict {
        let family = match preferred.as_ref().and_then(|field| field.scalar()) {
            Some("ip4") => "ipv4",
            _ => "ipv6",
        };
        reading.set("ip_family", family);
    }
    for field in [preferred, fallback].into_iter().flatten() {
        let is_same = is_strict || field.scalar() == Some("ip6") || field.flag() == Some(true);
        reading.report.near_unless(is_same, field, "both families are tried, IPv6 first");
    }
}

fn tcp(reading: &mut Reading<'_>, field: Field) {
    let mut tcp = reading.report.fields(field);
    family(reading, &mut tcp);
    reading.report.all_taken(&mut tcp, &["tls"]);
    if let Some(field) = tcp.take("tls_config") {
        tls::read(reading, field);
    }
    let query = ("query_response", "nothing is said over a connection; that it is taken is a pass");
    reading.report.all_lost(&mut tcp, &[query]);
    reading.report.rest(tcp);
}

fn dns(reading: &mut Reading<'_>, field: Field) -> String {
    let mut dns = reading.report.fields(field);
    family(reading, &mut dns);
    let of = |dns: &Fields, name: &str| dns.peek(name).and_then(|node| node.scalar()).map(str::to_owned);
    let name = of(&dns, "query_name").unwrap_or_default();
    let kind = of(&dns, "query_type").unwrap_or_else(|| "A".into());
    reading.report.all_taken(&mut dns, &["query_name", "query_type"]);
    for (name, well) in [("transport_protocol", "udp"), ("valid_rcodes", "NOERROR")] {
        if let Some(field) = dns.take(name) {
            let list = field.node.list();
            let is_usual =
                field.scalar() == Some(well) || !list.is_empty() && list.iter().all(|node| node.scalar() == Some(well));
            reading.report.lost_unless(is_usual, field, "a question goes by UDP, and passes with an answer");
        }
    }
    reading.report.others_lost(dns, "`expected_answers` names records that the answer has to hold");
    format!("{}?type={kind}", name.trim_end_matches('.'))
}
