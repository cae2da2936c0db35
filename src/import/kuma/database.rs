//! The database of Uptime Kuma as a tree like that of its backup. It is opened for reading alone, so that a running one is not
//! disturbed.

use std::collections::BTreeMap;
use std::path::Path;
use std::rc::Rc;
use std::time::Duration;

use rusqlite::types::ValueRef;
use rusqlite::{Connection, OpenFlags};

use super::super::tree::{self, Node, Value};
use super::super::{Fault, fault};

/// The most rows of a table.
const ROWS_MAX: usize = 100_000;
/// Tables of which it is only said that they are there.
const OTHERS: [&str; 12] = [
    "stat_daily",
    "stat_hourly",
    "stat_minutely",
    "heartbeat",
    "status_page",
    "incident",
    "group",
    "user",
    "api_key",
    "docker_host",
    "remote_browser",
    "setting",
];
/// Columns that are texts of JSON.
const JSON: [&str; 6] = ["accepted_statuscodes_json", "config", "weekdays", "days_of_month", "headers", "conditions"];

/// Columns that nobody sets.
const OWN: [&str; 5] = ["user_id", "created_date", "weight", "dns_last_result", "push_token"];

/// What SQLite refuses, and what is too much.
type Read<T> = Result<T, Box<dyn std::error::Error>>;
type Table = Vec<(String, Rc<Node>)>;

/// Reads it.
pub(super) fn tree(name: &str, path: &Path) -> Result<Rc<Node>, Fault> {
    let failed = |error: Box<dyn std::error::Error>| {
        let why = format!("cannot be read: {error}");
        fault(name, "the database", &why, "the path of kuma.db; copy it with `sqlite3 kuma.db \".backup copy.db\"`")
    };
    let flags = OpenFlags::SQLITE_OPEN_READ_ONLY | OpenFlags::SQLITE_OPEN_NO_MUTEX;
    let database = Connection::open_with_flags(path, flags).map_err(|error| failed(error.into()))?;
    database.busy_timeout(Duration::from_secs(5)).map_err(|error| failed(error.into()))?;
    if !has(&database, "monitor").map_err(failed)? {
        return Err(fault(name, "the database", "has no table monitor", "the path of the kuma.db of Uptime Kuma"));
    }
    whole(&database).map_err(failed)
}

fn whole(database: &Connection) -> Read<Rc<Node>> {
    let mut monitors = rows(database, "monitor", "SELECT * FROM monitor ORDER BY id")?;
    let tags = "SELECT monitor_id, name, value FROM monitor_tag JOIN tag ON tag.id = tag_id ORDER BY monitor_tag.id";
    attach(&mut monitors, "tags", rows(database, "monitor_tag", tags)?);
    let used = "SELECT monitor_id, notification_id AS id FROM monitor_notification ORDER BY id";
    attach(&mut monitors, "notifications", rows(database, "monitor_notification", used)?);
    let query = "SELECT monitor_id, maintenance_id AS id FROM monitor_maintenance ORDER BY id";
    attach(&mut monitors, "maintenance", rows(database, "monitor_maintenance", query)?);
    let mut top = vec![("monitorList".to_owned(), list(monitors))];
    for (name, table) in
        [("notificationList", "notification"), ("maintenanceList", "maintenance"), ("proxyList", "proxy")]
    {
        let found = rows(database, table, &format!("SELECT * FROM {table} ORDER BY id"))?;
        if !found.is_empty() {
            top.push((name.to_owned(), list(found)));
        }
    }
    for table in OTHERS {
        if has(database, table)? {
            let count: i64 = database.query_row(&format!("SELECT count(*) FROM \"{table}\""), [], |row| row.get(0))?;
            if count > 0 {
                top.push((table.to_owned(), Rc::new(Node::text(0, format!("{count} rows")))));
            }
        }
    }
    Ok(Rc::new(Node::new(0, Value::Table(top))))
}

fn has(database: &Connection, table: &str) -> Read<bool> {
    let query = "SELECT count(*) FROM sqlite_master WHERE type = 'table' AND name = ?";
    let found: i64 = database.query_row(query, [table], |row| row.get(0))?;
    Ok(found > 0)
}

/// The rows of a query, each without what is null or empty.
fn rows(database: &Connection, table: &str, query: &str) -> Read<Vec<Table>> {
    if !has(database, table)? {
        return Ok(Vec::new());
    }
    let mut statement = database.prepare(query)?;
    let columns: Vec<String> = statement.column_names().map(str::to_owned).collect();
    let mut found = statement.query([])?;
    let mut rows = Vec::new();
    while let Some(row) = found.next()? {
        let mut entries = Table::new();
        for (index, column) in columns.iter().enumerate() {
            if let Some(node) = node(column, row.get_ref(index)?) {
                entries.push((column.clone(), node));
            }
        }
        if rows.len() >= ROWS_MAX {
            return Err(format!("{table} has more than {ROWS_MAX} rows").into());
        }
        rows.push(entries);
    }
    Ok(rows)
}

fn node(column: &str, value: ValueRef<'_>) -> Option<Rc<Node>> {
    let text = match value {
        ValueRef::Null | ValueRef::Blob(_) => return None,
        ValueRef::Integer(number) => number.to_string(),
        ValueRef::Real(number) => number.to_string(),
        ValueRef::Text(bytes) => String::from_utf8_lossy(bytes).into_owned(),
    };
    if text.is_empty() || OWN.contains(&column) {
        return None;
    }
    if JSON.contains(&column)
        && let Ok(parsed) = serde_json::from_str::<serde_json::Value>(&text)
    {
        return (!parsed.is_null()).then(|| of_json(&parsed));
    }
    Some(Rc::new(Node::text(0, text)))
}

/// A value of JSON as a tree without lines.
fn of_json(value: &serde_json::Value) -> Rc<Node> {
    let value = match value {
        serde_json::Value::Array(items) => Value::List(items.iter().map(of_json).collect()),
        serde_json::Value::Object(map) => {
            Value::Table(map.iter().map(|(name, value)| (name.clone(), of_json(value))).collect())
        }
        serde_json::Value::String(text) => Value::Scalar(text.clone(), false),
        other => Value::Scalar(other.to_string(), true),
    };
    Rc::new(tree::Node::new(0, value))
}

/// Puts rows of another table into those that they belong to.
fn attach(monitors: &mut [Table], name: &str, rows: Vec<Table>) {
    let mut by_monitor: BTreeMap<String, Vec<Table>> = BTreeMap::new();
    for mut row in rows {
        let at = row.iter().position(|(column, _)| column == "monitor_id");
        let owner = at.map(|at| row.remove(at).1).and_then(|node| node.scalar().map(str::to_owned));
        by_monitor.entry(owner.unwrap_or_default()).or_default().push(row);
    }
    for monitor in monitors {
        let id = monitor.iter().find(|(column, _)| column == "id").and_then(|(_, node)| node.scalar());
        if let Some(rows) = id.and_then(|id| by_monitor.remove(id)) {
            monitor.push((name.to_owned(), list(rows)));
        }
    }
}

fn list(rows: Vec<Table>) -> Rc<Node> {
    let rows = rows.into_iter().map(|row| Rc::new(Node::new(0, Value::Table(row)))).collect();
    Rc::new(Node::new(0, Value::List(rows)))
}
