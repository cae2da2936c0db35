//! `probe`: one exchange now, with every phase, judged as the daemon would judge it.

use std::sync::Arc;
use std::time::Duration;

use api_health_actors::ports::Probe;
use api_health_core::assertion::judge;
use api_health_core::observation::{LocalFault, Phase};
use api_health_core::outcome::{Outcome, Verdict};
use api_health_core::{Answer, ApiConfig, ApiId, Failure, Observation, Protocol};
use serde_json::{Value, json};

use super::args::ProbeArgs;
use super::configured;
use super::out::{BAD, DIM, DOUBT, GOOD, Out, STRONG, note};
use super::text;
use crate::app::{App, AppError};
use crate::configs::urls;
use crate::configs::values::{ValueFault, quote};
use crate::exit::Exit;

/// The columns of the chart of phases.
const CHART_COLUMNS: usize = 40;

/// `probe`.
///
/// # Errors
/// A target that is neither a configured API nor a URL, and every fault of it.
pub(super) async fn run(app: &App, args: &ProbeArgs, out: &Out) -> Result<Exit, AppError> {
    let (config, configured) = target(app, &args.target).await?;
    let observation = app.probe(app.client()?).probe(Arc::clone(&config)).await;
    let outcome = judge(&config, &observation);
    if args.json {
        out.json(&json_of(&config, configured, &observation, &outcome))?;
    } else {
        out.print(&text_of(&config, configured, &observation, &outcome, out))?;
    }
    Ok(match outcome.verdict {
        Verdict::Pass => Exit::Ok,
        Verdict::Fail => Exit::Fail,
        Verdict::Inconclusive => Exit::CouldNotTell,
    })
}

/// What to ask, and whether it is a configured API.
async fn target(app: &App, target: &str) -> Result<(Arc<ApiConfig>, bool), AppError> {
    let looks_like_url = target.contains(['/', ':', '.', '[']) || target.eq_ignore_ascii_case("localhost");
    if ApiId::parse(target).is_ok() {
        let checked = configured::check(configured::read(app).await, &app.rules);
        if let Some(found) = checked.get(target) {
            return Ok((Arc::clone(&found.config), true));
        }
        if let Some(refused) = checked.refused(target) {
            return Err(AppError::Configuration(refused.row.faults.clone()));
        }
        if looks_like_url {
            for (source, why) in &checked.unreadable {
                note(&format!("note: {source} cannot be read, so {target} is taken for a URL: {why}"));
            }
        } else if let Some((_, error)) = checked.unreadable.into_iter().next() {
            return Err(error);
        }
    }
    if !looks_like_url {
        let why = "is neither the id of a configured API nor a URL";
        let remedy = "a URL such as https://example.com/health, or an id that `api-health apis list` shows";
        return Err(AppError::Configuration(vec![ValueFault::new(quote(target), why, remedy).at("command line")]));
    }
    let rows = urls::rows(&[target.to_owned()]);
    match rows.first().map(|row| app.rules.check(row)) {
        Some(Ok(config)) => Ok((Arc::new(config), false)),
        Some(Err(refused)) => Err(AppError::Configuration(refused.faults)),
        None => Err(AppError::Internal("a URL gave no row".into())), // cannot be: there is one for each URL
    }
}

fn phases(observation: &Observation) -> [(Phase, &'static str, &'static str, Option<Duration>); 5] {
    let p = &observation.phases;
    [
        (Phase::Resolve, "name lookup", "resolve_ms", p.resolve),
        (Phase::Connect, "connect", "connect_ms", p.connect),
        (Phase::Tls, "TLS handshake", "tls_ms", p.tls),
        (Phase::FirstByte, "first byte", "first_byte_ms", p.first_byte),
        (Phase::Body, "body", "body_ms", p.body),
    ]
}

/// The phase that the exchange failed in, where the failure names one.
fn failed_phase(answer: &Answer) -> Option<Phase> {
    match answer {
        Answer::Failure(
            Failure::NameNotFound { .. }
            | Failure::NoAddress { .. }
            | Failure::NameServerFailed { .. }
            | Failure::NameServersSilent { .. }
            | Failure::LookupFailed { .. }
            | Failure::Local(
                LocalFault::TooManyLookups
                | LocalFault::LookupShareFull { .. }
                | LocalFault::NameServersDead { .. }
                | LocalFault::NoNameServer,
            ),
        ) => Some(Phase::Resolve),
        Answer::Failure(
            Failure::AddressRefused { .. }
            | Failure::Refused { .. }
            | Failure::HostUnreachable { .. }
            | Failure::NetworkUnreachable { .. }
            | Failure::Prohibited { .. }
            | Failure::OnlyOtherFamily { .. },
        ) => Some(Phase::Connect),
        Answer::Failure(Failure::Certificate(_) | Failure::Tls { .. }) => Some(Phase::Tls),
        Answer::Failure(Failure::Reset { phase } | Failure::Closed { phase } | Failure::TimedOut { phase, .. }) => {
            Some(*phase)
        }
        Answer::Failure(Failure::BodyCutShort { .. }) => Some(Phase::Body),
        _ => None,
    }
}

/// `GET`, or `tcp` where nothing is requested.
fn what(config: &ApiConfig) -> &'static str {
    match config.protocol() {
        Protocol::Http => config.method.as_str(),
        protocol => protocol.as_str(),
    }
}

fn text_of(config: &ApiConfig, configured: bool, observation: &Observation, outcome: &Outcome, out: &Out) -> String {
    let mut text = format!("{} {}\n", what(config), out.paint(STRONG, &text::line(&config.url)));
    let mut fact = |label: &str, value: &str| text.push_str(&format!("  {label:<14} {value}\n"));
    if configured {
        fact("API", &format!("{} ({})", config.api_id, text::line(&config.name)));
    }
    if let Some(address) = observation.address {
        fact("address", &address.to_string());
    }
    text.push('\n');
    text.push_str(&chart(observation, out));
    text.push('\n');
    let mut fact = |label: &str, value: &str| text.push_str(&format!("  {label:<14} {value}\n"));
    if let Answer::Response(response) = &observation.answer {
        fact("status", &response.status.to_string());
        let cut = if response.body_cut_at_bound { ", the rest left unread" } else { "" };
        fact("body", &format!("{} bytes{cut}", response.body_bytes));
        if response.redirects > 0 {
            fact("redirects", &format!("{} followed; the phases are those of the last hop", response.redirects));
        }
    }
    if let Answer::Records(records) = &observation.answer {
        records.iter().for_each(|record| fact("record", &text::line(record)));
    }
    let verdict = match outcome.verdict {
        Verdict::Pass => out.paint(GOOD, "pass"),
        Verdict::Fail => out.paint(BAD, "FAIL"),
        Verdict::Inconclusive => out.paint(DOUBT, "could not tell"),
    };
    match (outcome.verdict, outcome.status_code) {
        (Verdict::Pass, Some(status)) => {
            fact("verdict", &format!("{verdict}: status {status} is in {}", config.expected_status));
        }
        _ => fact("verdict", &verdict),
    }
    for reason in &outcome.reasons {
        fact("", &text::line(reason));
    }
    if outcome.verdict == Verdict::Inconclusive {
        fact("", "the fault is on this side, and says nothing of the API");
    }
    text
}

/// One bar for each phase, each beginning where the one before it ends.
fn chart(observation: &Observation, out: &Out) -> String {
    let took = observation.took.as_secs_f64().max(f64::EPSILON);
    let columns = out.columns.map_or(CHART_COLUMNS, |columns| CHART_COLUMNS.min(columns.saturating_sub(30)).max(8));
    let at = |span: f64| ((span / took) * columns as f64).round().clamp(0.0, columns as f64) as usize;
    let (full, cross) = if out.unicode { ("█", "✗") } else { ("#", "x") };
    let failed = failed_phase(&observation.answer);
    let (mut text, mut begin) = (String::new(), 0.0);
    for (phase, label, _, time) in phases(observation) {
        if let Some(time) = time {
            let end = begin + time.as_secs_f64();
            let bar = full.repeat((at(end) - at(begin)).max(1));
            let indent = " ".repeat(at(begin).min(columns - 1));
            text.push_str(&format!("  {label:<14} {:>9}  {indent}{}\n", text::millis(time), out.paint(GOOD, &bar)));
            begin = end;
        } else if failed == Some(phase) {
            let indent = " ".repeat(at(begin).min(columns - 1));
            let mark = out.paint(BAD, &format!("{cross} failed here"));
            text.push_str(&format!("  {label:<14} {:>9}  {indent}{mark}\n", "-"));
        }
    }
    text.push_str(&out.paint(DIM, &format!("  {:<14} {:>9}", "in all", text::millis(observation.took))));
    text.push('\n');
    text
}

fn json_of(config: &ApiConfig, configured: bool, observation: &Observation, outcome: &Outcome) -> Value {
    let ms = |span: Duration| (span.as_secs_f64() * 1e6).round() / 1e3;
    let phases: serde_json::Map<String, Value> = phases(observation)
        .into_iter()
        .map(|(_, _, name, time)| (name.to_owned(), time.map_or(Value::Null, |time| json!(ms(time)))))
        .collect();
    let response = match &observation.answer {
        Answer::Response(response) => Some(response),
        _ => None,
    };
    json!({
        "schema": 1,
        "api_id": configured.then(|| config.api_id.as_str()),
        "name": configured.then_some(&*config.name),
        "method": (config.protocol() == Protocol::Http).then(|| config.method.as_str()),
        "url": config.url,
        "address": observation.address.map(|address| address.to_string()),
        "started_at": observation.started_at.to_string(),
        "took_ms": ms(observation.took),
        "phases": phases,
        "status_code": response.map(|response| response.status),
        "body_bytes": response.map(|response| response.body_bytes),
        "body_cut_at_bound": response.map(|response| response.body_cut_at_bound),
        "redirects": response.map(|response| response.redirects),
        "records": match &observation.answer {
            Answer::Records(records) => Some(records),
            _ => None,
        },
        "location": response.and_then(|response| response.location.as_deref()),
        "verdict": outcome.verdict.as_str(),
        "reasons": outcome.reasons.iter().map(|reason| text::line(reason)).collect::<Vec<_>>(),
    })
}
