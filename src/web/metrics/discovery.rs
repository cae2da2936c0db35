//! `/sd/prometheus`: all APIs as targets, in the form of Prometheus's HTTP service discovery.

use actix_web::{HttpRequest, HttpResponse};
use api_health_core::view::ApiView;

use super::Own;
use crate::api::answer::Data;
use crate::api::problem::Problem;
use crate::shown;

/// One API. Its id is its target: that is what `/probe` is asked for.
#[derive(serde::Serialize)]
struct Group {
    targets: [String; 1],
    labels: Labels,
}

#[derive(serde::Serialize)]
struct Labels {
    api_id: String,
    name: String,
    /// Without what may be a secret.
    url: String,
    /// With commas before, between and behind, as other discoveries write lists.
    tags: String,
}

pub(super) async fn targets(request: HttpRequest, model: Data) -> Result<HttpResponse, Problem> {
    let own = Own::of(&model).await?;
    let views = own.snapshot.views.iter().filter(|view| view.is_enabled() && shown::may_see(&request, view));
    let groups: Vec<Group> = views.filter_map(|view| group(view)).collect();
    Ok(HttpResponse::Ok().json(&groups))
}

fn group(view: &ApiView) -> Option<Group> {
    let config = view.config.as_ref()?;
    let tags = config.tags.iter().map(|tag| format!("{tag},")).collect::<String>();
    let labels = Labels {
        api_id: view.api_id.to_string(),
        name: view.name().to_owned(),
        url: shown::url(config),
        tags: if tags.is_empty() { tags } else { format!(",{tags}") },
    };
    Some(Group { targets: [view.api_id.to_string()], labels })
}
