//! What the JSON API answers with. Times are RFC 3339 in UTC; what is not known is `null`.

use api_health_core::observation::Phase;
use api_health_core::view::{ApiView, Condition};
use api_health_core::{ApiConfig, Timestamp};

use crate::model::Everything;
use crate::shown;

/// How everything is, in figures.
#[derive(Debug, serde::Serialize, utoipa::ToSchema)]
pub(crate) struct Summary {
    /// When this was put together.
    pub(crate) now: String,
    /// When the part that watches was heard of last.
    pub(crate) as_of: String,
    /// That is so long ago that nothing here may be relied on.
    pub(crate) is_stale: bool,
    /// Grows with each change of anything, within one run of the program.
    pub(crate) revision: u64,
    pub(crate) version: String,
    pub(crate) environment: String,
    pub(crate) apis: Counts,
    /// What the monitor tells of itself.
    pub(crate) own_troubles: Vec<OwnTrouble>,
}

/// How many APIs are in each condition.
#[derive(Debug, serde::Serialize, utoipa::ToSchema)]
pub(crate) struct Counts {
    pub(crate) total: usize,
    pub(crate) down: usize,
    pub(crate) unwatched: usize,
    pub(crate) suspect: usize,
    pub(crate) unclear: usize,
    pub(crate) maintenance: usize,
    pub(crate) unknown: usize,
    pub(crate) up: usize,
    pub(crate) off: usize,
}

/// A part of the monitor that is in trouble.
#[derive(Debug, serde::Serialize, utoipa::ToSchema)]
pub(crate) struct OwnTrouble {
    pub(crate) id: String,
    pub(crate) since: String,
    pub(crate) reason: String,
}

impl Summary {
    pub(crate) fn of(everything: &Everything, version: &str, environment: &str) -> Self {
        let count = |condition| everything.counts.get(condition);
        Self {
            now: everything.now.to_string(),
            as_of: everything.snapshot.at.to_string(),
            is_stale: everything.is_stale(),
            revision: everything.snapshot.revision,
            version: version.to_owned(),
            environment: environment.to_owned(),
            apis: Counts {
                total: everything.counts.total(),
                down: count(Condition::Down),
                unwatched: count(Condition::Unwatched),
                suspect: count(Condition::Suspect),
                unclear: count(Condition::Unclear),
                maintenance: count(Condition::Maintenance),
                unknown: count(Condition::Unknown),
                up: count(Condition::Up),
                off: count(Condition::Off),
            },
            own_troubles: (everything.snapshot.own.iter())
                .map(|(id, trouble)| OwnTrouble {
                    id: id.to_string(),
                    since: trouble.since.to_string(),
                    reason: trouble.reason.clone(),
                })
                .collect(),
        }
    }
}

/// A page of APIs, by id.
#[derive(Debug, serde::Serialize, utoipa::ToSchema)]
pub(crate) struct Apis {
    pub(crate) now: String,
    pub(crate) is_stale: bool,
    pub(crate) apis: Vec<Api>,
    /// What to send as `cursor` for the page behind this one; `null`: this is the last.
    pub(crate) next_cursor: Option<String>,
}

/// One API.
#[derive(Debug, serde::Serialize, utoipa::ToSchema)]
pub(crate) struct Api {
    pub(crate) api_id: String,
    pub(crate) name: String,
    /// `down`, `unwatched`, `suspect`, `unclear`, `maintenance`, `unknown`, `up` or `off`.
    pub(crate) state: &'static str,
    /// The same in words for people.
    pub(crate) word: &'static str,
    /// The confirmed status: `up`, `down` or `unknown`.
    pub(crate) status: &'static str,
    /// When that began.
    pub(crate) since: Option<String>,
    /// Why it is not simply up.
    pub(crate) why: Option<String>,
    /// Without what may be a secret.
    pub(crate) url: Option<String>,
    /// `GET`, `HEAD` and so on.
    pub(crate) method: Option<&'static str>,
    /// `http`, `tcp`, `tls` or `dns`.
    pub(crate) kind: Option<&'static str>,
    pub(crate) tags: Vec<String>,
    pub(crate) last_probe: Option<LastProbe>,
    /// The incident that is open.
    pub(crate) incident: Option<OpenIncident>,
    /// Why nothing can be told of it, where that is so for long.
    pub(crate) unclear: Option<Told>,
    /// Its certificate ends soon.
    pub(crate) certificate: Option<Told>,
    pub(crate) maintenance_until: Option<String>,
    /// Why an alert of it is held.
    pub(crate) alert_held: Option<String>,
    pub(crate) is_flapping: bool,
    /// The next outcome is late after this.
    pub(crate) late_after: Option<String>,
    /// Alerts that some channel does not have yet.
    pub(crate) alerts_owed: usize,
    pub(crate) missed_ticks: u64,
    /// When all this was so.
    pub(crate) at: String,
}

/// Something that is told of an API beside its status.
#[derive(Debug, serde::Serialize, utoipa::ToSchema)]
pub(crate) struct Told {
    pub(crate) since: String,
    pub(crate) reason: String,
}

/// The last probe of an API.
#[derive(Debug, serde::Serialize, utoipa::ToSchema)]
pub(crate) struct LastProbe {
    /// When it ended.
    pub(crate) at: String,
    /// `pass`, `fail` or `inconclusive`.
    pub(crate) verdict: &'static str,
    pub(crate) latency_ms: Option<u32>,
    pub(crate) status_code: Option<u16>,
    /// Why it was no pass.
    pub(crate) error: Option<String>,
    /// How long each phase took, over all redirects; `null` where the probe was made by an earlier process.
    pub(crate) phases_ms: Option<Phases>,
    /// The first of its certificates ends then.
    pub(crate) certificate_ends_at: Option<String>,
}

/// In milliseconds; `null` for what did not happen.
#[derive(Debug, serde::Serialize, utoipa::ToSchema)]
pub(crate) struct Phases {
    pub(crate) resolve: Option<f64>,
    pub(crate) connect: Option<f64>,
    pub(crate) tls: Option<f64>,
    pub(crate) first_byte: Option<f64>,
    pub(crate) body: Option<f64>,
}

/// The open incident of an API, in short.
#[derive(Debug, serde::Serialize, utoipa::ToSchema)]
pub(crate) struct OpenIncident {
    pub(crate) incident_id: String,
    pub(crate) started_at: String,
    pub(crate) reason: String,
}

impl Api {
    pub(crate) fn of(view: &ApiView, now: Timestamp) -> Self {
        let condition = view.condition(now);
        let config: Option<&ApiConfig> = view.config.as_deref();
        let said = |text: &String| shown::said(view, text);
        let told = |trouble: &api_health_core::view::Trouble| Told {
            since: trouble.since.to_string(),
            reason: said(&trouble.reason),
        };
        Self {
            api_id: view.api_id.to_string(),
            name: view.name().to_owned(),
            state: condition.as_str(),
            word: condition.word(),
            status: view.status.as_str(),
            since: view.since.map(|since| since.to_string()),
            why: view.why(now).as_ref().map(said),
            url: config.map(shown::url),
            method: config.map(|config| config.method.as_str()),
            kind: config.map(|config| config.protocol().as_str()),
            tags: config.map(|config| config.tags.clone()).unwrap_or_default(),
            last_probe: LastProbe::of(view),
            incident: view.incident.as_ref().map(|open| OpenIncident {
                incident_id: open.incident_id.clone(),
                started_at: open.started_at.to_string(),
                reason: said(&open.reason),
            }),
            unclear: view.beside.unclear.as_ref().map(told),
            certificate: view.beside.certificate.as_ref().map(told),
            maintenance_until: view.maintenance_until.filter(|until| now < *until).map(|until| until.to_string()),
            alert_held: view.held.clone(),
            is_flapping: view.is_flapping,
            late_after: view.late_after.map(|after| after.to_string()),
            alerts_owed: view.owed,
            missed_ticks: view.missed_ticks,
            at: view.at.to_string(),
        }
    }
}

impl LastProbe {
    fn of(view: &ApiView) -> Option<Self> {
        let last = view.last_probe.as_ref()?;
        let ms = |phase| {
            let took = view.figures.and_then(|figures| figures.phases.get(phase))?;
            Some(took.as_secs_f64() * 1_000.0)
        };
        Some(Self {
            at: last.at.to_string(),
            verdict: last.verdict.as_str(),
            latency_ms: last.latency_ms,
            status_code: last.status_code,
            error: last.error.as_ref().map(|error| shown::said(view, error)),
            phases_ms: view.figures.map(|_| Phases {
                resolve: ms(Phase::Resolve),
                connect: ms(Phase::Connect),
                tls: ms(Phase::Tls),
                first_byte: ms(Phase::FirstByte),
                body: ms(Phase::Body),
            }),
            certificate_ends_at: view.figures.and_then(|figures| figures.ends()).map(|ends| ends.earliest.to_string()),
        })
    }
}
