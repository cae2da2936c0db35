//! The endpoints of AWS: the way out to each, and the time that their answers tell.

use std::sync::Arc;
use std::time::Duration;

use api_health_core::{Method, Timestamp};
use aws_config::SdkConfig;
use aws_smithy_types::date_time::{DateTime, Format};
use aws_types::service_config::ServiceConfigKey;
use futures_util::FutureExt;
use futures_util::future::join_all;
use url::Url;

use crate::app::App;
use crate::aws;
use crate::cli::checks::Check;
use crate::cli::doctor::network::{REACH_TIMEOUT, phases, unreachable};
use crate::cli::doctor::report::Finding;
use crate::cli::text;
use crate::probe::{Client, Request};

/// A clock that is off by so much is told of.
const SKEW_WARNS: i64 = 60;
/// AWS takes a signature for 5 minutes before and after its own time.
const SKEW_FAILS: i64 = 300;

/// The endpoint that an SDK finds for a region: each of them has resolver and parameters of its own kind.
macro_rules! of_the_sdk {
    ($sdk:ident, $config:expr) => {{
        use $sdk::config::endpoint::{DefaultResolver, Params, ResolveEndpoint};
        let config: &SdkConfig = $config;
        let params = Params::builder()
            .set_region(config.region().map(ToString::to_string))
            .set_use_fips(Some(config.use_fips().unwrap_or_default()))
            .set_use_dual_stack(Some(config.use_dual_stack().unwrap_or_default()))
            .build()
            .map_err(|error| error.to_string());
        params.and_then(|params| {
            let found = DefaultResolver::new().resolve_endpoint(&params).now_or_never();
            let found = found.ok_or("it is not known at once")?.map_err(|error| error.to_string())?;
            Ok(found.url().to_owned())
        })
    }};
}

/// Where calls go: what somebody set, by `AWS_ENDPOINT_URL` and its like or in the AWS config files (the service's own wins), or
/// else what the SDK finds for the region.
fn url_of(check: Check, config: &SdkConfig) -> Result<Url, String> {
    let service = if check == Check::SnsEndpoint { "SNS" } else { "DynamoDB" };
    let key = ServiceConfigKey::builder().service_id(service).env("AWS_ENDPOINT_URL").profile("endpoint_url").build();
    let of_service = config.service_config().zip(key.ok()).and_then(|(all, key)| all.load_config(key));
    let url = match (of_service.or_else(|| config.endpoint_url().map(str::to_owned)), check) {
        (Some(url), _) => url,
        (None, Check::SnsEndpoint) => of_the_sdk!(aws_sdk_sns, config)?,
        (None, _) => of_the_sdk!(aws_sdk_dynamodb, config)?,
    };
    let url = Url::parse(&url).ok().filter(Url::has_host);
    url.ok_or_else(|| "AWS_ENDPOINT_URL or its like is not a URL".into())
}

/// Looks at both endpoints, as far as they are used, and at the clock by what they answer.
pub(super) async fn examine(app: &App, dynamodb: Option<SdkConfig>, sns: Option<SdkConfig>) -> Vec<Finding> {
    let dynamodb = dynamodb.filter(|config| aws::region(config).is_ok());
    let used = [(Check::DynamodbEndpoint, &dynamodb), (Check::SnsEndpoint, &sns)];
    let reached = used.into_iter().filter_map(|(check, config)| Some(reach(app, check, config.as_ref()?)));
    let (mut findings, skews): (Vec<_>, Vec<_>) = join_all(reached).await.into_iter().unzip();
    // One answer may be an old one out of a cache.
    findings.push(clock(skews.into_iter().flatten().min_by_key(|seconds: &i64| seconds.abs())));
    findings
}

async fn reach(app: &App, check: Check, config: &SdkConfig) -> (Finding, Option<i64>) {
    // As the SDK has it: the machine's own roots alone.
    let (url, client) = match (url_of(check, config), Client::new(None)) {
        (Ok(url), Ok(client)) => (url, client.with_proxies(Arc::clone(&app.settings.proxies))),
        (Err(why), _) | (_, Err(why)) => {
            let todo =
                "check the region, AWS_ENDPOINT_URL and its like, endpoint_url in ~/.aws/config, and ca-certificates";
            return (check.fault(format!("it cannot be asked: {why}"), todo), None);
        }
    };
    let origin = url.origin().ascii_serialization(); // a password before the host is no part of it
    let request = Request {
        method: Method::Get,
        url: url.join("/").unwrap_or(url),
        headers: Vec::new(),
        body: None,
        timeout: REACH_TIMEOUT,
        body_bytes_max: 4_096,
        keep_body: false,
        accept_encoding: None,
        max_redirects: 0,
    };
    let asked_at = app.clock.now();
    let exchange = client.exchange(&request).await;
    match exchange.result {
        Ok(reply) => {
            let skew = reply.headers.get("date").and_then(|date| skew(date, asked_at, app.clock.now()));
            (check.ok(format!("{origin} answers: {}", phases(&exchange.phases))), skew)
        }
        Err(failure) => (unreachable(check, &origin, &failure), None),
    }
}

/// By how many seconds this clock is ahead of a `Date` (RFC 9110, 5.6.7), as far as the answer proves it: the header has
/// whole seconds, and was written at some moment between question and answer.
fn skew(date: &[u8], asked_at: Timestamp, answered_at: Timestamp) -> Option<i64> {
    let date = DateTime::from_str(std::str::from_utf8(date).ok()?, Format::HttpDate).ok()?.to_millis().ok()?;
    let least = asked_at.as_millis().saturating_sub(date.saturating_add(1_000));
    let most = answered_at.as_millis().saturating_sub(date);
    Some(least.max(0).saturating_add(most.min(0)) / 1_000)
}

fn clock(skew: Option<i64>) -> Finding {
    let check = Check::Clock;
    let Some(skew) = skew else { return check.not_checked("no answer of AWS told the time") };
    let side = if skew > 0 { "ahead of" } else { "behind" };
    let off = format!("{} {side} that of AWS", text::span(Duration::from_secs(skew.unsigned_abs())));
    let refused = format!("{off}; AWS refuses signatures from 5 min on");
    let todo =
        "set this machine's clock: timedatectl set-ntp true, then chronyc tracking or timedatectl timesync-status";
    match skew.abs() {
        0 => check.ok("as that of AWS, to a second or so"),
        SKEW_FAILS.. => check.fault(refused, todo),
        SKEW_WARNS.. => check.warn(refused, todo),
        _ => check.ok(off),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::cli::doctor::report::Mark;

    #[test]
    fn a_skew_is_told_only_as_far_as_it_is_proven() {
        let date = b"Sun, 22 Nov 2026 14:00:00 GMT";
        let at = |text: &str| Timestamp::parse(text).unwrap();
        let skew = |asked: &str, answered: &str| skew(date, at(asked), at(answered)).unwrap();
        assert_eq!(skew("2026-11-22T14:00:00Z", "2026-11-22T14:00:00.100Z"), 0);
        assert_eq!(skew("2026-11-22T13:59:55Z", "2026-11-22T14:00:05Z"), 0, "a slow answer proves nothing");
        assert_eq!(skew("2026-11-22T14:01:31Z", "2026-11-22T14:01:32Z"), 90);
        assert_eq!(skew("2026-11-22T13:53:00Z", "2026-11-22T13:53:01Z"), -419);
        assert_eq!(super::skew(b"yesterday", at("2026-11-22T14:00:00Z"), at("2026-11-22T14:00:00Z")), None);
    }

    #[test]
    fn five_minutes_are_a_fault_and_one_is_told() {
        let mark = |seconds| clock(Some(seconds)).mark;
        assert_eq!([mark(0), mark(59), mark(-60), mark(299)], [Mark::Ok, Mark::Ok, Mark::Warn, Mark::Warn]);
        assert_eq!([mark(300), mark(-4_000)], [Mark::Fault, Mark::Fault]);
        assert_eq!(clock(Some(-90)).what, "1 min 30 s behind that of AWS; AWS refuses signatures from 5 min on");
        assert_eq!(clock(None).mark, Mark::NotChecked);
    }
}
