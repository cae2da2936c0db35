//! The story of one API as people read it, and as JSON.

use api_health_core::delivery::OwedAlert;
use api_health_core::recent::Run;
use api_health_core::{ApiConfig, Protocol, Status, Timestamp, Verdict};
use serde_json::{Value, json};

use super::{Next, Story};
use crate::app::App;
use crate::cli::out::{BAD, DIM, DOUBT, GOOD, Out, STRONG};
use crate::cli::stored::owed_to;
use crate::cli::{past, text};
use crate::notify::evidence::EvidencePayload;
use crate::notify::format::moment;

pub(super) fn text_of(story: &Story, app: &App, out: &Out) -> String {
    let (state, now) = (&story.state, story.now);
    let status = match story.status() {
        Status::Down => out.paint(BAD, "DOWN"),
        Status::Up if state.is_suspect() || story.unclear.is_some() => out.paint(DOUBT, "up"),
        Status::Up => out.paint(GOOD, "up"),
        Status::Unknown => out.paint(DOUBT, "unknown"),
    };
    let since = state.since.filter(|_| story.not_probed.is_none());
    let since = since.map(|at| format!(" since {} ({})", moment(at), text::ago(at, now))).unwrap_or_default();
    let mut text = format!("{} is {status}{since}\n", out.paint(STRONG, state.api_id.as_str()));
    if let Some(config) = &story.config {
        let source = story.source.as_deref().unwrap_or("the command line");
        let (name, url) = (text::line(&config.name), text::line(&config.url));
        let asked = if config.protocol() == Protocol::Http { format!("{} {url}", config.method) } else { url };
        text.push_str(&out.paint(DIM, &format!("  {name}, {asked}, from {source}")));
        text.push('\n');
    }
    let mut section = |title: &str, lines: Vec<String>| {
        if !lines.is_empty() {
            let lines: String = lines.iter().map(|line| format!("  {line}\n")).collect();
            text.push_str(&format!("\n{}\n{lines}", out.paint(STRONG, title)));
        }
    };
    section("Why", story.why());
    if let Some(seen) = state.incident.as_ref().and_then(|incident| incident.evidence.as_deref()) {
        let facts = seen.facts().into_iter().map(|(label, fact)| format!("{label}: {fact}"));
        section(&format!("What was seen when it was confirmed, {}", moment(seen.seen_at)), facts.collect());
    }
    if !story.hours.is_empty() {
        let mut lines = vec![past::bar(&story.hours, out), past::in_words(&story.hours)];
        if let Some(words) = past::latency_in_words(&story.hours) {
            lines.extend([past::line(&story.hours, out), format!("{words}.")]);
        }
        section("Last 24 hours", lines);
    }
    // Figures wait for a checkpoint.
    let as_of = state.last_probe.as_ref().map_or(String::new(), |last| format!(", as of {}", text::ago(last.at, now)));
    section(
        &format!("Last outcomes{as_of}"),
        story.outcomes().into_iter().map(|(run, over)| outcome_line(run, over)).collect(),
    );
    let told = story.told.iter().map(|(told, owed)| {
        let kind = told.kind.as_str().to_uppercase();
        let (happened, confirmed) = (moment(told.happened_at), moment(told.detected_at));
        format!("{kind} of {happened}, confirmed {confirmed}: {}", waits_for(owed.as_ref(), app, now))
    });
    section("Told", told.collect());
    section("Next", next_lines(story));
    text
}

/// `1440 passes with status 200, from … to …`.
fn outcome_line(run: Run, over: Timestamp) -> String {
    let (one, many) = match run.verdict {
        Verdict::Pass => ("pass", "passes"),
        Verdict::Fail => ("fail", "fails"),
        Verdict::Inconclusive => ("probe that could not tell", "probes that could not tell"),
    };
    let with = run.status_code().map_or("without an answer".into(), |code| format!("with status {code}"));
    match run.count {
        1 => format!("1 {one} {with}, {}", moment(run.first_at)),
        count => format!("{count} {many} {with}, from {} to {}", moment(run.first_at), moment(over)),
    }
}

/// Who has an alert, and who waits for it.
fn waits_for(owed: Option<&OwedAlert>, app: &App, now: Timestamp) -> String {
    let channels = owed.map(|owed| (owed, owed_to(app, owed))).filter(|(_, channels)| !channels.is_empty());
    let Some((owed, channels)) = channels else { return "every channel has it".into() };
    let wait = |channel: &String| match owed.delivery(channel) {
        Some(delivery) if delivery.failures > 0 => {
            let why = text::line(delivery.last_error.as_deref().unwrap_or("no reason was given"));
            let again =
                delivery.next_try_at.map_or(String::new(), |at| format!(", again in {}", text::span(at.since(now))));
            let tries = text::count(usize::try_from(delivery.failures).unwrap_or(usize::MAX), "attempt");
            format!("{channel} does not have it after {tries} ({why}){again}")
        }
        _ => format!("{channel} does not have it yet"),
    };
    channels.iter().map(wait).collect::<Vec<_>>().join("; ")
}

fn next_lines(story: &Story) -> Vec<String> {
    let mut lines = vec![match &story.next {
        Next::Never(why) => format!("It is not probed: {why}."),
        Next::At { at, is_recheck } => {
            let why = if *is_recheck { ", again since it is suspect" } else { "" };
            let when =
                if *at <= story.now { "at once".into() } else { format!("in {}", text::span(at.since(story.now))) };
            format!("It is probed {when}, at about {}{why}.", moment(*at))
        }
        Next::Within(span) => format!("It is probed within {}.", text::at_most(*span)),
    }];
    if let Some(config) = story.config.as_deref().filter(|config| config.enabled) {
        lines.push(format!("It is probed {}.", text::schedule(&config.schedule)));
        lines.push(bound_line(config));
    }
    lines
}

/// `An outage is told within 1 min 25 s: 1 min to the next probe, 1 recheck after 5 s, 2 timeouts of 10 s.`
fn bound_line(config: &ApiConfig) -> String {
    let fails = config.failure_threshold.max(1);
    let rechecks = match fails - 1 {
        0 => String::new(),
        n => format!(", {} after {}", text::count(n as usize, "recheck"), text::at_most(config.recheck)),
    };
    format!(
        "An outage is told within {}: {} to the next probe{rechecks}, {} of {}.",
        text::at_most(config.worst_detection()),
        text::at_most(config.schedule.longest_gap()),
        text::count(fails as usize, "timeout"),
        text::at_most(config.timeout)
    )
}

pub(super) fn json_of(story: &Story, app: &App) -> Value {
    let (state, config) = (&story.state, story.config.as_deref());
    let told = story.told.iter().map(|(told, owed)| {
        let lacking = owed.as_ref().map(|owed| owed_to(app, owed)).unwrap_or_default();
        let waits = lacking.iter().map(|channel| {
            let delivery = owed.as_ref().and_then(|owed| owed.delivery(channel));
            json!({
                "channel": channel,
                "failures": delivery.map_or(0, |delivery| delivery.failures),
                "last_error": delivery.and_then(|delivery| delivery.last_error.as_ref()),
                "next_try_at": delivery.and_then(|delivery| delivery.next_try_at).map(|at| at.to_string()),
            })
        });
        json!({
            "kind": told.kind.as_str(),
            "happened_at": told.happened_at.to_string(),
            "detected_at": told.detected_at.to_string(),
            "waits_for": waits.collect::<Vec<_>>(),
        })
    });
    let outcomes = story.outcomes().into_iter().map(|(run, over)| {
        json!({
            "verdict": run.verdict.as_str(),
            "status_code": run.status_code(),
            "count": run.count,
            "first_at": run.first_at.to_string(),
            "over_at": over.to_string(),
        })
    });
    let (next_at, within, why_never) = match &story.next {
        Next::Never(why) => (None, None, Some(*why)),
        Next::At { at, .. } => (Some(at.to_string()), Some(at.since(story.now).as_secs()), None),
        Next::Within(span) => (None, Some(span.as_secs()), None),
    };
    json!({
        "schema": 1,
        "at": story.now.to_string(),
        "api_id": state.api_id.as_str(),
        "name": config.map(|config| &*config.name),
        "url": config.map(|config| &config.url),
        "source": story.source,
        "status": story.status().as_str(),
        "since": state.since.map(|since| since.to_string()),
        "is_stored": story.is_known,
        "why": story.why(),
        "incident": state.incident.as_ref().map(|incident| json!({
            "incident_id": incident.incident_id,
            "started_at": incident.started_at.to_string(),
            "reason": incident.reason,
            "evidence": incident.evidence.as_deref().map(EvidencePayload::from),
        })),
        "outcomes": outcomes.collect::<Vec<_>>(),
        "told": told.collect::<Vec<_>>(),
        "next_probe": {
            "at": next_at,
            "within_seconds": within,
            "is_recheck": matches!(story.next, Next::At { is_recheck: true, .. }),
            "why_never": why_never,
        },
        "schedule": config.map(|config| config.schedule.to_string()),
        "told_within_seconds": config.map(|config| config.worst_detection().as_secs()),
    })
}
