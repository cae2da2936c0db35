//! A real Prometheus scrapes `/metrics` and `/probe`, and everything that dashboards for the blackbox exporter ask it for has an answer.
//!
//! It belongs to the crate of the web side, which is built in a minute.

use std::fs;
use std::io::Write as _;
use std::net::TcpListener;
use std::path::PathBuf;
use std::process::{Child, Command, Stdio};
use std::sync::Arc;
use std::time::Duration;

use api_health_actors::board::Board;
use api_health_actors::ports::Clock;
use api_health_actors::testkit;
use api_health_core::assertion::TlsVersion;
use api_health_core::figures::{CertificateEnds, HttpVersion, PhaseSums};
use api_health_core::state::LastProbe;
use api_health_core::view::ApiView;
use api_health_core::{IpFamily, PhaseTimes, ProbeFigures, Status, Timestamp, Verdict};
use api_health_web::model::{About, NoneElsewhere};
use api_health_web::{Access, Limits, Listen, Server, Site, start};
use tokio::time::{sleep, timeout};

const NOW: Timestamp = Timestamp::from_millis(1_795_332_600_000);

/// Set where everything that the machine has must be used.
const MUST_RUN: &str = "API_HEALTH_TESTS_MUST_RUN";

struct Still;

impl Clock for Still {
    fn now(&self) -> Timestamp {
        NOW
    }
}

/// An API by HTTPS whose last probe came to this.
fn probed(id: &str, verdict: Verdict) -> ApiView {
    let mut config = testkit::api(id, 60);
    config.url = format!("https://{id}.test/health");
    let mut view = testkit::board::view(config, NOW);
    view.status = if verdict == Verdict::Fail { Status::Down } else { Status::Up };
    let status_code = Some(if verdict == Verdict::Fail { 503 } else { 200 });
    view.last_probe = Some(LastProbe { at: NOW, verdict, latency_ms: Some(42), status_code, error: None });
    let ms = |ms| Some(Duration::from_millis(ms));
    let mut phases = PhaseSums::default();
    phases.add(&PhaseTimes { resolve: ms(1), connect: ms(2), tls: ms(3), first_byte: ms(4), body: ms(5) });
    let end = NOW.plus(Duration::from_secs(40 * 24 * 3_600));
    let figures = ProbeFigures {
        phases,
        http_version: Some(HttpVersion::V1_1),
        tls: Some(TlsVersion::V1_3),
        family: Some(IpFamily::Ipv4),
        ..ProbeFigures::default()
    };
    let figures = figures.with_took(Duration::from_millis(42)).with_lengths(Some(17), 17);
    ApiView { figures: Some(figures.with_ends(Some(CertificateEnds { earliest: end, of_chain: end }))), ..view }
}

fn serve() -> Server {
    let board = Arc::new(Board::default());
    let views =
        vec![probed("cart", Verdict::Fail), probed("quiet", Verdict::Inconclusive), probed("shop", Verdict::Pass)];
    testkit::board::show(&board, views, Vec::new(), NOW);
    let site = Site {
        board,
        stats: Arc::default(),
        history: None,
        clock: Arc::new(Still),
        elsewhere: Arc::new(NoneElsewhere),
        about: About { version: "1.2.3".into(), ..About::default() },
    };
    let listen =
        Listen { addresses: vec![([127, 0, 0, 1], 0).into()], access: Access::default(), limits: Limits::default() };
    start(site, &listen).expect("a free port")
}

/// A program of Debian's `prometheus`, where `tests/setup/install` put it, or of this machine; `None`: it is skipped, which is said.
fn tool(name: &str) -> Option<PathBuf> {
    let target = concat!(env!("CARGO_MANIFEST_DIR"), "/../../target/test-tools");
    let folder = std::env::var_os("API_HEALTH_TEST_TOOLS").map_or_else(|| target.into(), PathBuf::from);
    let installed = folder.join("prometheus/usr/bin").join(name);
    let path = std::env::var_os("PATH").unwrap_or_default();
    let of_machine = std::env::split_paths(&path).map(|folder| folder.join(name));
    let found = std::iter::once(installed).chain(of_machine).find(|path| path.exists());
    if found.is_none() {
        assert!(std::env::var_os(MUST_RUN).is_none(), "{name} is not there, and {MUST_RUN} is set");
        // Not eprintln!, which a test harness keeps to itself when the test passes.
        let _ = writeln!(std::io::stderr(), "skipped: {name} is not there; tests/setup/install fetches it");
    }
    found
}

async fn get(url: String) -> (u16, String) {
    let mut response = awc::Client::default().get(url).send().await.expect("an answer");
    let body = response.body().limit(8 * 1024 * 1024).await.expect("a whole answer");
    (response.status().as_u16(), String::from_utf8_lossy(&body).into_owned())
}

#[test]
fn promtool_finds_nothing_to_say_of_the_metrics() {
    let Some(promtool) = tool("promtool") else { return };
    actix_rt::System::new().block_on(async {
        let server = serve();
        for path in ["/metrics", "/probe?target=shop"] {
            let (status, text) = get(format!("http://{}{path}", server.addresses()[0])).await;
            assert_eq!(status, 200);
            let mut check = Command::new(&promtool)
                .args(["check", "metrics"])
                .stdin(Stdio::piped())
                .stdout(Stdio::piped())
                .stderr(Stdio::piped())
                .spawn()
                .expect("promtool starts");
            check.stdin.take().expect("a pipe").write_all(text.as_bytes()).expect("it reads");
            let output = check.wait_with_output().expect("it ends");
            let said = [output.stdout, output.stderr].concat();
            assert!(output.status.success() && said.is_empty(), "{path}: {}", String::from_utf8_lossy(&said));
        }
    });
}

/// Ends with the test.
struct Prometheus {
    child: Child,
    address: String,
    _folder: tempfile::TempDir,
}

impl Drop for Prometheus {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

impl Prometheus {
    fn scraping(program: PathBuf, server: &Server) -> Self {
        let folder = tempfile::tempdir().expect("a folder");
        let ours = server.addresses()[0];
        // The second job is one for the blackbox exporter, of which one address was changed.
        let config = format!(
            r#"
global: {{ scrape_interval: 1s, scrape_timeout: 1s }}
scrape_configs:
- job_name: api-health
  honor_labels: true
  static_configs: [{{ targets: ["{ours}"] }}]
- job_name: blackbox
  metrics_path: /probe
  params: {{ module: [http_2xx] }}
  static_configs: [{{ targets: ["https://shop.test/health", "https://cart.test/health", "https://quiet.test/health"] }}]
  relabel_configs:
  - {{ source_labels: [__address__], target_label: __param_target }}
  - {{ source_labels: [__param_target], target_label: instance }}
  - {{ source_labels: [__param_target], target_label: target }}
  - {{ target_label: __address__, replacement: "{ours}" }}
- job_name: discovered
  metrics_path: /probe
  http_sd_configs: [{{ url: "http://{ours}/sd/prometheus" }}]
  relabel_configs:
  - {{ source_labels: [__address__], target_label: __param_target }}
  - {{ source_labels: [url], target_label: instance }}
  - {{ target_label: __address__, replacement: "{ours}" }}
"#
        );
        fs::write(folder.path().join("prometheus.yml"), config).expect("it is written");
        let port = TcpListener::bind("127.0.0.1:0").and_then(|listener| listener.local_addr()).expect("a port").port();
        let address = format!("127.0.0.1:{port}");
        let argument = |name: &str, value: &str| format!("--{name}={value}");
        let child = Command::new(program)
            .args([
                argument("config.file", &folder.path().join("prometheus.yml").to_string_lossy()),
                argument("storage.tsdb.path", &folder.path().join("data").to_string_lossy()),
                argument("web.listen-address", &address),
                argument("log.level", "error"),
            ])
            .stdout(Stdio::null())
            .spawn()
            .expect("prometheus starts");
        Self { child, address, _folder: folder }
    }

    /// The labels and values of what an expression finds now; `None`: it does not answer yet.
    async fn ask(&self, expression: &str) -> Option<Vec<serde_json::Value>> {
        let encoded: String = expression.bytes().map(|byte| format!("%{byte:02X}")).collect();
        let url = format!("http://{}/api/v1/query?query={encoded}", self.address);
        let mut response = awc::Client::default().get(url).send().await.ok()?;
        let body = response.body().await.ok()?;
        let answer: serde_json::Value = serde_json::from_slice(&body).ok()?;
        if answer["status"] == "error" {
            assert_ne!(answer["errorType"], "bad_data", "{expression}: {answer}");
            return None;
        }
        answer["data"]["result"].as_array().cloned()
    }

    async fn finds(&self, expression: &str) -> Vec<serde_json::Value> {
        let found = async {
            loop {
                match self.ask(expression).await {
                    Some(found) if !found.is_empty() => return found,
                    _ => sleep(Duration::from_millis(200)).await,
                }
            }
        };
        timeout(Duration::from_secs(60), found).await.unwrap_or_else(|_| panic!("nothing is found by {expression}"))
    }
}

/// What panels and rules for the blackbox exporter ask for, by the two labels that they use.
const EXPRESSIONS: [&str; 34] = [
    // Overviews of all targets.
    r#"probe_success{job=~"blackbox"}"#,
    r#"sum(probe_success{job=~"blackbox"})"#,
    r#"count(probe_success{job=~"blackbox"})"#,
    r#"count(probe_success{job=~"blackbox"} == 0)"#,
    r#"avg(probe_success{job=~"blackbox"})"#,
    r#"avg by (instance) (probe_success{job=~"blackbox"})"#,
    r#"max by (instance) (probe_http_status_code{job=~"blackbox"})"#,
    r#"max by (instance, version) (probe_tls_version_info{job=~"blackbox"})"#,
    r#"min by (instance) (probe_ssl_last_chain_expiry_timestamp_seconds{job=~"blackbox"}) - time()"#,
    r#"min by (instance) (probe_ssl_earliest_cert_expiry{job=~"blackbox"}) - time()"#,
    r#"avg by (instance) (probe_duration_seconds{job=~"blackbox"})"#,
    r#"avg(probe_duration_seconds{job=~"blackbox"})"#,
    r#"max by (instance) (probe_http_redirects{job=~"blackbox"})"#,
    // One target.
    r#"probe_duration_seconds{instance=~"https://shop.test/health"}"#,
    r#"probe_duration_seconds{target=~"https://shop.test/health"}"#,
    r#"probe_http_duration_seconds{instance=~"https://shop.test/health"}"#,
    r#"sum by (phase) (probe_http_duration_seconds{instance="https://shop.test/health", job="blackbox"})"#,
    r#"avg by (phase) (avg_over_time(probe_http_duration_seconds{instance="https://shop.test/health"}[1m]))"#,
    r#"sum by (instance) (probe_http_duration_seconds{job="blackbox"})"#,
    r#"probe_success{instance=~"https://shop.test/health"}"#,
    r#"probe_http_status_code{instance=~"https://shop.test/health"}"#,
    r#"probe_http_version{instance=~"https://shop.test/health"}"#,
    r#"probe_http_ssl{instance=~"https://shop.test/health"}"#,
    r#"probe_ssl_earliest_cert_expiry{instance=~"https://shop.test/health"} - time()"#,
    r#"probe_dns_lookup_time_seconds{instance=~"https://shop.test/health"}"#,
    r#"avg(probe_dns_lookup_time_seconds{instance=~"https://shop.test/health"})"#,
    r#"probe_ip_protocol{instance=~"https://shop.test/health"}"#,
    r#"probe_http_content_length{instance=~"https://shop.test/health"}"#,
    r#"probe_http_uncompressed_body_length{instance=~"https://shop.test/health"}"#,
    r#"avg_over_time(probe_success{instance=~"https://shop.test/health"}[5m]) * 100"#,
    // Rules.
    r#"probe_success == 0"#,
    r#"avg_over_time(probe_success[1m]) * 100 < 99.9"#,
    r#"probe_failed_due_to_regex"#,
    r#"(probe_ssl_earliest_cert_expiry - time()) / 86400 < 366"#,
];

#[test]
fn all_that_dashboards_of_the_blackbox_exporter_ask_for_is_found() {
    let Some(program) = tool("prometheus") else { return };
    actix_rt::System::new().block_on(async {
        let server = serve();
        let prometheus = Prometheus::scraping(program, &server);
        for job in ["api-health", "blackbox", "discovered"] {
            prometheus.finds(&format!("up{{job=\"{job}\"}} == 1")).await;
        }
        for expression in EXPRESSIONS {
            prometheus.finds(expression).await;
        }
        for own in [
            "api_health_build_info",
            "api_health_apis",
            "api_health_api_up",
            "api_health_probe_lateness_seconds_bucket",
        ] {
            prometheus.finds(own).await;
        }
        // By each way, both labels lead to the same API.
        for job in ["api-health", "blackbox"] {
            let url = r#"instance="https://cart.test/health",target="https://cart.test/health""#;
            let down = prometheus.finds(&format!("probe_success{{job=\"{job}\",{url}}}")).await;
            assert_eq!((down.len(), down[0]["value"][1].as_str()), (1, Some("0")), "{job}");
        }
        let gap = prometheus.ask(r#"probe_success{instance="https://quiet.test/health"}"#).await;
        assert_eq!(gap, Some(Vec::new()), "nothing can be told of it");
    });
}
