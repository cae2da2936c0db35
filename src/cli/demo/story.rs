//! The story in words: what happens to the API, what api-health sees of it, and what it tells.

use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use api_health_core::outcome::{Outcome, Verdict};
use api_health_core::{AlertKind, ApiConfig, ApiState, Status, Toward};
use tokio::time::Instant;

use super::picture::Picture;
use super::watch::Event;
use crate::app::{AppError, web};
use crate::cli::out::{BAD, DIM, DOUBT, GOOD, Out, PLAIN, STRONG, note};
use crate::cli::text;
use crate::exit::Exit;

/// What is told while it happens, and kept for the picture.
pub(super) struct Story<'a> {
    out: &'a Out,
    began: Instant,
    config: Arc<ApiConfig>,
    state: ApiState,
    down_at: Option<Instant>,
    back_at: Option<Instant>,
    told: Vec<(Instant, AlertKind)>,
    probes: u64,
    picture: Picture,
}

impl<'a> Story<'a> {
    pub(super) fn new(out: &'a Out, began: Instant, config: &Arc<ApiConfig>) -> Self {
        Self {
            out,
            began,
            config: Arc::clone(config),
            state: ApiState::unknown(config.api_id.clone()),
            down_at: None,
            back_at: None,
            told: Vec::new(),
            probes: 0,
            picture: Picture::default(),
        }
    }

    /// What is about to be seen.
    pub(super) fn opening(&mut self, whole: Duration, page: Option<SocketAddr>) -> Result<(), AppError> {
        let title = self.out.paint(STRONG, "api-health demo: an API goes down and comes back");
        self.out.print(&format!(
            "{title}\n\n\
             A small API runs on this machine, at {}.\n\
             api-health asks it {}, and again after {} s when something is wrong.\n\
             {} answers in a row decide. Nothing leaves this machine. It takes about {} s.\n{}\n",
            self.config.url,
            text::schedule(&self.config.schedule),
            self.config.recheck.as_secs(),
            self.config.failure_threshold,
            whole.as_secs(),
            page.map_or(String::new(), |page| format!("Look at it in a browser: {}\n", web::link(page))),
        ))?;
        let good = self.out.paint(GOOD, "answers 200");
        self.line(self.began, "API", &good)
    }

    /// The API changes.
    pub(super) fn api_changes(&mut self, healthy: bool) -> Result<(), AppError> {
        let now = Instant::now();
        let at = self.picture_time(now);
        self.picture.api.push((at, healthy));
        let words = if healthy {
            self.back_at = Some(now);
            self.out.paint(GOOD, "comes back: it answers 200 again")
        } else {
            self.down_at = Some(now);
            self.out.paint(BAD, "goes down: it answers 503 from now on")
        };
        self.line(now, "API", &words)
    }

    /// Something was seen at a port.
    pub(super) fn hear(&mut self, (at, event): (Instant, Event)) -> Result<(), AppError> {
        match event {
            Event::Probed { outcome, took } => self.probed(at, &outcome, took),
            Event::Stored(state) => self.stored(at, &state),
            Event::Told { kind, text } => self.told(at, kind, &text),
        }
    }

    fn probed(&mut self, at: Instant, outcome: &Outcome, took: Duration) -> Result<(), AppError> {
        self.probes += 1;
        self.picture.probes.push((self.picture_time(at), outcome.verdict == Verdict::Pass));
        let (good, bad) = if self.out.unicode { ("✓", "✗") } else { ("ok", "!!") };
        let words = match (outcome.verdict, outcome.status_code) {
            (Verdict::Pass, Some(status)) => {
                let took = self.out.paint(DIM, &format!("in {}", text::millis(took)));
                format!("{} status {status} {took}", self.out.paint(GOOD, good))
            }
            _ => {
                let reason = outcome.reason().unwrap_or_default();
                format!("{} {}", self.out.paint(BAD, bad), text::line(&reason))
            }
        };
        self.line(at, "probe", &words)
    }

    /// Says what of a stored state is new.
    fn stored(&mut self, at: Instant, state: &ApiState) -> Result<(), AppError> {
        let before = std::mem::replace(&mut self.state, state.clone());
        self.picture.status.push((self.picture_time(at), state.status, state.is_suspect()));
        if before.status != state.status {
            let (style, words) = match (before.status, state.status) {
                (Status::Unknown, Status::Up) => (PLAIN, "up: the first answer; nothing to tell"),
                (_, Status::Down) => (BAD, "down: confirmed, and stored in one write with the alert that it owes"),
                (_, Status::Up) => (GOOD, "up: confirmed, and stored in one write with the alert that it owes"),
                (_, Status::Unknown) => (PLAIN, "unknown"),
            };
            let words = self.out.paint(style, words);
            self.line(at, "state", &words)?;
        } else if let Some(streak) = state.streak.as_ref().filter(|_| before.streak != state.streak) {
            let (needed, what) = match streak.toward {
                Toward::Down => (self.config.failure_threshold, "fails: suspect"),
                Toward::Up => (self.config.success_threshold, "passes: it may be back"),
            };
            let recheck = self.config.recheck.as_secs();
            let words = format!("{} of {needed} {what}, so it is asked again after {recheck} s", streak.count);
            let words = self.out.paint(DOUBT, &words);
            self.line(at, "state", &words)?;
        }
        if before.owed.len() > state.owed.len() {
            let words = self.out.paint(DIM, "nothing is owed any more: the alert was delivered");
            self.line(at, "state", &words)?;
        }
        Ok(())
    }

    fn told(&mut self, at: Instant, kind: AlertKind, alert: &str) -> Result<(), AppError> {
        self.told.push((at, kind));
        self.picture.told.push((self.picture_time(at), kind));
        self.line(at, "ALERT", &self.out.paint(STRONG, "this is what you would get:"))?;
        let bar = if self.out.unicode { "┃" } else { "|" };
        let mut block = String::from("\n");
        for line in alert.lines() {
            block.push_str(&format!("            {bar} {line}\n"));
        }
        block.push('\n');
        self.out.print(&block)
    }

    /// When both alerts were told, if they were.
    pub(super) fn all_told_at(&self) -> Option<Instant> {
        self.told.iter().find(|(_, kind)| *kind == AlertKind::Up).map(|(at, _)| *at)
    }

    /// The picture, the figures, and what to do next.
    pub(super) fn ending(&self, ended: Instant, asked: u64) -> Result<Exit, AppError> {
        self.out.print(&format!("\n{}\n", self.picture.render(self.picture_time(ended), self.out)))?;
        let of = |kind| self.told.iter().find(|(_, told)| *told == kind).map(|(at, _)| *at);
        let figures = [
            ("outage", self.figure(self.down_at, of(AlertKind::Down))),
            ("recovery", self.figure(self.back_at, of(AlertKind::Up))),
            ("probes", format!("{} made, {asked} counted by the API", self.probes)),
            ("alerts", self.alerts()),
        ];
        for (label, figure) in figures {
            self.out.print(&format!("  {label:<9} {figure}\n"))?;
        }
        let kinds: Vec<AlertKind> = self.told.iter().map(|(_, kind)| *kind).collect();
        if kinds != [AlertKind::Down, AlertKind::Up] {
            note("error: the demo did not tell exactly one DOWN and then one UP; this is a fault of api-health");
            return Ok(Exit::Internal);
        }
        let title = self.out.paint(STRONG, "Now one of yours:");
        // The form that is built already.
        let form = if cfg!(feature = "aws") { "" } else { "--no-default-features " };
        self.out.print(&format!(
            "\n{title}\n  api-health run https://example.com/health\n  \
             cargo run --release {form}-- run https://example.com/health     (from a clone)\n"
        ))?;
        Ok(Exit::Ok)
    }

    fn figure(&self, began: Option<Instant>, told: Option<Instant>) -> String {
        match (began, told) {
            (Some(began), Some(told)) => {
                let (at, after) = (self.seconds(began), (told - began).as_secs_f64());
                format!("began at {at:.1} s, told {after:.1} s later")
            }
            (Some(began), None) => format!("began at {:.1} s, never told", self.seconds(began)),
            (None, _) => "did not begin".into(),
        }
    }

    fn alerts(&self) -> String {
        let words: Vec<&str> = self
            .told
            .iter()
            .map(|(_, kind)| match kind {
                AlertKind::Down => "one DOWN",
                AlertKind::Up => "one UP",
                AlertKind::Closed => "one CLOSED",
                AlertKind::Flapping => "one FLAPPING",
                AlertKind::Reminder => "one reminder",
            })
            .collect();
        if words.is_empty() { "none".into() } else { words.join(", then ") }
    }

    fn line(&self, at: Instant, who: &str, what: &str) -> Result<(), AppError> {
        let time = self.out.paint(DIM, &format!("{:>6.1} s", self.seconds(at)));
        self.out.print(&format!("{time}  {who:<6} {what}\n"))
    }

    fn seconds(&self, at: Instant) -> f64 {
        self.picture_time(at).as_secs_f64()
    }

    fn picture_time(&self, at: Instant) -> Duration {
        at.saturating_duration_since(self.began)
    }
}
