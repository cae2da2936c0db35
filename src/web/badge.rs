//! Badges: one fact of an API as a small picture, or in the form that shields.io makes one from.

use std::time::Duration;

use actix_web::http::header;
use actix_web::{HttpRequest, HttpResponse, web};
use api_health_core::Timestamp;
use api_health_core::view::{ApiView, Condition};
use askama::Template;

use crate::api::answer::{Data, everything, view_for};
use crate::api::problem::Problem;
use crate::model::{Everything, Model};
use crate::{past, shown};

/// So long others may keep a badge.
const CACHE_SECONDS: u64 = 60;

const DAY: Duration = Duration::from_secs(24 * 3_600);

/// Colours with white letters on them, told apart in each colour vision (and each has its word beside).
const UP: &str = "#00648F";
const DOWN: &str = "#A1172E";
const MAINTENANCE: &str = "#6F0AC2";
const UNKNOWN: &str = "#5F6368";
const SUSPECT: &str = "#8A5A12";

/// What a badge tells.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Fact {
    Status,
    /// Of so many days.
    Uptime(u32),
    P95,
    Certificate,
}

impl Fact {
    const ALL: [(&'static str, Self); 6] = [
        ("status", Self::Status),
        ("uptime-7d", Self::Uptime(7)),
        ("uptime-30d", Self::Uptime(30)),
        ("uptime-90d", Self::Uptime(90)),
        ("p95", Self::P95),
        ("certificate", Self::Certificate),
    ];
}

pub(crate) fn routes(config: &mut web::ServiceConfig) {
    config.route("/badge/{api_id}/{badge}", web::get().to(badge));
}

/// A badge in the form of shields.io.
#[derive(Debug, serde::Serialize, utoipa::ToSchema)]
#[serde(rename_all = "camelCase")]
pub(crate) struct Badge {
    /// Always 1.
    schema_version: u8,
    label: String,
    message: String,
    color: &'static str,
    /// It is down.
    is_error: bool,
    cache_seconds: u64,
}

#[derive(Template)]
#[template(path = "badge.svg", escape = "html")]
struct Picture<'a> {
    badge: &'a Badge,
    label_width: usize,
    message_width: usize,
}

/// One fact of an API as a badge: `status`, `uptime-7d`, `uptime-30d`, `uptime-90d`, `p95` or `certificate`, with `.svg` or `.json`.
#[utoipa::path(get, path = "/badge/{api_id}/{badge}", params(
    ("api_id" = String, Path), ("badge" = String, Path, description = "As `status.svg` or `uptime-30d.json`"),
), responses(
    (status = 200, content((Badge = "application/json"), (String = "image/svg+xml"))),
    (status = 404, body = Problem, content_type = "application/problem+json"),
    (status = 503, body = Problem, content_type = "application/problem+json"),
))]
pub(crate) async fn badge(
    request: HttpRequest,
    path: web::Path<(String, String)>,
    model: Data,
) -> Result<HttpResponse, Problem> {
    let (api_id, named) = path.into_inner();
    let (name, form) = named.rsplit_once('.').unwrap_or_default();
    let fact = Fact::ALL.into_iter().find(|(known, _)| *known == name).filter(|_| matches!(form, "svg" | "json"));
    let (_, fact) = fact.ok_or_else(|| {
        let names = Fact::ALL.map(|(name, _)| name).join(", ");
        Problem::not_found(format!("there is no such badge; there are {names}, each with .svg or .json behind it"))
    })?;
    let everything = everything(&model).await?;
    let view = view_for(&request, &everything, &api_id)?;
    let badge = tell(&model, &everything, view, fact).await;
    let mut response = HttpResponse::Ok();
    response.insert_header((
        header::CACHE_CONTROL,
        format!("{}max-age={CACHE_SECONDS}", if shown::is_public(view) { "" } else { "private, " }),
    ));
    // A badge is made to stand on other sites; of what is not public they get none.
    response.insert_header((header::CROSS_ORIGIN_RESOURCE_POLICY, "cross-origin"));
    if form == "json" {
        return Ok(response.json(&badge));
    }
    let (label_width, message_width) = (width(&badge.label), width(&badge.message));
    let picture = Picture { badge: &badge, label_width, message_width }.render();
    let picture = picture.map_err(|error| {
        tracing::error!(%error, "a badge could not be made");
        Problem::unavailable("this badge could not be made; the log says why")
    })?;
    Ok(response.content_type("image/svg+xml").body(picture))
}

async fn tell(model: &Model, everything: &Everything, view: &ApiView, fact: Fact) -> Badge {
    let now = everything.now;
    let back = |days: u32| {
        let millis = i64::try_from((DAY * days).as_millis()).unwrap_or_default();
        Timestamp::from_millis(now.as_millis() - millis)..now
    };
    let (label, message, color) = match fact {
        Fact::Status if everything.is_stale() => (view.name().to_owned(), "not known".to_owned(), UNKNOWN),
        Fact::Status => {
            let condition = view.condition(now);
            (view.name().to_owned(), condition.word().to_owned(), colour(condition))
        }
        Fact::Uptime(days) => {
            let whole = past::of(model, view, now).await.ok().map(|past| past.whole(&back(days)));
            let (message, color) = match whole.and_then(|whole| whole.times.uptime()) {
                Some(share) => (share.to_string(), if share.millionths() >= 990_000 { UP } else { DOWN }),
                None => ("not known".into(), UNKNOWN),
            };
            (format!("uptime {days} d"), message, color)
        }
        Fact::P95 => {
            let latency = past::of(model, view, now).await.ok().and_then(|past| past.whole(&back(1)).latency);
            match latency {
                Some(spread) => ("p95 24 h".into(), format!("{:.0} ms", spread.p95), UP),
                None => ("p95 24 h".into(), "not known".into(), UNKNOWN),
            }
        }
        Fact::Certificate => {
            let ends = view.figures.and_then(|figures| figures.ends()).map(|ends| ends.earliest);
            let (message, color) = match ends {
                Some(ends) if ends <= now => ("over".into(), DOWN),
                Some(ends) => {
                    let days = ends.since(now).as_secs() / DAY.as_secs();
                    let color = if view.beside.certificate.is_some() { SUSPECT } else { UP };
                    (if days == 1 { "1 day left".into() } else { format!("{days} days left") }, color)
                }
                None => ("not known".into(), UNKNOWN),
            };
            ("certificate".into(), message, color)
        }
    };
    Badge { schema_version: 1, label, message, color, is_error: color == DOWN, cache_seconds: CACHE_SECONDS }
}

const fn colour(condition: Condition) -> &'static str {
    match condition {
        Condition::Up => UP,
        Condition::Down => DOWN,
        Condition::Maintenance => MAINTENANCE,
        Condition::Suspect => SUSPECT,
        Condition::Unwatched | Condition::Unclear | Condition::Unknown | Condition::Off => UNKNOWN,
    }
}

/// Of a text in pixels. The picture fits each into its place, whatever the letters are.
fn width(text: &str) -> usize {
    text.chars().count().min(60) * 7 + 10
}

#[cfg(test)]
mod tests {
    use api_health_core::figures::CertificateEnds;
    use api_health_core::{ProbeFigures, Status};

    use super::*;
    use crate::testing::{NOW, Shop, up, up_with};

    #[test]
    fn a_badge_tells_its_fact_as_a_picture_and_for_shields() {
        actix_rt::System::new().block_on(async {
            let mut down = up_with("b", |config| config.name = "<Shop> & \"Co\"".into());
            down.status = Status::Down;
            let ends = CertificateEnds { earliest: NOW.plus(DAY * 13), of_chain: NOW };
            down.figures = Some(ProbeFigures::default().with_ends(Some(ends)));
            let shop = Shop::with(vec![up("a"), down]);
            let (status, headers, text) = shop.get("/badge/b/status.json").await;
            let told: serde_json::Value = serde_json::from_str(&text).unwrap();
            assert_eq!((status, told["schemaVersion"].as_u64()), (200, Some(1)));
            assert_eq!((told["message"].as_str(), told["isError"].as_bool()), (Some("Down"), Some(true)));
            assert_eq!(headers.get("cache-control").unwrap(), "private, max-age=60");
            let (_, headers, picture) = shop.get("/badge/b/status.svg").await;
            assert_eq!(headers.get("content-type").unwrap(), "image/svg+xml");
            assert!(picture.contains("&#60;Shop&#62;") && !picture.contains("<Shop>"), "{picture}");
            for (path, message) in [
                ("/badge/a/status.json", "\"Up\""),
                ("/badge/b/certificate.json", "\"13 days left\""),
                ("/badge/a/certificate.json", "\"not known\""),
                ("/badge/a/uptime-90d.json", "\"not known\""),
                ("/badge/a/p95.json", "\"not known\""),
            ] {
                let (status, _, text) = shop.get(path).await;
                assert!(status == 200 && text.contains(message), "{path}: {text}");
            }
            for (path, why) in [
                ("/badge/none/status.svg", "no API of this id"),
                ("/badge/a/status.gif", "there is no such badge"),
                ("/badge/a/status", "uptime-90d, p95"),
            ] {
                let (status, _, text) = shop.get(path).await;
                assert!(status == 404 && text.contains(why), "{path}: {text}");
            }
        });
    }
}
