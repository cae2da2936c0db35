//! The first screen: small at any number of APIs. A few are all shown by name; of many, what is not well, and counts of the rest.

use std::collections::HashMap;
use std::sync::Arc;

use actix_web::http::StatusCode;
use actix_web::{HttpRequest, HttpResponse, web};
use api_health_core::view::{ApiView, Condition};
use api_health_core::{Timestamp, text};
use askama::Template;

use super::answer::{Page, Pages};
use super::head::{Head, Place};
use super::query::encoded;
use super::row::{Row, masked, ms, since};
use super::words::{Said, When, more, number};
use super::zone::Look;
use crate::model::Model;
use crate::past;

/// Up to so many APIs are all shown by name, each with its past.
const SMALL: usize = 20;

/// Rows of what is not well.
const TROUBLED_MAX: usize = 100;

/// Groups of one kind.
const GROUPS_MAX: usize = 20;

/// From so many APIs on they are grouped by host too.
const HOSTS_FROM: usize = 2_000;

const CERTIFICATES_MAX: usize = 10;
const SLOWEST_MAX: usize = 5;
const TAG_CHARS_MAX: usize = 40;

#[derive(Template)]
#[template(path = "overview.html")]
struct Overview {
    head: Head,
    said: Said,
    counts: Vec<Count>,
    own: Vec<Own>,
    rows: Vec<Row>,
    is_small: bool,
    /// Troubled ones that are not shown.
    more: Option<String>,
    groupings: Vec<Grouping>,
    certificates: Vec<Row>,
    slowest: Vec<(String, String, String)>,
}

/// How many are in one condition.
#[derive(Debug)]
pub(crate) struct Count {
    pub(crate) condition: Condition,
    pub(crate) n: String,
}

impl Count {
    /// Those of which there are any; down and up in any case.
    pub(crate) fn all(everything: &Look) -> Vec<Self> {
        let of = |condition| everything.counts.get(condition);
        let shown = |condition: &Condition| matches!(condition, Condition::Down | Condition::Up) || of(*condition) > 0;
        let all = Condition::ALL.into_iter().filter(shown);
        all.map(|condition| Self { condition, n: number(of(condition)) }).collect()
    }
}

/// A part of the monitor that is in trouble.
#[derive(Debug)]
pub(crate) struct Own {
    pub(crate) id: String,
    pub(crate) reason: String,
    pub(crate) since: When,
}

impl Own {
    pub(crate) fn all(everything: &Look) -> Vec<Self> {
        let own = everything.snapshot.own.iter();
        own.map(|(id, trouble)| Self {
            id: id.to_string(),
            reason: text::line(&trouble.reason, 240),
            since: When::of(trouble.since, everything),
        })
        .collect()
    }
}

/// APIs by tag or by host, the worst first.
struct Grouping {
    title: &'static str,
    groups: Vec<Group>,
    more: Option<String>,
}

struct Group {
    name: String,
    link: String,
    total: String,
    down: String,
    trouble: String,
    is_down: bool,
}

/// How many APIs bear a name: all, those that are down, and those that are in other trouble.
type Names<'a> = HashMap<&'a str, (usize, usize, usize)>;

impl Grouping {
    fn of(title: &'static str, key: &str, names: Names<'_>) -> Option<Self> {
        let mut all: Vec<_> = names.into_iter().collect();
        all.sort_unstable_by(|(a, (_, a_down, a_other)), (b, (_, b_down, b_other))| {
            (b_down, b_other).cmp(&(a_down, a_other)).then_with(|| a.cmp(b))
        });
        let more = more(all.len(), GROUPS_MAX);
        let groups: Vec<Group> = all
            .into_iter()
            .take(GROUPS_MAX)
            .map(|(name, (total, down, other))| Group {
                name: text::line(name, TAG_CHARS_MAX),
                link: format!("/apis?{key}={}", encoded(name)),
                total: number(total),
                down: number(down),
                trouble: number(other),
                is_down: down > 0,
            })
            .collect();
        (!groups.is_empty()).then_some(Self { title, groups, more })
    }
}

/// What the first screen needs of all APIs, gathered in one pass: a hundred thousand of them lie far apart in memory.
#[derive(Default)]
struct Gathered<'a> {
    shown: Vec<&'a ApiView>,
    tags: Names<'a>,
    hosts: Names<'a>,
    certificates: Vec<&'a ApiView>,
    /// The longest of the last answers.
    slowest: Vec<(u32, &'a ApiView)>,
}

impl<'a> Gathered<'a> {
    fn of(views: &'a [Arc<ApiView>], now: Timestamp) -> Self {
        let (is_small, has_hosts) = (views.len() <= SMALL, views.len() >= HOSTS_FROM);
        let mut gathered = Self::default();
        for view in views {
            let view: &'a ApiView = view;
            let condition = view.condition(now);
            if is_small || condition.is_trouble() {
                gathered.shown.push(view);
            }
            if view.beside.certificate.is_some() && gathered.certificates.len() < CERTIFICATES_MAX {
                gathered.certificates.push(view);
            }
            if let Some(config) = &view.config {
                let count = |names: &mut Names<'a>, name: &'a str| {
                    let (total, down, other) = names.entry(name).or_default();
                    *total += 1;
                    *down += usize::from(condition == Condition::Down);
                    *other += usize::from(condition.is_trouble() && condition != Condition::Down);
                };
                config.tags.iter().for_each(|tag| count(&mut gathered.tags, tag));
                if let Some(host) = host(&config.url).filter(|_| has_hosts) {
                    count(&mut gathered.hosts, host);
                }
            }
            if let Some(latency) = view.last_probe.as_ref().and_then(|probe| probe.latency_ms).filter(|_| !is_small) {
                gathered.note_latency(latency, view);
            }
        }
        gathered
    }

    fn note_latency(&mut self, latency: u32, view: &'a ApiView) {
        let slowest = &mut self.slowest;
        if slowest.len() < SLOWEST_MAX || slowest.last().is_some_and(|(least, _)| *least < latency) {
            let at = slowest.partition_point(|(other, _)| *other >= latency);
            slowest.insert(at, (latency, view));
            slowest.truncate(SLOWEST_MAX);
        }
    }
}

/// The host of a URL.
pub(crate) fn host(url: &str) -> Option<&str> {
    let (_, rest) = url.split_once("://")?;
    let end = rest.find(['/', '?', '#']).unwrap_or(rest.len());
    Some(&rest[..end])
}

pub(crate) async fn page(request: HttpRequest, model: web::Data<Model>, pages: web::Data<Pages>) -> HttpResponse {
    pages.answer(&request, &model, |everything| make(everything, &model)).await
}

async fn make(everything: Look, model: &Model) -> Page {
    let now = everything.now;
    let views = &everything.views;
    let is_small = views.len() <= SMALL;
    let Gathered { mut shown, tags, hosts, certificates, slowest } = Gathered::of(views, now);
    // What is not well by how long it has been so, all else by name.
    shown.sort_by_cached_key(|view| {
        let condition = view.condition(now);
        let since = condition.is_trouble().then(|| since(view, now));
        (condition, since, if since.is_some() { String::new() } else { view.name().to_lowercase() })
    });
    let more = more(shown.len(), TROUBLED_MAX.max(SMALL));
    shown.truncate(TROUBLED_MAX.max(SMALL));
    let mut rows = Vec::with_capacity(shown.len());
    for view in shown {
        let row = Row::of(view, &everything);
        rows.push(if is_small { row.with(&past::of(model, view, now).await.into(), &everything) } else { row });
    }
    let groupings = [Grouping::of("Tags", "tag", tags), Grouping::of("Hosts", "q", hosts)];
    let name = |view: &ApiView| masked(view, view.name(), TAG_CHARS_MAX);
    let slowest = slowest.into_iter().map(|(latency, view)| (view.api_id.to_string(), name(view), ms(latency)));
    Page::of(
        StatusCode::OK,
        &Overview {
            head: Head::of(&everything, &model.site.about, "api-health", Place::Overview),
            said: Said::of(&everything),
            counts: Count::all(&everything),
            own: Own::all(&everything),
            rows,
            is_small,
            more,
            groupings: groupings.into_iter().flatten().collect(),
            certificates: certificates.into_iter().map(|view| Row::of(view, &everything)).collect(),
            slowest: slowest.collect(),
        },
    )
}
