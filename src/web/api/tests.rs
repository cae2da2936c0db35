//! The JSON API over a real server.

use api_health_core::figures::PhaseSums;
use api_health_core::incident::Incident;
use api_health_core::state::LastProbe;
use api_health_core::view::ApiView;
use api_health_core::{PhaseTimes, ProbeFigures, Secret, Status, Verdict};
use serde_json::Value;

use crate::testing::{NOW, Shop, up, up_with};

fn down(id: &str, reason: &str) -> ApiView {
    let mut view = up_with(id, |config| {
        config.url = "https://shop.test/x?token=hunter22".into();
        config.headers = vec![("Authorization".into(), Secret::new("Bearer s3cretary"))];
        config.body = Some(Secret::new("pa55word"));
        config.tags = vec!["eu".into()];
    });
    let incident_id = format!("{id}.{}.7", NOW.as_millis());
    view.status = Status::Down;
    view.incident =
        Some(Box::new(Incident { incident_id, started_at: NOW, reason: reason.into(), ..Incident::default() }));
    view.last_probe = Some(LastProbe {
        at: NOW,
        verdict: Verdict::Fail,
        latency_ms: Some(12),
        status_code: Some(503),
        error: Some(reason.into()),
    });
    let mut phases = PhaseSums::default();
    phases.add(&PhaseTimes { connect: Some(std::time::Duration::from_millis(3)), ..PhaseTimes::default() });
    view.figures = Some(ProbeFigures { phases, ..ProbeFigures::default() });
    view
}

fn json(text: &str) -> Value {
    serde_json::from_str(text).unwrap_or_else(|error| panic!("{error}: {text}"))
}

#[test]
fn all_apis_come_page_by_page_as_the_filter_wants_them_and_without_secrets() {
    actix_rt::System::new().block_on(async {
        let mut views: Vec<_> = (0..250).map(|n| up(&format!("a{n:03}"))).collect();
        views.push(down("shop", "hunter22 and s3cretary and pa55word"));
        let shop = Shop::with(views);
        let (status, headers, text) = shop.get("/api/v1/summary").await;
        let told = json(&text);
        assert_eq!((status, told["apis"]["total"].as_u64(), told["apis"]["down"].as_u64()), (200, Some(251), Some(1)));
        assert_eq!(told["as_of"], "2026-11-22T07:30:00.000Z");
        let etag = headers.get("etag").unwrap().to_str().unwrap();
        assert!(etag.starts_with("W/\""), "{etag}");
        let (status, _, text) = shop.get_as("/api/v1/summary", &[("If-None-Match", etag)]).await;
        assert_eq!((status, text.as_str()), (304, ""));

        let (mut path, mut ids) = (Some("/api/v1/apis?limit=100".to_owned()), Vec::new());
        while let Some(next) = path {
            let (status, headers, text) = shop.get(&next).await;
            assert_eq!(status, 200, "{text}");
            let page = json(&text);
            ids.extend(page["apis"].as_array().unwrap().iter().map(|api| api["api_id"].as_str().unwrap().to_owned()));
            let link = headers.get("link").map(|link| link.to_str().unwrap().to_owned());
            assert_eq!(link.is_some(), page["next_cursor"].is_string());
            path = link.map(|link| link.trim_start_matches('<').split_once(">; rel=\"next\"").unwrap().0.to_owned());
        }
        assert_eq!((ids.len(), ids[250].as_str()), (251, "shop"));
        assert!(ids.is_sorted());

        for filter in ["state=down", "tag=eu", "q=SHO", "state=down,suspect&tag=eu&q=shop"] {
            let (_, _, text) = shop.get(&format!("/api/v1/apis?{filter}")).await;
            let page = json(&text);
            assert_eq!(page["apis"].as_array().map(Vec::len), Some(1), "{filter}");
            let api = &page["apis"][0];
            assert_eq!(
                (api["state"].as_str(), api["url"].as_str()),
                (Some("down"), Some("https://shop.test/x?token=***"))
            );
            assert_eq!(api["last_probe"]["phases_ms"]["connect"].as_f64(), Some(3.0));
        }
        for path in
            ["/api/v1/apis?state=down", "/api/v1/apis/shop", "/api/v1/incidents", "/api/v1/incidents?format=csv"]
        {
            let (status, _, text) = shop.get(path).await;
            assert_eq!(status, 200);
            for secret in ["hunter22", "s3cretary", "pa55word"] {
                assert!(!text.contains(secret), "{path}: {text}");
            }
            assert!(text.contains("*** and *** and ***"), "{path}: {text}");
        }
    });
}

#[test]
fn errors_say_what_to_write_instead() {
    actix_rt::System::new().block_on(async {
        let shop = Shop::with(vec![up("a")]);
        for (path, wanted, why) in [
            ("/api/v1/apis?limit=5000&state=gone", 400, "off; limit is a whole number from 1 to 1000"),
            ("/api/v1/apis?page=2", 400, "there is no parameter"),
            ("/api/v1/apis/none", 404, "no API of this id is shown here"),
            ("/api/v1/apis/%00%ff", 404, "no API of this id is shown here"),
            ("/api/v1/apis/a/history?step=week", 400, "step is hour, day or month"),
            ("/api/v1/apis/a/history?from=2026-11-23", 400, "from is not before to"),
            ("/api/v1/apis/a/history?from=2020-01-01", 400, "ask for less time, or a wider step"),
            ("/api/v1/apis/a/history", 404, "no history is kept here"),
            ("/api/v1/reports/2026-13", 400, "the month in the path"),
            ("/api/v1/reports/2027-01", 404, "has not begun"),
            ("/api/v1/reports/2026-11", 404, "no history is kept here"),
        ] {
            let (status, headers, text) = shop.get(path).await;
            assert_eq!(status, wanted, "{path}: {text}");
            assert_eq!(headers.get("content-type").unwrap(), "application/problem+json", "{path}");
            let problem = json(&text);
            assert_eq!(
                (problem["status"].as_u64(), problem["type"].as_str()),
                (Some(wanted.into()), Some("about:blank"))
            );
            assert!(problem["detail"].as_str().unwrap().contains(why), "{path}: {text}");
        }
        // What a step would be wide enough for is not said of one that is none.
        let (_, _, text) = shop.get("/api/v1/apis/a/history?step=week&from=2020-01-01").await;
        assert!(!text.contains("more than"), "{text}");
    });
}

#[test]
fn without_history_open_incidents_are_listed_and_nothing_is_public() {
    actix_rt::System::new().block_on(async {
        let shop = Shop::with(vec![up("a"), down("b", "refused"), down("c", "=1+1")]);
        let (_, _, text) = shop.get("/api/v1/incidents?limit=1").await;
        let page = json(&text);
        assert_eq!((page["has_closed"].as_bool(), page["incidents"][0]["api_id"].as_str()), (Some(false), Some("c")));
        let cursor = page["next_cursor"].as_str().unwrap();
        let (_, headers, text) = shop.get(&format!("/api/v1/incidents?format=csv&cursor={cursor}")).await;
        assert_eq!(headers.get("content-type").unwrap(), "text/csv; charset=utf-8; header=present");
        let lines: Vec<&str> = text.lines().collect();
        assert_eq!(lines[0], "incident_id,api_id,name,started_at,ended_at,duration_seconds,reason,notes");
        assert_eq!(
            (lines.len(), lines[1].starts_with("b."), lines[1].ends_with(",refused,")),
            (2, true, true),
            "{text}"
        );
        let (status, _, text) = shop.get("/api/v2/summary.json").await;
        assert_eq!((status, json(&text)["components"].as_array().map(Vec::len)), (200, Some(0)));
    });
}

#[test]
fn the_description_has_each_route_and_each_field() {
    actix_rt::System::new().block_on(async {
        let shop = Shop::with(vec![down("b", "refused")]);
        let (status, _, text) = shop.get("/api/v1/openapi.json").await;
        assert_eq!(status, 200);
        let description = json(&text);
        let paths = description["paths"].as_object().unwrap();
        let sources = [
            include_str!("mod.rs"),
            include_str!("../events.rs"),
            include_str!("../badge.rs"),
            include_str!("../feed.rs"),
        ];
        let routed = sources.iter().flat_map(|source| source.split(".route(\"").skip(1));
        let mut routed: Vec<&str> = routed.filter_map(|rest| rest.split_once('"')).map(|(path, _)| path).collect();
        routed.retain(|path| *path != "/api/v1/openapi.json");
        routed.sort_unstable();
        let mut described: Vec<&str> = paths.keys().map(String::as_str).collect();
        described.sort_unstable();
        assert_eq!(described, routed);
        let schemas = &description["components"]["schemas"];
        for (path, schema) in [
            ("/api/v1/summary", "Summary"),
            ("/api/v1/apis", "Apis"),
            ("/api/v1/apis/b", "Api"),
            ("/api/v1/incidents", "Incidents"),
            ("/badge/b/status.json", "Badge"),
            ("/api/v2/summary.json", "StatuspageSummary"),
            ("/api/v1/apis/none", "Problem"),
        ] {
            let (_, _, text) = shop.get(path).await;
            is_described(&json(&text), &schemas[schema], schemas);
        }
    });
}

/// Each field is described, and what is described is there.
fn is_described(value: &Value, schema: &Value, schemas: &Value) {
    let one_of = schema["oneOf"].as_array().and_then(|all| all.iter().find(|one| one["$ref"].is_string()));
    let schema = one_of.unwrap_or(schema);
    let name = schema["$ref"].as_str().and_then(|name| name.strip_prefix("#/components/schemas/"));
    let schema = name.map_or(schema, |name| &schemas[name]);
    match value {
        Value::Object(fields) => {
            let properties =
                schema["properties"].as_object().unwrap_or_else(|| panic!("{schema} has no fields: {value}"));
            assert_eq!(fields.keys().collect::<Vec<_>>(), properties.keys().collect::<Vec<_>>());
            for (name, field) in fields {
                is_described(field, &properties[name], schemas);
            }
        }
        Value::Array(items) => items.iter().for_each(|item| is_described(item, &schema["items"], schemas)),
        _ => (),
    }
}
