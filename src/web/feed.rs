//! `/feed.atom`: incidents for feed readers, the newest first. Strangers get those of public APIs, without reasons.

use actix_web::{HttpRequest, HttpResponse, web};
use api_health_core::history::UtcMonth;
use api_health_core::view::ApiView;
use api_health_core::words::span;
use api_health_core::{Timestamp, text};
use askama::Template;

use crate::api::answer::{Answer, Data, everything};
use crate::api::problem::Problem;
use crate::model::Everything;
use crate::past::{self, Months, Over};
use crate::shown;

/// Entries of a feed: readers ask for it again and again.
const ENTRIES_MAX: usize = 100;

/// The newest notes on an incident: its page has all of them.
const NOTES_MAX: usize = 10;

/// Characters of a title, a text or a note.
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
    notes: Vec<String>,
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
    let this_month = UtcMonth::of(everything.now);
    let months = this_month.plus_months(-1)..this_month.plus_months(1);
    let read = past::months(&model, &months, everything.now).await.unwrap_or_default();
    let mut entries: Vec<Entry> = (everything.views.iter())
        .filter(|view| shown::may_see(&request, view))
        .filter_map(|view| open(view, may_see_all))
        .collect();
    let is_shown = |one: &&Over| may_see_all || is_public(&everything, one);
    entries.extend(read.over.iter().filter(is_shown).map(|one| {
        let view = everything.get(&one.api_id).map(AsRef::as_ref);
        over(one, may_see_all.then(|| shown::said_once(view, &one.story.incident.reason)))
    }));
    for entry in entries.iter_mut().filter(|_| may_see_all) {
        entry.note(&read);
    }
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

fn is_public(everything: &Everything, over: &Over) -> bool {
    everything.get(&over.api_id).is_some_and(|view| shown::is_public(view))
}

fn open(view: &ApiView, with_reason: bool) -> Option<Entry> {
    let open = view.incident.as_ref()?;
    let reason = if with_reason { format!(": {}", shown::said(view, &open.reason)) } else { String::new() };
    Some(Entry {
        incident_id: open.incident_id.clone(),
        title: line(&format!("{} is down", view.name())),
        text: line(&format!("{} is down since {}{reason}", view.name(), open.started_at)),
        notes: Vec::new(),
        began_at: open.started_at,
        updated: open.started_at,
    })
}

fn over(over: &Over, reason: Option<String>) -> Entry {
    let reason = reason.map(|reason| format!(": {reason}")).unwrap_or_default();
    let (story, name) = (&over.story, &over.story.incident.name);
    Entry {
        incident_id: story.incident.incident_id.clone(),
        title: line(&format!("{name} was down for {}", span(over.lasted()))),
        text: line(&format!("{name} was down from {} to {}{reason}", story.began_at, story.ended_at)),
        notes: Vec::new(),
        began_at: story.began_at,
        updated: story.ended_at,
    }
}

impl Entry {
    /// Puts there what people wrote on it. It is news, so readers are told that the entry changed.
    fn note(&mut self, read: &Months) {
        let notes = read.notes_of(&self.incident_id);
        for note in &notes[notes.len().saturating_sub(NOTES_MAX)..] {
            let kind = note.kind.map(|kind| format!("{}, ", kind.as_str())).unwrap_or_default();
            self.notes.push(line(&format!("{} ({kind}{}): {}", note.at, note.by, note.text)));
            self.updated = self.updated.max(note.at);
        }
    }
}

/// XML takes no control characters, not even escaped.
fn line(text: &str) -> String {
    text::line(text, CHARS_MAX).replace(['\u{fffe}', '\u{ffff}'], "\u{fffd}")
}

#[cfg(test)]
mod tests {
    use super::{ApiView, ENTRIES_MAX, NOTES_MAX};
    use api_health_actors::testkit::MemoryHistory;
    use api_health_core::history::Note;
    use api_health_core::incident::Incident;
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
    fn so_many_entries_are_told_however_many_are_down_and_of_each_the_newest_notes() {
        actix_rt::System::new().block_on(async {
            let down = (0..=ENTRIES_MAX).map(|n| {
                let (incident_id, reason) = (format!("a{n:03}.{}.1", NOW.as_millis()), String::new());
                let incident = Some(Box::new(Incident { incident_id, started_at: NOW, reason, ..Incident::default() }));
                ApiView { status: Status::Down, incident, ..up(&format!("a{n:03}")) }
            });
            let history = MemoryHistory::default();
            for n in 0..=NOTES_MAX {
                let at = NOW.plus(std::time::Duration::from_secs(n as u64));
                let (incident_id, text) = (format!("a007.{}.1", NOW.as_millis()), format!("note {n}."));
                history.put(Note { incident_id, at, by: "ann".into(), kind: None, text }.item().unwrap());
            }
            let (_, _, feed) = Shop::remembering(down.collect(), history).get("/feed.atom").await;
            assert_eq!(texts(&feed, "published").len(), ENTRIES_MAX);
            assert_eq!((feed.matches("(ann): note ").count(), feed.contains("note 0.")), (NOTES_MAX, false));
            assert!(texts(&feed, "id")[1].contains("a007"), "what has news comes first");
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
            down.incident = Some(Box::new(Incident {
                incident_id: "b.1.2".into(),
                started_at: NOW,
                reason,
                ..Incident::default()
            }));
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
