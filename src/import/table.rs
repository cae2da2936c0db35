//! Tables as CSV, as UptimeRobot and others export them: columns by their names, or by what they are mapped to.

use std::rc::Rc;

use super::reading::{Environment, Reading, Target};
use super::report::{Field, Fields};
use super::secrets::Dialect;
use super::tree::{Node, Value};
use super::words::{self, milliseconds, quoted};
use super::{Fault, File, Import, done, each, fault, text};

/// What a column can be, and the names that it has in public; letters and digits alone count.
const COLUMNS: [(&str, &[&str]); 17] = [
    (
        "url",
        &["url", "urlip", "uri", "address", "target", "website", "websiteurl", "link", "endpoint", "host", "hostname"],
    ),
    ("name", &["friendlyname", "name", "title", "label", "monitorname", "displayname", "monitor"]),
    ("api_id", &["apiid", "slug", "key"]),
    ("type", &["type", "monitortype", "testtype", "checktype"]),
    ("method", &["method", "httpmethod", "verb"]),
    ("port", &["port"]),
    (
        "interval_seconds",
        &["interval", "intervalseconds", "monitoringinterval", "checkinterval", "checkrate", "frequency"],
    ),
    ("interval_minutes", &["intervalminutes", "intervalmin", "resolution"]),
    ("timeout_seconds", &["timeout", "timeoutseconds"]),
    (
        "expected_status",
        &["expectedstatus", "expectedstatuscode", "statuscodes", "expectedstatuscodes", "successcodes"],
    ),
    ("keyword", &["keyword", "keywordvalue", "contains", "findstring", "shouldcontain"]),
    ("keyword_type", &["keywordtype"]),
    ("tags", &["tags", "labels", "group", "groups", "grouping", "folder"]),
    ("enabled", &["enabled", "active"]),
    ("paused", &["paused", "status", "state"]),
    ("user", &["httpusername", "username", "basicuser"]),
    ("password", &["httppassword", "password", "basicpass"]),
];

/// What columns may be mapped to.
pub(super) fn fields() -> Vec<&'static str> {
    COLUMNS.iter().map(|(name, _)| *name).collect()
}

/// Reads each file. `mapped` are pairs of one of [`fields`] and the name of a column.
pub(super) fn read(
    files: &[File],
    environment: Environment<'_>,
    mapped: &[(String, String)],
) -> Result<Import, Vec<Fault>> {
    let tables = each(files, |file| rows(file, mapped))?;
    let mut reading = Reading::new(Dialect::Literal, environment);
    let mut leaves = 0;
    for (file, rows) in &tables {
        for (number, node) in rows.iter().enumerate() {
            leaves += node.leaves;
            one(
                &mut reading,
                Field { file: Rc::clone(file), path: format!("row {}:", number + 1), node: Rc::clone(node) },
                mapped,
            );
            reading.end();
        }
    }
    Ok(done(reading, leaves))
}

/// Rows with what stands in their columns; what is empty is left out.
fn rows(file: &File, mapped: &[(String, String)]) -> Result<Vec<Rc<Node>>, Fault> {
    let text = text(file)?.trim_start_matches('\u{feff}');
    let first = text.lines().next().unwrap_or_default();
    let delimiter = [b',', b';', b'\t']
        .into_iter()
        .max_by_key(|sign| (first.bytes().filter(|byte| byte == sign).count(), *sign == b','));
    let mut reader =
        csv::ReaderBuilder::new().delimiter(delimiter.unwrap_or(b',')).flexible(true).from_reader(text.as_bytes());
    let failed = |error: csv::Error| {
        let line = error.position().map_or(1, csv::Position::line);
        fault(
            &format!("{}, line {line}", file.name),
            "the text",
            "is no CSV that can be read",
            "it with a line of names first",
        )
    };
    let headers: Vec<String> = reader.headers().map_err(failed)?.iter().map(|name| name.trim().to_owned()).collect();
    let missing: Vec<&str> = mapped
        .iter()
        .map(|(_, column)| column.as_str())
        .filter(|column| !headers.iter().any(|name| name == column))
        .collect();
    if !missing.is_empty() {
        let why = format!("has no column {}", missing.join(", "));
        return Err(fault(&file.name, "the file", &why, &format!("--map with its names: {}", headers.join(", "))));
    }
    if !headers.iter().any(|name| meaning(name, mapped) == Some("url")) {
        let remedy = format!("--map url=COLUMN with one of its names: {}", headers.join(", "));
        return Err(fault(&file.name, "the file", "has no column that is known to hold URLs", &remedy));
    }
    let mut rows = Vec::new();
    for record in reader.records() {
        let record = record.map_err(failed)?;
        let line = record.position().map_or(0, |at| at.line() as usize);
        let cells = record.iter().enumerate().map(|(at, cell)| (at, cell.trim())).filter(|(_, cell)| !cell.is_empty());
        let entries: Vec<(String, Rc<Node>)> = cells
            .map(|(at, cell)| {
                (
                    headers.get(at).cloned().unwrap_or_else(|| format!("column {}", at + 1)),
                    Rc::new(Node::text(line, cell)),
                )
            })
            .collect();
        if !entries.is_empty() {
            rows.push(Rc::new(Node::new(line, Value::Table(entries))));
        }
    }
    Ok(rows)
}

/// What a column is.
fn meaning(column: &str, mapped: &[(String, String)]) -> Option<&'static str> {
    if let Some((field, _)) = mapped.iter().find(|(_, known)| known == column) {
        return COLUMNS.iter().map(|(name, _)| *name).find(|name| name == field);
    }
    let plain: String = column.chars().filter(char::is_ascii_alphanumeric).collect::<String>().to_ascii_lowercase();
    let found = COLUMNS.iter().find(|(_, names)| names.contains(&plain.as_str())).map(|(name, _)| *name)?;
    // Where a field is mapped, no other column is meant by it.
    mapped.iter().all(|(field, _)| field != found).then_some(found)
}

/// The first column that is this.
fn take(fields: &mut Fields, columns: &[(String, &'static str)], wanted: &str) -> Option<Field> {
    columns.iter().filter(|(_, meaning)| *meaning == wanted).find_map(|(column, _)| fields.take(column))
}

fn one(reading: &mut Reading<'_>, field: Field, mapped: &[(String, String)]) {
    let table = field.node.table();
    let columns: Vec<(String, &'static str)> =
        table.iter().filter_map(|(name, _)| Some((name.clone(), meaning(name, mapped)?))).collect();
    let of = |wanted: &str| -> String {
        let column = columns.iter().find(|(_, meaning)| *meaning == wanted);
        column.and_then(|(name, _)| field.node.get(name)?.scalar()).unwrap_or_default().to_owned()
    };
    let (url, name, kind, port) = (of("url"), of("name"), of("type").to_ascii_lowercase(), of("port"));
    if url.is_empty() {
        return reading.report.lost(field, "it has no URL");
    }
    let rest = url.split_once("://").map_or(url.as_str(), |(_, rest)| rest).to_owned();
    let wanted =
        [of("api_id"), name.clone(), words::place(&rest)].into_iter().find(|text| !text.is_empty()).unwrap_or_default();
    let api_id = reading.begin(&field.file, field.node.line, &[&wanted]);
    let target = match kind.as_str() {
        "" | "1" | "2" | "http" | "https" | "http(s)" | "keyword" | "website" | "uptime" | "api" => {
            let with_scheme = if url.contains("://") { url.clone() } else { format!("https://{url}") };
            let place = Field { path: format!("{} url", field.path), ..field.clone() };
            reading.url(&api_id, &place, &with_scheme)
        }
        "4" | "port" | "tcp" => {
            let place = rest.trim_end_matches('/');
            let place =
                if port.is_empty() || place.contains(':') { place.to_owned() } else { format!("{place}:{port}") };
            Ok(Target::new(format!("tcp://{place}")))
        }
        other => Err(format!("{other} is not asked; http, https, tcp, tls and dns are")),
    };
    let shown = if name.is_empty() { words::place(&rest) } else { name };
    let Some((field, target)) = reading.asks(field, target, &shown) else { return };
    let is_http = target.is_http();
    let mut fields = reading.report.fields(field);
    if let Some(field) = take(&mut fields, &columns, "url") {
        let put_before = (is_http && !url.contains("://")).then(|| "https:// is put before it".to_owned());
        reading.report.judged(field, target.near.or(put_before));
    }
    for wanted in ["name", "api_id", "type", "port"] {
        if let Some(field) = take(&mut fields, &columns, wanted) {
            reading.report.taken(field);
        }
    }
    times(reading, &mut fields, &columns);
    if is_http {
        answer(reading, &mut fields, &columns, &api_id);
    }
    if let Some(field) = take(&mut fields, &columns, "tags") {
        let tags = field.text();
        tags.split([',', ';', '|']).for_each(|tag| reading.tag(tag));
        reading.report.taken(field);
    }
    for (wanted, off) in
        [("enabled", &["false", "no", "0", "off"][..]), ("paused", &["paused", "true", "yes", "disabled"])]
    {
        if let Some(field) = take(&mut fields, &columns, wanted) {
            if off.contains(&field.scalar().unwrap_or_default().to_ascii_lowercase().as_str()) {
                reading.set("enabled", false);
            }
            reading.report.taken(field);
        }
    }
    reading.report.others_lost(fields, "nothing is known of this column; --map FIELD=COLUMN says what it is");
}

fn times(reading: &mut Reading<'_>, fields: &mut Fields, columns: &[(String, &'static str)]) {
    let length = |field: &Field, unit: f64| -> Option<u64> {
        let text = field.scalar()?;
        text.parse::<f64>()
            .ok()
            .filter(|n| *n > 0.0 && *n < 1e9)
            .map(|number| (number * unit) as u64)
            .or_else(|| milliseconds(text))
    };
    for (wanted, unit) in [("interval_seconds", 1e3), ("interval_minutes", 6e4)] {
        if let Some(field) = take(fields, columns, wanted) {
            let interval = length(&field, unit);
            reading.interval(field, interval);
        }
    }
    if let Some(field) = take(fields, columns, "timeout_seconds") {
        let timeout = length(&field, 1e3);
        reading.timeout(field, timeout);
    }
}

fn answer(reading: &mut Reading<'_>, fields: &mut Fields, columns: &[(String, &'static str)], api_id: &str) {
    if let Some(field) = take(fields, columns, "method") {
        reading.method(field);
    }
    if let Some(field) = take(fields, columns, "expected_status") {
        let codes = field.text().replace([';', '|', ' '], ",");
        reading.set("expected_status", codes);
        reading.report.taken(field);
    }
    let kind = take(fields, columns, "keyword_type");
    let way = kind.as_ref().and_then(|field| field.scalar()).unwrap_or_default().to_ascii_lowercase();
    let lacks = matches!(way.as_str(), "not exists" | "notexists" | "not_exists" | "2") || way.contains("not");
    if let Some(field) = take(fields, columns, "keyword") {
        let word = field.text();
        // UptimeRobot says what is an alert: a keyword that exists, or one that does not.
        let test = if lacks || kind.is_none() { "contains" } else { "lacks" };
        let near = kind.as_ref().map(|_| format!("`{way}` is read as what starts an incident: body {test}"));
        reading.assert(field, &format!("body {test} {}", quoted(&word)), near);
    }
    let (user, password) = (take(fields, columns, "user"), take(fields, columns, "password"));
    if let Some(name) = user.as_ref().and_then(|field| field.scalar()).map(str::to_owned) {
        let secret = match &password {
            Some(field) => reading.secret(&format!("{api_id}_password"), field, &field.text()),
            None => String::new(),
        };
        let name = reading.text(&name);
        reading.set("basic_auth", format!("{name}:{secret}"));
    }
    for field in [kind, user, password].into_iter().flatten() {
        reading.report.taken(field);
    }
}
