//! Metrics over a real server.

use std::time::Duration;

use api_health_core::assertion::TlsVersion;
use api_health_core::figures::{CertificateEnds, HttpVersion, PhaseSums};
use api_health_core::state::LastProbe;
use api_health_core::view::ApiView;
use api_health_core::{IpFamily, PhaseTimes, ProbeFigures, Status, Verdict};

use crate::testing::{NOW, Shop, up, up_with};

/// An API whose last probe came to this.
fn probed(id: &str, verdict: Verdict) -> ApiView {
    let mut view = up_with(id, |config| config.url = format!("https://{id}.test/x?token=hunter22"));
    view.status = if verdict == Verdict::Fail { Status::Down } else { Status::Up };
    let status_code = Some(if verdict == Verdict::Fail { 503 } else { 200 });
    view.last_probe = Some(LastProbe { at: NOW, verdict, latency_ms: Some(42), status_code, error: None });
    let ms = |ms| Some(Duration::from_millis(ms));
    let mut phases = PhaseSums::default();
    phases.add(&PhaseTimes { resolve: ms(1), connect: ms(2), tls: ms(3), first_byte: ms(4), body: ms(5) });
    let ends =
        CertificateEnds { earliest: NOW.plus(Duration::from_secs(60)), of_chain: NOW.plus(Duration::from_secs(90)) };
    let figures = ProbeFigures {
        phases,
        http_version: Some(HttpVersion::V1_1),
        redirects: 1,
        tls: Some(TlsVersion::V1_3),
        family: Some(IpFamily::Ipv4),
        ..ProbeFigures::default()
    };
    let figures = figures.with_took(Duration::from_millis(42)).with_ends(Some(ends)).with_lengths(Some(17), 17);
    ApiView { figures: Some(figures), ..view }
}

#[test]
fn what_a_probe_measured_has_the_names_of_the_blackbox_exporter() {
    actix_rt::System::new().block_on(async {
        let shop = Shop::with(vec![probed("a", Verdict::Pass), probed("b", Verdict::Fail)]);
        let (status, headers, text) = shop.get("/metrics").await;
        assert_eq!(status, 200);
        assert!(headers.get("content-type").unwrap().to_str().unwrap().starts_with("text/plain; version=0.0.4"));
        let labels = r#"{api_id="a",instance="https://a.test/x?token=***",target="https://a.test/x?token=***""#;
        for line in [
            format!("probe_success{labels}}} 1"),
            format!("probe_duration_seconds{labels}}} 0.042"),
            format!("probe_http_duration_seconds{labels},phase=\"processing\"}} 0.004"),
            format!("probe_http_duration_seconds{labels},phase=\"transfer\"}} 0.005"),
            format!("probe_http_status_code{labels}}} 200"),
            format!("probe_http_version{labels}}} 1.1"),
            format!("probe_http_content_length{labels}}} 17"),
            format!("probe_http_redirects{labels}}} 1"),
            format!("probe_ip_protocol{labels}}} 4"),
            format!("probe_tls_version_info{labels},version=\"TLS 1.3\"}} 1"),
            "api_health_apis{status=\"down\"} 1".to_owned(),
            "api_health_api_up{api_id=\"b\"} 0".to_owned(),
            "api_health_store_available 1".to_owned(),
            "api_health_probes_total{verdict=\"pass\"} 0".to_owned(),
            "api_health_probe_lateness_seconds_bucket{le=\"+Inf\"} 0".to_owned(),
        ] {
            assert!(text.lines().any(|known| known.trim_end_matches(".0") == line), "{line}\n{text}");
        }
        assert!(!text.contains("hunter22"), "{text}");
        let (_, headers, text) =
            shop.get_as("/metrics", &[("Accept", "application/openmetrics-text; version=1.0.0")]).await;
        assert!(headers.get("content-type").unwrap().to_str().unwrap().starts_with("application/openmetrics-text"));
        assert!(text.ends_with("# EOF\n"), "{text}");
        assert!(text.contains("api_health_web_requests_total{route=\"/metrics\",code=\"200\"} 1\n"), "{text}");
    });
}

#[test]
fn open_metrics_name_an_api_for_each_bucket_of_how_long_probes_took() {
    actix_rt::System::new().block_on(async {
        let mut slow = probed("slow", Verdict::Pass);
        slow.figures = slow.figures.map(|figures| figures.with_took(Duration::from_secs(40)));
        let shop = Shop::with(vec![probed("a", Verdict::Pass), slow]);
        let open = [("Accept", "application/openmetrics-text; version=1.0.0")];
        let (_, _, text) = shop.get_as("/metrics", &open).await;
        let name = "api_health_probe_duration_seconds_bucket{le=";
        let told: Vec<&str> = text.lines().filter(|line| line.starts_with(name) && line.contains(" # ")).collect();
        assert_eq!(
            told,
            [
                "api_health_probe_duration_seconds_bucket{le=\"0.05\"} 0 # {api_id=\"a\"} 0.042 1795332600.000",
                "api_health_probe_duration_seconds_bucket{le=\"+Inf\"} 0 # {api_id=\"slow\"} 40 1795332600.000",
            ]
        );
        assert_eq!(text.matches("# TYPE api_health_probe_duration_seconds ").count(), 1, "{text}");
        assert!(!shop.get("/metrics").await.2.contains(" # {"), "the text form of Prometheus has none");
    });
}

#[test]
fn requests_are_counted_by_pattern_and_status_and_paths_that_nobody_knows_are_one() {
    actix_rt::System::new().block_on(async {
        let shop = Shop::with(vec![up("a"), up("b")]);
        for path in ["/apis/a", "/apis/b", "/apis/none", "/nowhere", "/elsewhere", "/badge/a/status.svg"] {
            shop.get(path).await;
        }
        shop.get_as("/", &[("Host", "evil.example")]).await;
        let (_, _, text) = shop.get("/metrics").await;
        let told: Vec<&str> = text.lines().filter(|line| line.starts_with("api_health_web_requests_total")).collect();
        for line in [
            "{route=\"/apis/{id}\",code=\"200\"} 2",
            "{route=\"/apis/{id}\",code=\"404\"} 1",
            "{route=\"none\",code=\"404\"} 2",
            "{route=\"/\",code=\"421\"} 1",
        ] {
            assert!(told.iter().any(|known| known.ends_with(line)), "{line}: {told:#?}");
        }
        assert_eq!(told.len(), 5, "{told:#?}");
    });
}

#[test]
fn what_is_not_known_is_a_gap_and_no_zero() {
    actix_rt::System::new().block_on(async {
        let mut late = probed("late", Verdict::Pass);
        late.late_after = Some(NOW.plus(Duration::ZERO));
        let mut earlier = probed("earlier", Verdict::Pass);
        earlier.figures = None; // an earlier process made that probe
        let never = ApiView { status: Status::Unknown, ..up("never") };
        let off = up_with("off", |config| config.enabled = false);
        let shop = Shop::with(vec![earlier, probed("inconclusive", Verdict::Inconclusive), late, never, off]);
        shop.clock.set(NOW.plus(Duration::from_secs(1)));
        let (_, _, text) = shop.get("/metrics").await;
        assert!(!text.contains("probe_success") && !text.contains("probe_http"), "{text}");
        for gap in ["never", "late", "off"] {
            assert!(!text.contains(&format!("api_health_api_up{{api_id=\"{gap}\"}}")), "{gap}: {text}");
        }
        assert!(text.contains("api_health_api_up{api_id=\"inconclusive\"} 1"), "its confirmed status stays: {text}");
        assert_eq!(shop.get("/probe?target=inconclusive").await.0, 200);
        shop.clock.set(NOW.plus(Duration::from_secs(31)));
        let (_, _, text) = shop.get("/metrics").await;
        assert!(!text.contains("api_id="), "the keeper is not heard of any longer: {text}");
    });
}

#[test]
fn a_job_for_the_blackbox_exporter_finds_the_last_probe_and_nothing_that_is_not_watched() {
    actix_rt::System::new().block_on(async {
        let shop =
            Shop::with(vec![probed("a", Verdict::Pass), up_with("plain", |c| c.url = "http://plain.test".into())]);
        for target in ["a", "https%3A%2F%2Fa.test%2Fx%3Ftoken%3Dhunter22", "https://A.test/x?token=***"] {
            let (status, _, text) = shop.get(&format!("/probe?module=http_2xx&target={target}")).await;
            assert_eq!(status, 200, "{target}: {text}");
            assert!(text.lines().any(|line| line == "probe_success 1.0" || line == "probe_success 1"), "{text}");
        }
        assert_eq!(shop.get("/probe?target=plain.test").await.0, 200);
        for (path, wanted) in [("/probe", 400), ("/probe?target=", 400), ("/probe?target=http://169.254.169.254/", 404)]
        {
            let (status, _, text) = shop.get(path).await;
            assert_eq!(status, wanted, "{path}: {text}");
        }
        let (_, _, text) = shop.get("/sd/prometheus").await;
        let groups: serde_json::Value = serde_json::from_str(&text).unwrap();
        assert_eq!(
            (groups[0]["targets"][0].as_str(), groups[0]["labels"]["url"].as_str()),
            (Some("a"), Some("https://a.test/x?token=***"))
        );
    });
}

#[test]
fn ten_thousand_apis_make_so_many_bytes() {
    actix_rt::System::new().block_on(async {
        let shop = Shop::with((0..1_000).map(|n| probed(&format!("api-{n:04}"), Verdict::Pass)).collect());
        let (_, _, text) = shop.get("/metrics").await;
        let of_apis = text.lines().filter(|line| line.contains("api_id=")).count();
        assert_eq!(of_apis, 1_000 * 22, "14 of their own, 5 phases, the version of TLS, the verdict and its age");
        println!("{} bytes of metrics for each API", text.len() / 1_000);
    });
}
