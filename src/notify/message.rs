//! The words of an alert, and its form for machines. Pure: `now` is handed in, and nothing is sent.

use api_health_core::outcome::Outcome;
use api_health_core::{Alert, AlertKind, Status, Timestamp, text};
use serde::Serialize;

use super::evidence::EvidencePayload;
use super::format;

/// The longest subject, in ASCII characters; SNS takes no more.
pub const SUBJECT_CHARS_MAX: usize = 100;
/// The longest short text, in ASCII characters: one SMS of 140 bytes, whatever its alphabet.
pub const SMS_CHARS_MAX: usize = 140;
/// The longest name that any text or machine form carries, in characters.
pub const NAME_CHARS_MAX: usize = 200;
/// The longest URL that any text or machine form carries, in characters.
pub const URL_CHARS_MAX: usize = 2_048;
/// The longest environment name that any text or machine form carries, in characters.
pub const ENVIRONMENT_CHARS_MAX: usize = 100;
/// From this many seconds between confirming and telling on, people are told that they are told late.
pub const LATE_FROM_SECONDS: u64 = 60;
/// The version of the machine form. It grows when a field changes its meaning or goes; a new field does not raise it.
pub const SCHEMA: u32 = 1;
/// That of the kinds `unclear`, `clear`, `flapping` and `reminder`, which begin and end no outage: whoever knows 1 alone must not take
/// them for that.
pub const SCHEMA_OF_MORE_KINDS: u32 = 2;

/// That of the kinds `certificate_ends_soon` and `certificate_renewed`, likewise.
pub const SCHEMA_OF_CERTIFICATES: u32 = 3;

/// An alert with what is needed to word it.
#[derive(Clone, Copy, Debug)]
pub struct Message<'a> {
    alert: &'a Alert,
    environment: &'a str,
    now: Timestamp,
}

/// The machine form, field by field as it stands in the JSON; `docs/alerts.md` has the meanings.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct AlertPayload {
    pub schema: u32,
    pub alert_id: String,
    pub incident_id: String,
    pub kind: &'static str,
    pub api_id: String,
    pub name: String,
    pub url: String,
    pub status: &'static str,
    pub previous_status: &'static str,
    pub happened_at: String,
    pub detected_at: String,
    pub incident_started_at: String,
    pub duration_seconds: Option<u64>,
    pub reason: String,
    pub environment: String,
    pub late_seconds: u64,
    pub changes_left_out: u32,
    pub evidence: Option<EvidencePayload>,
}

impl<'a> Message<'a> {
    /// `environment` is the deployment's name, such as `production`, and may be empty; `now` is when this is told.
    pub fn new(alert: &'a Alert, environment: &'a str, now: Timestamp) -> Self {
        Self { alert, environment, now }
    }

    /// The subject: `DOWN Shop: status 503 is not in 2xx`, `UP Shop again after 4 min 10 s`. At most
    /// [`SUBJECT_CHARS_MAX`] printable ASCII characters in one line. What is cut is cut at the end, so that first the
    /// reason goes, and DOWN or UP and the beginning of the name never do.
    pub fn subject(&self) -> String {
        let name = self.ascii_name(SUBJECT_CHARS_MAX);
        let reason = format::ascii(&self.alert.reason, SUBJECT_CHARS_MAX);
        format::cut_ascii(self.headline(&name, &reason), SUBJECT_CHARS_MAX)
    }

    /// The short text: the subject's words, and when, in at most [`SMS_CHARS_MAX`] printable ASCII characters.
    pub fn sms(&self) -> String {
        let when = format!(" ({})", format::ascii(&format::moment(self.alert.happened_at), 40));
        let name = self.ascii_name(SMS_CHARS_MAX);
        let reason = format::ascii(&self.alert.reason, SMS_CHARS_MAX);
        let headline = format::cut_ascii(self.headline(&name, &reason), SMS_CHARS_MAX - when.len());
        headline + &when
    }

    /// The subject's words uncut and in any alphabet: the first line of mails and of the terminal.
    pub fn line(&self) -> String {
        self.headline(&self.name(), &self.reason())
    }

    /// The text for people: the line, then what there is to know, one thing a line.
    pub fn text(&self) -> String {
        let mut text = format!("{}\n\n", self.line());
        for (label, value) in self.facts() {
            text.push_str(&format!("{:<13}{value}\n", format!("{label}:")));
        }
        text
    }

    /// What there is to know beyond the first line, in the order in which people want it.
    pub fn facts(&self) -> Vec<(&'static str, String)> {
        let alert = self.alert;
        let mut facts = match alert.kind {
            AlertKind::Down if self.is_of_certificate() => vec![
                ("What", format!("the certificate of {} ends soon", self.name())),
                ("Why", self.reason()),
                ("So", "it has to be renewed; from its end on this API counts as down".into()),
            ],
            AlertKind::Up if self.is_of_certificate() => {
                vec![("What", format!("the certificate of {} was renewed", self.name())), ("So", self.reason())]
            }
            AlertKind::Closed if self.is_of_certificate() => vec![
                ("What", format!("the certificate of {} is watched no longer", self.name())),
                ("Why", self.reason()),
            ],
            AlertKind::Down if self.is_of_clarity() => vec![
                ("What", format!("no probe of {} can be judged", self.name())),
                ("Since", format::moment(alert.happened_at)),
                ("Why", self.reason()),
                ("So", format!("it was {} before, and it is not known what it is now", alert.previous_status.as_str())),
            ],
            AlertKind::Up if self.is_of_clarity() => vec![
                ("What", format!("{} can be judged again; it is {}", self.name(), alert.previous_status.as_str())),
                ("Since", format::moment(alert.happened_at)),
                ("Unclear for", format!("{}, from {}", self.duration(), format::moment(alert.incident_started_at))),
                ("Had been", self.reason()),
            ],
            AlertKind::Down => vec![
                ("What", format!("{} is down", self.name())),
                ("Since", format::moment(alert.happened_at)),
                ("Why", self.reason()),
            ],
            AlertKind::Up => vec![
                ("What", format!("{} is up again", self.name())),
                ("Since", format::moment(alert.happened_at)),
                ("Down for", format!("{}, from {}", self.duration(), format::moment(alert.incident_started_at))),
                ("Had failed", self.reason()),
            ],
            AlertKind::Flapping => vec![
                ("What", format!("{} keeps going down and coming back", self.name())),
                ("Since", format::moment(alert.happened_at)),
                ("Why", self.reason()),
            ],
            AlertKind::Reminder => vec![
                ("What", format!("{} is still down", self.name())),
                ("Down for", format!("{}, from {}", self.duration(), format::moment(alert.incident_started_at))),
                ("Why", self.reason()),
            ],
            AlertKind::Closed => vec![
                ("What", format!("{} is watched no longer; nobody will see it come back", self.name())),
                ("Since", format::moment(alert.happened_at)),
                (
                    if self.is_of_clarity() { "Was unclear" } else { "Was down" },
                    format!("for {}, from {}", self.duration(), format::moment(alert.incident_started_at)),
                ),
                ("Why", self.reason()),
            ],
        };
        if let (AlertKind::Down, false, Some(meaning)) = (alert.kind, self.is_beside(), self.meaning()) {
            facts.push(("So", meaning));
        }
        facts.extend(alert.evidence.iter().flat_map(|seen| seen.facts()));
        if self.late_seconds() >= LATE_FROM_SECONDS {
            let late = format::span(self.now.since(alert.detected_at));
            let confirmed = format::moment(alert.detected_at);
            facts.push(("Told late", format!("by {late}: it was confirmed at {confirmed} and not delivered before")));
        }
        if alert.changes_left_out > 0 {
            let changes = alert.changes_left_out;
            facts.push((
                "Left out",
                format!("{changes} more changes, in pairs, which were held or came while too many alerts waited"),
            ));
        }
        if !alert.url.is_empty() {
            facts.push(("URL", text::line(&alert.url, URL_CHARS_MAX)));
        }
        if !self.environment().is_empty() {
            facts.push(("Environment", self.environment()));
        }
        facts.push(("API", self.about()));
        facts.push(("Incident", text::line(&alert.incident_id, NAME_CHARS_MAX)));
        facts.push(("Alert", text::line(&alert.alert_id, NAME_CHARS_MAX)));
        facts
    }

    /// The machine form.
    pub fn payload(&self) -> AlertPayload {
        let alert = self.alert;
        let (status, previous_status) = match (alert.kind, self.is_of_clarity()) {
            // It bears the status that the API has.
            (AlertKind::Flapping | AlertKind::Reminder, _) => (alert.previous_status, alert.previous_status),
            (AlertKind::Closed, false) if self.is_of_certificate() => (Status::Unknown, Status::Unknown),
            // The certificate changes nothing of the status, and the alert bears that.
            (_, false) if self.is_of_certificate() => (alert.previous_status, alert.previous_status),
            (kind, false) => (kind.status(), alert.previous_status),
            // The record beside the API's own bears the status that the API has by itself.
            (AlertKind::Down, true) => (Status::Unknown, alert.previous_status),
            (AlertKind::Up, true) => (alert.previous_status, Status::Unknown),
            (AlertKind::Closed, true) => (Status::Unknown, Status::Unknown),
        };
        AlertPayload {
            schema: match (self.is_of_certificate(), self.is_of_clarity() || alert.kind.changes_no_status()) {
                (true, _) => SCHEMA_OF_CERTIFICATES,
                (_, true) => SCHEMA_OF_MORE_KINDS,
                _ => SCHEMA,
            },
            alert_id: text::line(&alert.alert_id, NAME_CHARS_MAX),
            incident_id: text::line(&alert.incident_id, NAME_CHARS_MAX),
            kind: self.kind(),
            api_id: alert.api_id.beside_api().as_ref().unwrap_or(&alert.api_id).to_string(),
            name: text::line(&alert.name, NAME_CHARS_MAX),
            url: text::line(&alert.url, URL_CHARS_MAX),
            status: status.as_str(),
            previous_status: previous_status.as_str(),
            happened_at: alert.happened_at.to_string(),
            detected_at: alert.detected_at.to_string(),
            incident_started_at: alert.incident_started_at.to_string(),
            duration_seconds: match alert.kind {
                AlertKind::Down | AlertKind::Flapping => None,
                AlertKind::Up | AlertKind::Closed | AlertKind::Reminder => {
                    Some(alert.happened_at.since(alert.incident_started_at).as_secs())
                }
            },
            reason: self.reason(),
            environment: self.environment(),
            late_seconds: self.late_seconds(),
            changes_left_out: alert.changes_left_out,
            evidence: alert.evidence.as_deref().map(EvidencePayload::from),
        }
    }

    /// The machine form as JSON in one line.
    pub fn json(&self) -> String {
        // Strings and whole numbers under fixed keys: serde_json has no error for these.
        serde_json::to_string(&self.payload()).unwrap_or_default()
    }

    /// The environment as one bounded line; empty where none is set.
    pub fn environment(&self) -> String {
        text::line(self.environment, ENVIRONMENT_CHARS_MAX)
    }

    /// Which API this is about; the monitor's own alerts are about none, or about the prober of one.
    fn about(&self) -> String {
        let api_id = &self.alert.api_id;
        if let Some(api_id) = api_id.beside_api() {
            return api_id.to_string();
        }
        match api_id.monitored_api() {
            Some(probed) => format!("{probed}; this is about api-health itself ({api_id})"),
            None if api_id.is_self_monitoring() => format!("none; this is about api-health itself ({api_id})"),
            None => api_id.to_string(),
        }
    }

    /// What it means that something of the monitor's own is down, for whoever is woken by it.
    fn meaning(&self) -> Option<String> {
        let api_id = &self.alert.api_id;
        if api_id.shard_of_worker().is_some() {
            return Some(
                "no API is reported down because of it; what cannot be judged keeps its status, and is reported unclear if \
                 that outlasts this"
                    .into(),
            );
        }
        match api_id.monitored_api() {
            Some(probed) => Some(format!("{probed} is probed rarely or not at all, and counts as unknown meanwhile")),
            None if api_id.is_self_monitoring() => Some(
                "probing and alerting go on; what happens meanwhile is only in memory, and at worst is told twice"
                    .into(),
            ),
            None => None,
        }
    }

    /// Whether it tells of an API that nothing can be told of it, or that something can again.
    fn is_of_clarity(&self) -> bool {
        self.alert.api_id.unclear_api().is_some()
    }

    /// Whether it tells of an API that its certificate ends soon, or was renewed.
    fn is_of_certificate(&self) -> bool {
        self.alert.api_id.certificate_api().is_some()
    }

    /// Whether it tells something of an API beside its status.
    fn is_beside(&self) -> bool {
        self.alert.api_id.beside_api().is_some()
    }

    /// The word for what it tells.
    fn kind(&self) -> &'static str {
        match self.alert.kind {
            AlertKind::Down if self.is_of_clarity() => "unclear",
            AlertKind::Up if self.is_of_clarity() => "clear",
            AlertKind::Down if self.is_of_certificate() => "certificate_ends_soon",
            AlertKind::Up if self.is_of_certificate() => "certificate_renewed",
            kind => kind.as_str(),
        }
    }

    fn headline(&self, name: &str, reason: &str) -> String {
        match self.alert.kind {
            AlertKind::Down if self.is_of_clarity() => format!("UNCLEAR {name}: {reason}"),
            AlertKind::Up if self.is_of_clarity() => {
                format!(
                    "CLEAR {name}: it can be judged again after {}: it is {}",
                    self.duration(),
                    self.alert.previous_status.as_str()
                )
            }
            AlertKind::Down if self.is_of_certificate() => format!("CERTIFICATE {name}: {reason}"),
            AlertKind::Up if self.is_of_certificate() => format!("CERTIFICATE {name} was renewed: {reason}"),
            AlertKind::Down => format!("DOWN {name}: {reason}"),
            AlertKind::Up => format!("UP {name} again after {}", self.duration()),
            AlertKind::Closed => format!("CLOSED {name}: {reason}"),
            AlertKind::Flapping => format!("FLAPPING {name}: {reason}"),
            AlertKind::Reminder => format!("STILL DOWN {name} for {}: {reason}", self.duration()),
        }
    }

    fn name(&self) -> String {
        let name = text::line(&self.alert.name, NAME_CHARS_MAX);
        // What is left of a name without a visible character names nothing.
        let names = name.chars().any(|c| !matches!(c, ' ' | char::REPLACEMENT_CHARACTER));
        if names { name } else { self.alert.api_id.to_string() }
    }

    fn ascii_name(&self, chars_max: usize) -> String {
        let name = format::ascii(&self.name(), chars_max);
        if name.is_empty() { self.alert.api_id.to_string() } else { name }
    }

    fn reason(&self) -> String {
        text::line(&self.alert.reason, Outcome::REASON_CHARS_MAX)
    }

    fn duration(&self) -> String {
        format::span(self.alert.happened_at.since(self.alert.incident_started_at))
    }

    fn late_seconds(&self) -> u64 {
        self.now.since(self.alert.detected_at).as_secs()
    }
}

#[cfg(test)]
#[path = "message_tests.rs"]
mod tests;
