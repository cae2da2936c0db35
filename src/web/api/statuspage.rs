//! `/api/v2/summary.json`: what aggregators of status pages read, in the form of Statuspage. It has public APIs alone.

use actix_web::{HttpRequest, HttpResponse};
use api_health_core::view::{ApiView, Condition};
use api_health_core::{Status, Timestamp};

use super::answer::{Answer, Data, everything};
use super::problem::Problem;
use super::query::Query;
use crate::model::Everything;
use crate::shown;

/// All public APIs as components.
#[derive(Debug, serde::Serialize, utoipa::ToSchema)]
pub(crate) struct StatuspageSummary {
    page: StatuspagePage,
    components: Vec<StatuspageComponent>,
    incidents: Vec<StatuspageIncident>,
    /// Always empty: windows are shown as the status of a component.
    scheduled_maintenances: Vec<StatuspageIncident>,
    status: StatuspageStatus,
}

#[derive(Debug, serde::Serialize, utoipa::ToSchema)]
pub(crate) struct StatuspagePage {
    id: &'static str,
    name: &'static str,
    time_zone: &'static str,
    updated_at: String,
}

#[derive(Debug, serde::Serialize, utoipa::ToSchema)]
pub(crate) struct StatuspageComponent {
    id: String,
    name: String,
    /// `operational`, `major_outage`, `under_maintenance` or, where it is not known, `degraded_performance`.
    status: &'static str,
    updated_at: String,
}

#[derive(Debug, serde::Serialize, utoipa::ToSchema)]
pub(crate) struct StatuspageIncident {
    id: String,
    name: String,
    /// `investigating`: it is open.
    status: &'static str,
    impact: &'static str,
    created_at: String,
    started_at: String,
}

#[derive(Debug, serde::Serialize, utoipa::ToSchema)]
pub(crate) struct StatuspageStatus {
    /// `none`, `minor`, `major` or `critical`.
    indicator: &'static str,
    description: String,
}

/// Public APIs in the form of Statuspage.
#[utoipa::path(get, path = "/api/v2/summary.json", responses(
    (status = 200, body = StatuspageSummary), (status = 304, description = "Nothing has changed since that ETag"),
    (status = 503, body = Problem, content_type = "application/problem+json"),
))]
pub(crate) async fn summary(request: HttpRequest, model: Data) -> Result<HttpResponse, Problem> {
    Query::of(&request, &[]).finish()?;
    let everything = everything(&model).await?;
    let views = everything.views.iter().map(AsRef::as_ref).filter(|view| shown::is_public(view));
    let summary = of(&everything, &views.collect::<Vec<_>>());
    Ok(Answer { request: &request, model: &model, everything: &everything, next_cursor: None }.json(&summary))
}

fn of(everything: &Everything, views: &[&ApiView]) -> StatuspageSummary {
    let now = everything.now;
    let down = views.iter().filter(|view| view.condition(now) == Condition::Down).count();
    let (indicator, description) = match down {
        _ if everything.is_stale() => ("minor", "It is not known how things are".to_owned()),
        0 => ("none", format!("0 of {} are down", views.len())),
        _ if down == views.len() => ("critical", format!("All {down} are down")),
        _ => ("major", format!("{down} of {} are down", views.len())),
    };
    StatuspageSummary {
        page: StatuspagePage {
            id: "api-health",
            name: "api-health",
            time_zone: "Etc/UTC",
            updated_at: everything.snapshot.at.to_string(),
        },
        components: views.iter().filter_map(|view| component(view, now)).collect(),
        incidents: views.iter().filter_map(|view| incident(view)).collect(),
        scheduled_maintenances: Vec::new(),
        status: StatuspageStatus { indicator, description },
    }
}

fn component(view: &ApiView, now: Timestamp) -> Option<StatuspageComponent> {
    let status = match view.condition(now) {
        Condition::Off => return None,
        Condition::Down => "major_outage",
        Condition::Maintenance => "under_maintenance",
        // What is only suspected is not told.
        Condition::Suspect if view.status == Status::Up => "operational",
        Condition::Up => "operational",
        Condition::Unwatched | Condition::Suspect | Condition::Unclear | Condition::Unknown => "degraded_performance",
    };
    let updated_at = view.since.unwrap_or(view.at).to_string();
    Some(StatuspageComponent { id: view.api_id.to_string(), name: view.name().to_owned(), status, updated_at })
}

/// Without its reason, in which anything may stand.
fn incident(view: &ApiView) -> Option<StatuspageIncident> {
    let open = view.incident.as_ref()?;
    let started_at = open.started_at.to_string();
    Some(StatuspageIncident {
        id: open.incident_id.clone(),
        name: format!("{} is down", view.name()),
        status: "investigating",
        impact: "major",
        created_at: started_at.clone(),
        started_at,
    })
}

#[cfg(test)]
mod tests {
    use api_health_actors::board::Snapshot;
    use api_health_core::incident::Incident;
    use api_health_core::view::Counts;

    use super::*;
    use crate::testing::{NOW, up, up_with};

    #[test]
    fn what_is_down_is_an_outage_without_its_reason() {
        let mut down = up_with("b", |config| config.name = "Shop".into());
        let (incident_id, reason) = ("b.1.2".into(), "10.0.0.7 refused".into());
        let incident = Box::new(Incident { incident_id, started_at: NOW, reason, ..Incident::default() });
        (down.status, down.incident) = (Status::Down, Some(incident));
        let everything = Everything {
            now: NOW,
            snapshot: Snapshot { at: NOW, ..Snapshot::default() },
            views: vec![],
            counts: Counts::default(),
        };
        let up = up("a");
        let text = serde_json::to_string(&of(&everything, &[&up, &down])).unwrap();
        assert!(!text.contains("refused"), "{text}");
        let told: serde_json::Value = serde_json::from_str(&text).unwrap();
        assert_eq!(told["status"]["indicator"], "major");
        assert_eq!(told["components"][0]["status"], "operational");
        assert_eq!(told["components"][1]["status"], "major_outage");
        assert_eq!(told["incidents"][0]["name"], "Shop is down");
    }
}
