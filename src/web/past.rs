//! What is known of the past of APIs, in the form in which the JSON API, badges and the feed tell it.

use std::ops::Range;
use std::sync::Arc;

use api_health_core::history::series::Past;
pub(crate) use api_health_core::history::series::{Point, Step};
use api_health_core::history::{self, HistoryItem, Series, Slot, UtcMonth};
use api_health_core::incident::Incident;
use api_health_core::view::ApiView;
use api_health_core::{ApiId, Status, Timestamp};

use crate::model::Model;

/// The steps of a history, by the words for them.
pub(crate) const STEPS: [(&str, Step); 3] = [("hour", Step::Hour), ("day", Step::Day), ("month", Step::Month)];

/// An incident that is over.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Story {
    pub(crate) incident_id: String,
    pub(crate) api_id: ApiId,
    pub(crate) name: String,
    pub(crate) reason: String,
    pub(crate) began_at: Timestamp,
    pub(crate) ended_at: Timestamp,
}

/// Why nothing of the past is told.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Untold {
    /// No history is kept.
    Off,
    /// It cannot be read now, and why.
    Failed(String),
}

async fn items(model: &Model, series: Series, now: Timestamp) -> Result<Arc<Vec<HistoryItem>>, Untold> {
    model.pasts.items(&model.site, series, now).await.ok_or(Untold::Off)?.map_err(Untold::Failed)
}

async fn past(model: &Model, view: &ApiView, now: Timestamp) -> Result<Past, Untold> {
    let items = items(model, Series::Api(view.api_id.clone()), now).await?;
    let down_since = (view.status == Status::Down).then_some(view.since).flatten();
    let watched_until = view.last_probe.as_ref().map(|probe| probe.at);
    Ok(Past::of(items.iter()).with_present(down_since, watched_until))
}

/// What of the past is known of one API in a window, in steps.
pub(crate) async fn points(
    model: &Model,
    view: &ApiView,
    window: &Range<Timestamp>,
    step: Step,
) -> Result<Vec<Point>, Untold> {
    Ok(past(model, view, window.end).await?.points(window, step))
}

/// The same as one point.
pub(crate) async fn whole(model: &Model, view: &ApiView, window: &Range<Timestamp>) -> Result<Point, Untold> {
    Ok(past(model, view, window.end).await?.whole(window))
}

/// Incidents that began in these months and are over, the newest first.
pub(crate) async fn stories(model: &Model, months: &Range<UtcMonth>, now: Timestamp) -> Result<Vec<Story>, Untold> {
    let (mut all, mut month) = (Vec::new(), months.end.plus_months(-1));
    while month >= months.start {
        all.extend(items(model, Series::Incidents(month), now).await?.iter().filter_map(story));
        month = month.plus_months(-1);
    }
    all.sort_by_key(|story: &Story| std::cmp::Reverse(story.began_at));
    Ok(all)
}

fn story(item: &HistoryItem) -> Option<Story> {
    let Slot::Incident { api_id, .. } = &item.slot else { return None };
    let history::Story { incident, began_at, ended_at, .. } = history::Story::decode(&item.bytes).ok()?;
    let Incident { incident_id, name, reason, .. } = incident;
    Some(Story { incident_id, api_id: api_id.clone(), name, reason, began_at, ended_at })
}
