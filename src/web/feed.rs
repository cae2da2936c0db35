//! `/feed.atom`: incidents for feed readers, the newest first. Strangers get those of public APIs, without reasons.

use actix_web::{HttpRequest, HttpResponse, web};
use api_health_core::history::UtcMonth;
use api_health_core::view::ApiView;
use api_health_core::{Timestamp, text};
use askama::Template;

use crate::api::answer::{Answer, Data, everything};
use crate::api::problem::Problem;
use crate::model::Everything;
use crate::past::{self, Story};
use crate::shown;

/// Entries of a feed: readers ask for it again and again.
const ENTRIES_MAX: usize = 100;

/// Characters of a title or a text.
const CHARS_MAX: usize = 400;

pub(crate) fn routes(config: &mut web::ServiceConfig) {
    config.route("/feed.atom", web::get().to(feed));
}

#[derive(Template)]
#[template(path = "feed.xml", escape = "html")]
struct Feed {
    title: String,
    updated: Timestamp,
    entries: Vec<Entry>,
}

/// One incident.
struct Entry {
    /// Of it for ever: a feed reader knows it again when it ends.
    incident_id: String,
    title: String,
    text: String,
    began_at: Timestamp,
    updated: Timestamp,
}

/// Incidents as an Atom feed.
#[utoipa::path(get, path = "/feed.atom", responses(
    (status = 200, body = String, content_type = "application/atom+xml"),
    (status = 304, description = "Nothing has changed since that ETag"),
    (status = 503, body = Problem, content_type = "application/problem+json"),
))]
pub(crate) async fn feed(request: HttpRequest, model: Data) -> Result<HttpResponse, Problem> {
    let everything = everything(&model).await?;
    let may_see_all = shown::is_let_in(&request);
    let mut entries: Vec<Entry> = (everything.views.iter())
        .filter(|view| shown::may_see(&request, view))
        .filter_map(|view| open(view, may_see_all))
        .collect();
    let this_month = UtcMonth::of(everything.now);
    let closed = past::stories(&model, &(this_month.plus_months(-1)..this_month.plus_months(1)), everything.now).await;
    let is_shown = |story: &&Story| may_see_all || is_public(&everything, story);
    entries.extend(closed.unwrap_or_default().iter().filter(is_shown).map(|story| {
        let view = everything.get(&story.api_id).map(AsRef::as_ref);
        over(story, may_see_all.then(|| shown::said_once(view, &story.reason)))
    }));
    entries.sort_unstable_by(|a, b| (b.updated, &b.incident_id).cmp(&(a.updated, &a.incident_id)));
    entries.truncate(ENTRIES_MAX);
    let feed = Feed {
        title: line(&["api-health", &model.site.about.environment].join(" ")),
        updated: entries.iter().map(|entry| entry.updated).max().unwrap_or(everything.snapshot.at),
        entries,
    };
    let written = feed.render().map_err(|error| {
        tracing::error!(%error, "the feed could not be made");
        Problem::unavailable("the feed could not be made; the log says why")
    })?;
    let answer = Answer { request: &request, model: &model, everything: &everything, next_cursor: None };
    Ok(answer.body("application/atom+xml; charset=utf-8", written))
}

fn is_public(everything: &Everything, story: &Story) -> bool {
    everything.get(&story.api_id).is_some_and(|view| shown::is_public(view))
}

fn open(view: &ApiView, with_reason: bool) -> Option<Entry> {
    let open = view.incident.as_ref()?;
    let reason = if with_reason { format!(": {}", shown::said(view, &open.reason)) } else { String::new() };
    Some(Entry {
        incident_id: open.incident_id.clone(),
        title: line(&format!("{} is down", view.name())),
        text: line(&format!("{} is down since {}{reason}", view.name(), open.started_at)),
        began_at: open.started_at,
        updated: open.started_at,
    })
}

fn over(story: &Story, reason: Option<String>) -> Entry {
    let reason = reason.map(|reason| format!(": {reason}")).unwrap_or_default();
    let seconds = story.ended_at.since(story.began_at).as_secs();
    Entry {
        incident_id: story.incident_id.clone(),
        title: line(&format!("{} was down for {seconds} s", story.name)),
        text: line(&format!("{} was down from {} to {}{reason}", story.name, story.began_at, story.ended_at)),
        began_at: story.began_at,
        updated: story.ended_at,
    }
}

/// XML takes no control characters, not even escaped.
fn line(text: &str) -> String {
    text::line(text, CHARS_MAX).replace(['\u{fffe}', '\u{ffff}'], "\u{fffd}")
}

#[cfg(test)]
mod tests {
    use super::{ApiView, ENTRIES_MAX};
    use api_health_core::view::OpenIncident;
    use api_health_core::{Secret, Status};
    use xmlparser::{ElementEnd, Token, Tokenizer};

    use crate::testing::{NOW, Shop, up, up_with};

    /// The texts of all elements of that name, of XML that is well-formed.
    fn texts<'a>(xml: &'a str, wanted: &str) -> Vec<&'a str> {
        let (mut open, mut texts, mut roots) = (Vec::new(), Vec::new(), 0);
        for token in Tokenizer::from(xml) {
            match token.expect("well-formed") {
                Token::ElementStart { local, .. } => {
                    roots += usize::from(open.is_empty());
                    open.push(local.as_str());
                }
                Token::ElementEnd { end: ElementEnd::Empty, .. } => drop(open.pop()),
                Token::ElementEnd { end: ElementEnd::Close(_, local), .. } => {
                    assert_eq!(open.pop(), Some(local.as_str()));
                }
                Token::Text { text } if open.last() == Some(&wanted) => texts.push(text.as_str()),
                _ => (),
            }
        }
        assert!(open.is_empty() && roots == 1, "{open:?}, {roots} roots");
        texts
    }

    #[test]
    fn so_many_entries_are_told_however_many_are_down() {
        actix_rt::System::new().block_on(async {
            let down = (0..=ENTRIES_MAX).map(|n| {
                let (incident_id, reason) = (format!("a.{n}"), String::new());
                let incident = Some(OpenIncident { incident_id, started_at: NOW, reason });
                ApiView { status: Status::Down, incident, ..up(&format!("a{n:03}")) }
            });
            let (_, _, feed) = Shop::with(down.collect()).get("/feed.atom").await;
            assert_eq!(texts(&feed, "published").len(), ENTRIES_MAX);
        });
    }

    #[test]
    fn an_open_incident_is_an_entry_and_its_text_is_harmless() {
        actix_rt::System::new().block_on(async {
            let mut down = up_with("b", |config| {
                config.name = "<Shop>]]> & \"Co\"\u{b}".into();
                config.headers = vec![("X-Key".into(), Secret::new("hunter22"))];
            });
            let reason = "it says </title> hunter22".into();
            down.incident = Some(OpenIncident { incident_id: "b.1.2".into(), started_at: NOW, reason });
            down.status = Status::Down;
            let shop = Shop::with(vec![up("a"), down]);
            let (status, headers, feed) = shop.get("/feed.atom").await;
            assert_eq!(
                (status, headers.get("content-type").unwrap().to_str().unwrap()),
                (200, "application/atom+xml; charset=utf-8")
            );
            assert_eq!(texts(&feed, "id"), ["urn:api-health:feed", "urn:api-health:incident:b.1.2"]);
            assert_eq!(texts(&feed, "updated"), ["2026-11-22T07:30:00.000Z"; 2]);
            let told = texts(&feed, "content");
            assert!(told.len() == 1 && told[0].contains("it says &#60;/title&#62; ***"), "{told:?}");
            assert!(!feed.contains("hunter22") && !feed.contains('\u{b}'), "{feed}");
        });
    }
}
