//! What all readers share: the rows and channels that came out so far, and how ids, texts, URLs and secrets get into them.

use std::collections::{BTreeMap, HashMap, HashSet};
use std::rc::Rc;

use serde_json::{Map, Value, json};

use super::channels::Channel;
use super::report::{Field, Report};
use super::secrets::{Dialect, Secrets, has_reference, has_secret, is_secret};
use super::words;

/// A row that came out of a file.
#[derive(Clone, Debug, PartialEq)]
pub struct Row {
    /// `config.yaml, line 12`.
    pub location: String,
    pub fields: Map<String, Value>,
}

/// A variable of the environment in which the import runs, if it is set.
pub type Environment<'a> = &'a dyn Fn(&str) -> Option<String>;

/// All that comes out of the files of one program.
pub(crate) struct Reading<'a> {
    pub(crate) report: Report,
    pub(crate) rows: Vec<Row>,
    pub(crate) channels: Vec<Channel>,
    pub(crate) secrets: Secrets,
    pub(crate) dialect: Dialect,
    environment: Environment<'a>,
    ids: HashSet<String>,
    /// How many have this slug: to count from one each time would take hours over a long file.
    nth_of: HashMap<String, u32>,
}

/// What is asked: a URL taken apart as far as rows want it.
#[derive(Debug, Default, PartialEq, Eq)]
pub(crate) struct Target {
    pub(crate) url: String,
    /// The user name and password that stood in it.
    pub(crate) basic_auth: Option<String>,
    /// How it differs from what stood there.
    pub(crate) near: Option<String>,
}

/// The shortest and the longest interval of a row, in seconds.
const INTERVAL: (u64, u64) = (1, 86_400);
const TIMEOUT: (u64, u64) = (1, 300);

impl Target {
    pub(crate) fn new(url: String) -> Self {
        Self { url, ..Self::default() }
    }

    pub(crate) fn is_http(&self) -> bool {
        self.url.starts_with("http")
    }
}

impl<'a> Reading<'a> {
    pub(crate) fn new(dialect: Dialect, environment: Environment<'a>) -> Self {
        let report = Report::default();
        let (rows, channels, secrets) = (Vec::new(), Vec::new(), Secrets::default());
        Self { report, rows, channels, secrets, dialect, environment, ids: HashSet::new(), nth_of: HashMap::new() }
    }

    /// Begins a row; what is judged from now on belongs to it.
    pub(crate) fn begin(&mut self, file: &Rc<str>, line: usize, wanted: &[&str]) -> String {
        let api_id = self.id(wanted);
        let location = if line > 0 { format!("{file}, line {line}") } else { file.to_string() };
        self.report.row = Some(self.rows.len());
        self.rows.push(Row { location, fields: Map::new() });
        self.set("api_id", api_id.clone());
        api_id
    }

    /// What the row that was begun asks, and what it is called; the field again. Where there is nothing to ask there is no row, and the
    /// whole of it is lost.
    pub(crate) fn asks(&mut self, whole: Field, target: Result<Target, String>, name: &str) -> Option<(Field, Target)> {
        match target {
            Ok(target) => {
                self.set("name", words::name(name));
                self.set("url", target.url.clone());
                if let Some(basic) = &target.basic_auth {
                    self.set("basic_auth", basic.clone());
                }
                Some((whole, target))
            }
            Err(why) => {
                self.rows.pop();
                self.end();
                self.report.lost(whole, why);
                None
            }
        }
    }

    /// Ends a row.
    pub(crate) fn end(&mut self) {
        self.report.row = None;
    }

    /// Sets a field of the row that was begun last.
    pub(crate) fn set(&mut self, name: &str, value: impl Into<Value>) {
        if let Some(row) = self.rows.last_mut() {
            row.fields.insert(name.to_owned(), value.into());
        }
    }

    /// Appends to a list in the row that was begun last.
    pub(crate) fn push(&mut self, name: &str, value: impl Into<Value>) {
        if let Some(row) = self.rows.last_mut()
            && let Value::Array(list) = row.fields.entry(name).or_insert_with(|| json!([]))
        {
            let value = value.into();
            if !list.contains(&value) {
                list.push(value);
            }
        }
    }

    /// What the row that was begun last has in a field.
    pub(crate) fn get(&self, name: &str) -> Option<&Value> {
        self.rows.last()?.fields.get(name)
    }

    fn id(&mut self, wanted: &[&str]) -> String {
        let slugs: Vec<String> = wanted.iter().map(|text| words::slug(text)).filter(|slug| !slug.is_empty()).collect();
        let slug = if slugs.is_empty() { "api".to_owned() } else { words::slug(&slugs.join("-")) };
        let mut api_id = slug.clone();
        while !self.ids.insert(api_id.clone()) {
            let nth = self.nth_of.entry(slug.clone()).or_insert(1);
            *nth += 1;
            api_id = format!("{slug}-{nth}");
        }
        api_id
    }

    /// A text in which references may stand, as a row writes it.
    pub(crate) fn text(&mut self, text: &str) -> String {
        let (ours, names) = self.dialect.to_ours(text);
        names.iter().for_each(|name| self.secrets.refer(name));
        ours
    }

    /// A text in which none may stand: what it refers to is filled in now.
    ///
    /// # Errors
    /// The name of a variable that is not set.
    pub(crate) fn plain(&self, text: &str) -> Result<String, String> {
        let (mut ours, names) = self.dialect.to_ours(text);
        for name in names {
            let value = (self.environment)(&name).ok_or_else(|| name.clone())?;
            ours = ours.replace(&format!("${{env:{name}}}"), &value);
        }
        Ok(ours.replace("$${", "${"))
    }

    /// A secret: a reference to it, unless it is one already.
    pub(crate) fn secret(&mut self, wanted: &str, field: &Field, value: &str) -> String {
        let ours = self.text(value);
        if has_reference(&ours) || value.is_empty() {
            return ours;
        }
        self.secrets.reference(wanted, value, &field.file, field.node.line, &field.path)
    }

    /// A key of a channel of that name, without the `!` that makes it no secret, and its value.
    pub(crate) fn of_channel<'k>(&mut self, name: &str, key: &'k str, field: &Field, text: &str) -> (&'k str, String) {
        match key.strip_prefix('!') {
            Some(open) => (open, self.text(text)),
            None => (key, self.secret(&format!("{name}_{key}"), field, text)),
        }
    }

    /// A header's value, as a reference if it may be secret.
    pub(crate) fn header(&mut self, api_id: &str, name: &str, field: &Field, value: &str) -> String {
        if !is_secret(name) {
            return self.text(value);
        }
        for scheme in ["Bearer ", "Basic ", "Token ", "bearer ", "basic ", "token "] {
            if let Some(rest) = value.strip_prefix(scheme) {
                return format!("{scheme}{}", self.secret(&format!("{api_id}_{name}"), field, rest.trim()));
            }
        }
        self.secret(&format!("{api_id}_{name}"), field, value)
    }

    /// A body, as a reference where a secret is named in it.
    pub(crate) fn body(&mut self, api_id: &str, field: &Field, value: &str) -> String {
        if !has_secret(value) || value.is_empty() {
            return self.text(value);
        }
        // A reference beside it does not make a secret that is written out safe: the whole body goes into one variable.
        self.secrets.reference(&format!("{api_id}_body"), value, &field.file, field.node.line, &field.path)
    }

    /// A URL of HTTP.
    ///
    /// # Errors
    /// Why it cannot stand in a row.
    pub(crate) fn url(&mut self, api_id: &str, field: &Field, text: &str) -> Result<Target, String> {
        let text = text.trim();
        // `${URL}/health`: the variable may hold the scheme.
        let (whole, was_filled) = match self.dialect.to_ours(text).1.first() {
            Some(_) if text.starts_with('$') => (self.filled_begin(text)?, true),
            _ => (text.to_owned(), false),
        };
        let Some((scheme, rest)) = whole.split_once("://") else {
            return Err("it is no URL with a scheme".into());
        };
        let end = rest.find(['/', '?', '#']).unwrap_or(rest.len());
        let (authority, behind) = rest.split_at(end);
        let (user, place) = match authority.rsplit_once('@') {
            Some((user, place)) => (Some(user), place),
            None => (None, authority),
        };
        let host = self.plain(place).map_err(|name| not_set(&name))?;
        let mut target = Target::default();
        if was_filled || host != place {
            target.near = Some("its host is filled in from the environment of this import".into());
        }
        if let Some(user) = user {
            let (name, password) = user.split_once(':').unwrap_or((user, ""));
            let (name, password) = (self.text(&decoded(name)), decoded(password));
            let password = self.secret(&format!("{api_id}_password"), field, &password);
            target.basic_auth = Some(format!("{name}:{password}"));
        }
        let behind = match behind.split_once('#') {
            Some((before, _)) => {
                target.near = Some("the part behind # is never sent, and is left out".into());
                before
            }
            None => behind,
        };
        let behind = match behind.split_once('?') {
            Some((path, query)) => {
                let query: Vec<String> = query.split('&').map(|pair| self.parameter(api_id, field, pair)).collect();
                format!("{}?{}", self.text(path), query.join("&"))
            }
            None => self.text(behind),
        };
        target.url = format!("{scheme}://{host}{behind}");
        Ok(target)
    }

    fn parameter(&mut self, api_id: &str, field: &Field, pair: &str) -> String {
        match pair.split_once('=') {
            Some((name, value)) if is_secret(name) && !value.is_empty() => {
                format!("{name}={}", self.secret(&format!("{api_id}_{name}"), field, value))
            }
            _ => self.text(pair),
        }
    }

    fn filled_begin(&self, text: &str) -> Result<String, String> {
        let end = text.find(['/', '?']).unwrap_or(text.len());
        let begin = self.plain(&text[..end]).map_err(|name| not_set(&name))?;
        Ok(format!("{begin}{}", &text[end..]))
    }

    /// `interval_seconds`.
    pub(crate) fn interval(&mut self, field: Field, milliseconds: Option<u64>) {
        self.duration("interval_seconds", field, milliseconds, INTERVAL);
    }

    /// `timeout_seconds`.
    pub(crate) fn timeout(&mut self, field: Field, milliseconds: Option<u64>) {
        self.duration("timeout_seconds", field, milliseconds, TIMEOUT);
    }

    /// Fails in a row are counted at the interval, as the other program does, and not within seconds.
    pub(crate) fn recheck_at_its_interval(&mut self) {
        if let Some(interval) = self.get("interval_seconds").and_then(Value::as_u64) {
            self.set("recheck_seconds", interval.clamp(1, 3600));
        }
    }

    pub(crate) fn duration(&mut self, name: &str, field: Field, milliseconds: Option<u64>, (least, most): (u64, u64)) {
        let Some(milliseconds) = milliseconds else {
            return self.report.lost(field, "it is no length of time");
        };
        let (seconds, is_exact) = words::within(milliseconds, least, most);
        self.set(name, seconds);
        let how = format!("{name} = {seconds}, in whole seconds from {least} to {most}");
        self.report.near_unless(is_exact, field, how);
    }

    /// An assertion, where there is room for one more.
    pub(crate) fn assert(&mut self, field: Field, assertion: &str, near: Option<String>) {
        let count = self.get("assert").and_then(Value::as_array).map_or(0, Vec::len);
        if count >= 20 {
            return self.report.lost(field, "a row has at most 20 assertions");
        }
        if assertion.chars().count() > 500 {
            return self.report.lost(field, "an assertion has at most 500 characters");
        }
        self.push("assert", assertion);
        self.report.judged(field, near);
    }

    /// A tag, cut to what fits.
    pub(crate) fn tag(&mut self, text: &str) {
        let tag: String = words::name(text).chars().take(64).collect();
        let count = self.get("tags").and_then(Value::as_array).map_or(0, Vec::len);
        if !tag.is_empty() && count < 20 {
            self.push("tags", tag.trim());
        }
    }

    /// Routes: a channel that some rows do not use gets a tag, and so do those that use it. `uses` are the names of channels by row.
    pub(crate) fn route(&mut self, uses: &BTreeMap<usize, Vec<String>>) {
        for channel in &mut self.channels {
            let using: Vec<usize> =
                uses.iter().filter(|(_, names)| names.contains(&channel.name)).map(|(row, _)| *row).collect();
            if using.len() == self.rows.len() || using.is_empty() {
                continue;
            }
            let tag = format!("to-{}", channel.name);
            for row in using {
                let tags = self.rows[row].fields.entry("tags").or_insert_with(|| json!([]));
                if let Value::Array(tags) = tags {
                    tags.truncate(19);
                    tags.push(Value::from(tag.clone()));
                }
            }
            channel.tags.push(tag);
        }
    }
}

fn not_set(name: &str) -> String {
    format!("its host stands in the variable {name}, which is not set here; set it and import again")
}

/// Percent-encoding undone.
fn decoded(text: &str) -> String {
    let bytes = text.as_bytes();
    let mut decoded = Vec::with_capacity(bytes.len());
    let mut at = 0;
    while at < bytes.len() {
        let digits = (bytes[at] == b'%').then(|| text.get(at + 1..at + 3)).flatten();
        match digits.and_then(|digits| u8::from_str_radix(digits, 16).ok()) {
            Some(byte) => {
                decoded.push(byte);
                at += 3;
            }
            None => {
                decoded.push(bytes[at]);
                at += 1;
            }
        }
    }
    String::from_utf8_lossy(&decoded).into_owned()
}
