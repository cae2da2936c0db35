//! The dead man's switch: somebody outside is told again and again that this monitor works, and tells people when that ends.
//!
//! A beat is sent only while probing makes progress, as systemd's watchdog is fed, and the store takes writes; of several workers the
//! owner of the first shard sends it. It has a task and a lane for names of its own, and nothing waits for it. One that does not arrive
//! is not repeated: the next one follows soon enough.

use std::time::Duration;

use api_health_actors::supervisor::Asker;
use api_health_actors::system::Gauges;
use api_health_core::{Failure, Method, Secret, text};
use tokio::task::JoinSet;
use tokio::time::{Instant, MissedTickBehavior, timeout};
use url::{Position, Url};

use crate::app::{App, AppError};
use crate::probe::{Client, Reply, Request};
use crate::settings::{BeatForm, HeartbeatOutSettings};

/// Bound on sending one beat.
const SEND_MAX: Duration = Duration::from_secs(10);

/// Supervisor and keeper answer within microseconds; who takes this long is stuck.
const ANSWER_MAX: Duration = Duration::from_secs(5);

/// How much of an answer is read: it is short.
const BODY_BYTES_MAX: usize = 1_024;

/// The most characters that are told of why there was no answer.
const DETAIL_CHARS_MAX: usize = 200;

/// Begins to beat, where the settings say so, until what this gives is dropped.
///
/// # Errors
/// The extra roots cannot be read.
pub(super) fn start(app: &App, gauges: Gauges) -> Result<JoinSet<()>, AppError> {
    let mut beats = JoinSet::new();
    let Some(settings) = &app.settings.heartbeat_out else { return Ok(beats) };
    let client = app.client()?.with_lane_of_its_own();
    let request = request(settings).map_err(AppError::Internal)?;
    let heart = Heart { client, request, form: settings.form, every: settings.every, gauges, said: None };
    beats.spawn_local(heart.beat());
    Ok(beats)
}

struct Heart {
    client: Client,
    request: Request,
    form: BeatForm,
    every: Duration,
    gauges: Gauges,
    /// What was logged last.
    said: Option<Beat>,
}

/// What became of a beat.
#[derive(Clone, Debug, PartialEq)]
enum Beat {
    Taken,
    /// Another worker's, or nobody's just now.
    NotOurs,
    /// This monitor does not do what it is for.
    Withheld(&'static str),
    /// It did not arrive.
    Lost(String),
}

/// A process that dies soon after each start tells nobody that it works.
const FIRST_AFTER: Duration = Duration::from_secs(60);

impl Heart {
    async fn beat(mut self) {
        let mut ticks = tokio::time::interval_at(Instant::now() + self.every.min(FIRST_AFTER), self.every);
        ticks.set_missed_tick_behavior(MissedTickBehavior::Delay);
        loop {
            ticks.tick().await;
            let beat = match self.may_beat().await {
                Ok(()) => self.send().await,
                Err(beat) => beat,
            };
            self.say(beat);
        }
    }

    async fn may_beat(&self) -> Result<(), Beat> {
        let progress = timeout(ANSWER_MAX, self.gauges.progress(Asker::Outside)).await.ok().flatten();
        if !progress.is_some_and(|progress| progress.is_made()) {
            return Err(Beat::Withheld("probing makes no progress"));
        }
        if self.gauges.probers() == 0 && !self.gauges.unreadable().is_empty() {
            return Err(Beat::Withheld("nothing is probed, since the configuration cannot be read"));
        }
        match timeout(ANSWER_MAX, self.gauges.report()).await.ok().flatten() {
            None => Err(Beat::Withheld("the state-keeper does not answer")),
            Some(report) if report.store_is_gone => Err(Beat::Withheld("the store takes no writes")),
            Some(report) if !report.is_leader => Err(Beat::NotOurs),
            Some(_) => Ok(()),
        }
    }

    async fn send(&self) -> Beat {
        match self.client.status_first(&self.request).await {
            Ok(reply) => judge(self.form, &reply),
            // It may be an echo of our own request, whose path is a secret.
            Err(Failure::NotHttp { .. }) => Beat::Lost("the answer is not valid HTTP".into()),
            Err(failure) => Beat::Lost(text::line(&failure.to_string(), DETAIL_CHARS_MAX)),
        }
    }

    /// Each change once.
    fn say(&mut self, beat: Beat) {
        if self.said.as_ref() == Some(&beat) {
            return;
        }
        let to = &self.request.url[..Position::BeforePath];
        match (&beat, &self.said) {
            (Beat::Taken, _) => tracing::info!(to, "the heartbeat goes out"),
            (Beat::NotOurs, _) => tracing::info!(to, "the heartbeat is sent by the worker that owns the first shard"),
            (Beat::Withheld(why), _) => tracing::warn!(to, why, "no heartbeat goes out"),
            (Beat::Lost(why), _) => tracing::warn!(to, why, "the heartbeat is not taken"),
        }
        self.said = Some(beat);
    }
}

/// What is sent each time.
fn request(settings: &HeartbeatOutSettings) -> Result<Request, String> {
    let mut url = Url::parse(settings.url.reveal()).map_err(|_| "the heartbeat's url is not a URL".to_owned())?;
    let method = match settings.form {
        BeatForm::Healthchecks | BeatForm::Gatus => Method::Post,
        BeatForm::Kuma | BeatForm::Plain => Method::Get,
    };
    let pairs: &[(&str, &str)] = match settings.form {
        BeatForm::Kuma => &[("status", "up"), ("msg", "OK")],
        BeatForm::Gatus => &[("success", "true")],
        BeatForm::Healthchecks | BeatForm::Plain => &[],
    };
    if !pairs.is_empty() {
        // Kuma gives its URL with the values of an example.
        url.query_pairs_mut().clear().extend_pairs(pairs);
    }
    let agent = concat!("api-health/", env!("CARGO_PKG_VERSION"));
    let mut headers = vec![("user-agent".to_owned(), Secret::new(agent))];
    if let Some(token) = &settings.token {
        headers.push(("authorization".into(), Secret::new(format!("Bearer {}", token.reveal()))));
    }
    Ok(Request {
        method,
        url,
        headers,
        body: None,
        timeout: SEND_MAX.min(settings.every),
        body_bytes_max: BODY_BYTES_MAX,
        keep_body: true,
        accept_encoding: None,
        max_redirects: 0,
    })
}

/// Whether it was taken: Healthchecks and Kuma may refuse inside a 200.
fn judge(form: BeatForm, reply: &Reply) -> Beat {
    let status = reply.status;
    if !(200..=299).contains(&status) {
        return Beat::Lost(format!("the answer has status {status}"));
    }
    let body = String::from_utf8_lossy(&reply.body);
    let refused = match form {
        BeatForm::Healthchecks => body.contains("not found") || body.contains("rate limited"),
        BeatForm::Kuma => body.replace(' ', "").contains("\"ok\":false"),
        BeatForm::Gatus | BeatForm::Plain => false,
    };
    if refused { Beat::Lost(format!("the answer has status {status} and refuses it")) } else { Beat::Taken }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn asked(form: BeatForm, url: &str) -> String {
        let token = Some(Secret::new("t0k3n"));
        let settings = HeartbeatOutSettings { url: Secret::new(url), every: Duration::from_secs(60), form, token };
        let request = request(&settings).unwrap();
        let bearer = request.headers.iter().find(|(name, _)| name == "authorization").unwrap();
        assert_eq!(bearer.1.reveal(), "Bearer t0k3n");
        format!("{} {}", request.method.as_str(), request.url)
    }

    #[test]
    fn each_form_is_what_its_receiver_wants() {
        for (form, url, expected) in [
            (BeatForm::Healthchecks, "https://hc.test/u-u-i-d", "POST https://hc.test/u-u-i-d"),
            (
                BeatForm::Kuma,
                "https://kuma.test/api/push/abc?status=down&msg=x&ping=",
                "GET https://kuma.test/api/push/abc?status=up&msg=OK",
            ),
            (
                BeatForm::Gatus,
                "https://gatus.test/api/v1/endpoints/core_monitor/external",
                "POST https://gatus.test/api/v1/endpoints/core_monitor/external?success=true",
            ),
            (BeatForm::Plain, "https://a.test/beat?a=1", "GET https://a.test/beat?a=1"),
        ] {
            assert_eq!(asked(form, url), expected);
        }
    }
}
