//! One API in the names of the blackbox exporter, from its last probe.

use std::fmt;

use api_health_core::assertion::TlsVersion;
use api_health_core::observation::Phase;
use api_health_core::outcome::Verdict;
use api_health_core::view::{ApiView, Condition};
use api_health_core::{ApiConfig, IpFamily, ProbeFigures, Protocol, Timestamp};
use prometheus_client::encoding::DescriptorEncoder;
use prometheus_client::metrics::MetricType;

use crate::shown;

/// Which labels series have.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Labels {
    /// The id, and the URL as `instance` and as `target`: dashboards use either.
    OfApi,
    /// None: whoever scrapes adds them.
    None,
}

/// The last probe of an API that is watched, where it told something of it.
struct Last<'a> {
    config: &'a ApiConfig,
    verdict: Verdict,
    status_code: Option<u16>,
    figures: ProbeFigures,
}

impl<'a> Last<'a> {
    fn of(view: &'a ApiView, now: Timestamp) -> Option<Self> {
        let (config, probe) = (view.config.as_deref()?, view.last_probe.as_ref()?);
        let is_watched = !matches!(view.condition(now), Condition::Off | Condition::Unwatched);
        let tells = is_watched && probe.verdict != Verdict::Inconclusive;
        // Without figures an earlier process made it, and what it measured is not known any more.
        let figures = view.figures.filter(|_| tells)?;
        Some(Self { config, verdict: probe.verdict, status_code: probe.status_code, figures })
    }

    fn is_http(&self) -> bool {
        self.config.protocol() == Protocol::Http
    }

    /// Where it is asked by HTTP.
    fn of_http(&self, value: impl FnOnce() -> f64) -> Option<f64> {
        self.is_http().then(value)
    }

    /// The status was as expected, and something else of the answer was not.
    fn fails_by_assertion(&self) -> bool {
        let is_expected = self.status_code.is_some_and(|code| self.config.expected_status.contains(code));
        self.verdict == Verdict::Fail && is_expected
    }
}

type Value = fn(&Last<'_>) -> Option<f64>;

const fn one_if(is_so: bool) -> f64 {
    if is_so { 1.0 } else { 0.0 }
}

/// Name, meaning, value.
const GAUGES: [(&str, &str, Value); 14] = [
    ("probe_success", "Whether the last probe was a pass; absent while nothing can be told", |last| {
        Some(one_if(last.verdict == Verdict::Pass))
    }),
    ("probe_duration_seconds", "How long the last probe took", |last| Some(last.figures.took().as_secs_f64())),
    ("probe_timeout_seconds", "How long a probe may take", |last| Some(last.config.timeout.as_secs_f64())),
    ("probe_dns_lookup_time_seconds", "How long the name was looked up; 0 for an address", |last| {
        Some(last.figures.phases.get(Phase::Resolve).unwrap_or_default().as_secs_f64())
    }),
    ("probe_ip_protocol", "Which version of IP was used: 4 or 6", |last| match last.figures.family? {
        IpFamily::Any => None,
        IpFamily::Ipv4 => Some(4.0),
        IpFamily::Ipv6 => Some(6.0),
    }),
    ("probe_http_status_code", "The status code of the answer; 0 without one", |last| {
        last.of_http(|| last.status_code.unwrap_or_default().into())
    }),
    ("probe_http_redirects", "Redirects that were followed", |last| last.of_http(|| last.figures.redirects.into())),
    ("probe_http_ssl", "Whether the last hop was by TLS", |last| last.of_http(|| one_if(last.figures.tls.is_some()))),
    ("probe_http_version", "Which version of HTTP the answer had; 0 without one", |last| {
        last.of_http(|| last.figures.http_version.map_or(0.0, api_health_core::figures::HttpVersion::number))
    }),
    ("probe_http_content_length", "Bytes of the body, as the answer says; -1 where it does not", |last| {
        last.of_http(|| last.figures.content_length.map_or(-1.0, f64::from))
    }),
    ("probe_http_uncompressed_body_length", "Bytes of the body that were read", |last| {
        last.of_http(|| last.figures.body_bytes.into())
    }),
    ("probe_failed_due_to_regex", "Whether it failed by an assertion", |last| {
        last.of_http(|| one_if(last.fails_by_assertion()))
    }),
    ("probe_ssl_earliest_cert_expiry", "When the first of the certificates ends that were shown", |last| {
        last.figures.ends().map(|ends| seconds(ends.earliest))
    }),
    (
        "probe_ssl_last_chain_expiry_timestamp_seconds",
        "When the first of those certificates ends that the chain needs",
        |last| last.figures.ends().map(|ends| seconds(ends.of_chain)),
    ),
];

/// As the blackbox exporter calls the phases of an exchange.
const PHASES: [(Phase, &str); 5] = [
    (Phase::Resolve, "resolve"),
    (Phase::Connect, "connect"),
    (Phase::Tls, "tls"),
    (Phase::FirstByte, "processing"),
    (Phase::Body, "transfer"),
];

#[expect(clippy::cast_precision_loss, reason = "a time needs no more than 53 bits")]
pub(super) fn seconds(at: Timestamp) -> f64 {
    at.as_millis() as f64 / 1_000.0
}

/// The series of these APIs, one name after the other as the text form wants it.
pub(super) fn encode(
    encoder: &mut DescriptorEncoder<'_>,
    views: &[&ApiView],
    now: Timestamp,
    labels: Labels,
) -> fmt::Result {
    let of = |view: &'_ ApiView| -> Option<[String; 2]> {
        let url = shown::url(view.config.as_deref()?);
        Some([view.api_id.to_string(), url])
    };
    let lasts: Vec<(Last<'_>, [String; 2])> =
        views.iter().filter_map(|view| Some((Last::of(view, now)?, of(view)?))).collect();
    for (name, help, value) in GAUGES {
        let mut wanted = lasts.iter().filter_map(|(last, named)| Some((value(last)?, named))).peekable();
        if wanted.peek().is_none() {
            continue;
        }
        let mut metric = encoder.encode_descriptor(name, help, None, MetricType::Gauge)?;
        for (value, named) in wanted {
            metric.encode_family(&labels.with(named, None))?.encode_gauge(&value)?;
        }
    }
    let mut http = lasts.iter().filter(|(last, _)| last.is_http()).peekable();
    if http.peek().is_some() {
        let help = "How long each phase took, over all redirects";
        let mut metric = encoder.encode_descriptor("probe_http_duration_seconds", help, None, MetricType::Gauge)?;
        for (last, named) in http {
            for (phase, word) in PHASES {
                let took = last.figures.phases.get(phase).unwrap_or_default().as_secs_f64();
                metric.encode_family(&labels.with(named, Some(("phase", word))))?.encode_gauge(&took)?;
            }
        }
    }
    let mut tls = lasts.iter().filter_map(|(last, named)| Some((last.figures.tls?, named))).peekable();
    if tls.peek().is_some() {
        let help = "The version of TLS that both sides agreed to";
        let mut metric = encoder.encode_descriptor("probe_tls_version_info", help, None, MetricType::Gauge)?;
        for (version, named) in tls {
            let word = match version {
                TlsVersion::V1_2 => "TLS 1.2",
                TlsVersion::V1_3 => "TLS 1.3",
            };
            metric.encode_family(&labels.with(named, Some(("version", word))))?.encode_gauge(&1.0)?;
        }
    }
    Ok(())
}

impl Labels {
    fn with<'a>(
        self,
        [api_id, url]: &'a [String; 2],
        more: Option<(&'static str, &'a str)>,
    ) -> Vec<(&'static str, &'a str)> {
        let of_api = [("api_id", &**api_id), ("instance", &**url), ("target", &**url)];
        of_api.into_iter().filter(|_| self == Self::OfApi).chain(more).collect()
    }
}
