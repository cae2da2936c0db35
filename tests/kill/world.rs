//! The world that the daemon is killed in: APIs that flap by a script, and a webhook that fails at times.

use std::collections::BTreeMap;
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use api_health_core::Timestamp;

use crate::alerts::{Receiver, checked};
use crate::oracle::{Change, Heard};
use crate::store::{Record, Records};
use crate::support::chance::Chance;
use crate::support::http::{Answer, Server};

/// How an API is watched, and whether it flaps.
#[derive(Clone, Copy, Debug)]
pub(crate) struct ApiPlan {
    pub(crate) id: &'static str,
    pub(crate) failure_threshold: u32,
    pub(crate) success_threshold: u32,
    flaps: bool,
    first: &'static str,
}

impl ApiPlan {
    /// One that is up at first, flaps, and needs so many outcomes in a row for either change.
    pub(crate) fn flapping(id: &'static str, threshold: u32) -> Self {
        Self { id, failure_threshold: threshold, success_threshold: threshold, flaps: true, first: "up" }
    }

    pub(crate) fn path(&self) -> String {
        format!("/{}", self.id)
    }
}

/// The APIs.
pub(crate) const APIS: [ApiPlan; 7] = [
    ApiPlan { id: "a", failure_threshold: 2, success_threshold: 2, flaps: true, first: "up" },
    ApiPlan { id: "b", failure_threshold: 2, success_threshold: 2, flaps: true, first: "up" },
    ApiPlan { id: "born-down", failure_threshold: 2, success_threshold: 2, flaps: true, first: "down" },
    ApiPlan { id: "quick", failure_threshold: 1, success_threshold: 1, flaps: true, first: "up" },
    ApiPlan { id: "slow-up", failure_threshold: 1, success_threshold: 3, flaps: true, first: "up" },
    ApiPlan { id: "slow-down", failure_threshold: 3, success_threshold: 1, flaps: true, first: "up" },
    ApiPlan { id: "steady", failure_threshold: 2, success_threshold: 2, flaps: false, first: "up" },
];

/// An API keeps its state until its alerts were told, if it owes so many: the outbox is not to be filled here.
const OWED_MAX: usize = 8;

/// A state of an API that lasts until the store says that it was noticed.
#[derive(Clone, Copy, Debug)]
struct Phase {
    status: &'static str,
    changed_at: SystemTime,
    /// When the first answer could speak for it.
    not_before: SystemTime,
    /// When it was seen in the store.
    noticed: Option<SystemTime>,
}

/// One API as it really is.
#[derive(Debug)]
struct Api {
    plan: ApiPlan,
    phases: Vec<Phase>,
    /// One answer of this phase was, or will be, the other way round.
    blinked: Option<SystemTime>,
    last: Option<Record>,
}

impl Api {
    fn phase(&self) -> &Phase {
        &self.phases[self.phases.len() - 1]
    }

    fn may_change(&self) -> bool {
        let owed = self.last.as_ref().map_or(0, |record| record.owed.len());
        self.phase().noticed.is_some() && owed <= OWED_MAX
    }
}

/// Target, webhook, and what is true of them.
pub(crate) struct World {
    pub(crate) target: Server,
    pub(crate) webhook: Receiver,
    apis: Vec<Api>,
    heard: Vec<Heard>,
}

fn answer_for(status: &str, chance: &mut Chance) -> Answer {
    match status {
        "up" => Answer::Status(*chance.pick(&[200, 200, 204])),
        _ => chance
            .pick(&[Answer::Status(500), Answer::Status(503), Answer::Status(404), Answer::Close, Answer::Reset])
            .clone(),
    }
}

fn other(status: &str) -> &'static str {
    if status == "up" { "down" } else { "up" }
}

#[allow(clippy::disallowed_methods, reason = "the test's own clock")]
fn now() -> SystemTime {
    SystemTime::now()
}

impl World {
    pub(crate) fn new(chance: &mut Chance, plans: &[ApiPlan]) -> Self {
        let target = Server::start();
        let apis: Vec<Api> = plans
            .iter()
            .map(|&plan| {
                target.set(&plan.path(), answer_for(plan.first, chance));
                let phase = Phase { status: plan.first, changed_at: now(), not_before: now(), noticed: None };
                Api { plan, phases: vec![phase], blinked: None, last: None }
            })
            .collect();
        Self { target, webhook: Receiver::start(), apis, heard: Vec::new() }
    }

    /// The APIs that may go down or come back now: what they are was noticed.
    pub(crate) fn ready(&self) -> Vec<usize> {
        (0..self.apis.len()).filter(|at| self.apis[*at].plan.flaps && self.apis[*at].may_change()).collect()
    }

    /// Has an API go down or come back.
    pub(crate) fn flip(&mut self, at: usize, chance: &mut Chance) {
        let api = &mut self.apis[at];
        let status = other(api.phase().status);
        // If an answer of the phase before was the other way round, then the streak may begin with that one.
        let not_before = api.blinked.take().unwrap_or_else(now);
        self.target.set(&api.plan.path(), answer_for(status, chance));
        api.phases.push(Phase { status, changed_at: now(), not_before, noticed: None });
    }

    /// Has an API answer one request the other way round, once in a phase: that alone confirms nothing.
    pub(crate) fn blink(&mut self, at: usize, chance: &mut Chance) {
        let api = &mut self.apis[at];
        let threshold = match api.phase().status {
            "up" => api.plan.failure_threshold,
            _ => api.plan.success_threshold,
        };
        if threshold > 1 && api.blinked.is_none() && api.phase().noticed.is_some() {
            api.blinked = Some(now());
            self.target.once(&api.plan.path(), answer_for(other(api.phase().status), chance));
        }
    }

    pub(crate) fn apis(&self) -> usize {
        self.apis.len()
    }

    /// Requests for an API so far.
    pub(crate) fn hits(&self, at: usize) -> usize {
        self.target.hits(&self.apis[at].plan.path())
    }

    /// How long after that moment each API was asked for the first time; `None` while one was not.
    pub(crate) fn first_probes_since(&self, moment: SystemTime) -> Option<Vec<Duration>> {
        let first = |api: &Api| {
            let requests = self.target.requests(&api.plan.path());
            requests.iter().find_map(|request| request.at.duration_since(moment).ok())
        };
        self.apis.iter().map(first).collect()
    }

    /// Has the webhook fail in some way, or not.
    pub(crate) fn change_channel(&self, chance: &mut Chance) {
        let mode = chance.below(10);
        if mode == 0 {
            self.webhook.server.refuse();
        } else {
            self.webhook.server.listen();
        }
        self.webhook.answer(match mode {
            1 => Answer::Status(500),
            2 => Answer::Status(429),
            3 => Answer::Hang,
            4 => Answer::Close,
            5 => Answer::Reset,
            _ => Answer::Status(200),
        });
    }

    /// The webhook is well from now on.
    pub(crate) fn mend_channel(&self) {
        self.webhook.server.listen();
        self.webhook.answer(Answer::Status(200));
    }

    /// Looks at what the dead daemon left: versions grow, no status is false, and what was noticed is noted.
    pub(crate) fn examine(&mut self, records: &Records) {
        for id in records.keys().filter(|id| !id.contains(':')) {
            assert!(self.apis.iter().any(|api| api.plan.id == id), "a record of nobody: {id}");
        }
        for api in &mut self.apis {
            let id = api.plan.id;
            let record = records.get(id);
            let Some(record) = record else {
                assert!(api.last.is_none(), "{id}: its record is gone, which was {:?}", api.last);
                continue;
            };
            if let Some(last) = &api.last {
                let grew = record.version > last.version || record == last;
                assert!(grew, "{id}: {last:?} was followed by {record:?}");
            }
            let before = api.phases.len().checked_sub(2).map_or("unknown", |before| api.phases[before].status);
            let noticed = record.status == api.phase().status;
            if noticed {
                let at = api.phases.len() - 1;
                api.phases[at].noticed.get_or_insert_with(now);
            }
            let true_or_old = noticed || (record.status == before && api.phase().noticed.is_none());
            assert!(true_or_old, "{id}: the store says {}, and it is {:?}", record.status, api.phases);
            api.last = Some(record.clone());
        }
    }

    /// An API that has been other than the store says for so long, counted from `since` at the earliest.
    pub(crate) fn unnoticed_for(&self, span: Duration, since: SystemTime) -> Option<&'static str> {
        let is_late = |api: &&Api| {
            let phase = api.phase();
            let waits_since = phase.changed_at.max(since);
            phase.noticed.is_none() && now().duration_since(waits_since).is_ok_and(|waits| waits > span)
        };
        self.apis.iter().find(is_late).map(|api| api.plan.id)
    }

    /// Whether everything that happened was noticed and nothing is owed.
    pub(crate) fn is_settled(&self) -> bool {
        self.apis
            .iter()
            .all(|api| api.phase().noticed.is_some() && api.last.as_ref().is_some_and(|r| r.owed.is_empty()))
    }

    /// Notes what the webhook got since this was asked last. The environment of the daemon names its life.
    pub(crate) fn listen(&mut self) {
        let requests = self.webhook.server.take_requests("/hook");
        self.heard.extend(requests.iter().map(|request| Heard::of(&checked(request), request.answered)));
    }

    pub(crate) fn heard(&self) -> &[Heard] {
        &self.heard
    }

    /// What people have to be told of: every phase, but a first one that is up.
    pub(crate) fn truth(&self) -> BTreeMap<String, Vec<Change>> {
        let changes = |api: &Api| {
            let told = api.phases.iter().skip(usize::from(api.plan.first == "up"));
            told.map(|phase| Change {
                kind: phase.status,
                not_before: phase.not_before,
                not_after: phase.noticed.unwrap_or(UNIX_EPOCH),
            })
            .collect()
        };
        self.apis.iter().map(|api| (api.plan.id.to_owned(), changes(api))).collect()
    }

    /// The story of every API, for a failed test.
    pub(crate) fn story(&self) -> String {
        self.apis.iter().map(|api| self.story_of(api.plan.id)).collect::<Vec<_>>().join("\n")
    }

    /// The same of one.
    pub(crate) fn story_of(&self, api_id: &str) -> String {
        let time = |at: SystemTime| {
            Timestamp::from_millis(at.duration_since(UNIX_EPOCH).unwrap_or(Duration::ZERO).as_millis() as i64)
        };
        let mut lines = Vec::new();
        for api in self.apis.iter().filter(|api| api.plan.id == api_id) {
            lines.push(format!("{} {:?}", api.plan.id, api.last));
            for phase in &api.phases {
                let noticed = phase.noticed.map(|at| time(at).to_string()).unwrap_or_default();
                lines.push(format!("    is {} since {}, noticed by {noticed}", phase.status, time(phase.not_before)));
            }
            for heard in self.heard.iter().filter(|heard| heard.api_id == api.plan.id) {
                let Heard { at, life, alert_id, answered, .. } = heard;
                lines.push(format!("    {} life {life}: {alert_id} answered {answered}", time(*at)));
            }
        }
        lines.join("\n")
    }
}
