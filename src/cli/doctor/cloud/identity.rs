//! Who we are to AWS: region and credentials, where each came from, and nothing of them that is secret.

use std::time::{Duration, UNIX_EPOCH};

use api_health_core::Timestamp;
use aws_config::SdkConfig;
use aws_config::meta::region::ProvideRegion;
use aws_config::profile::ProfileFileRegionProvider;
use aws_credential_types::Credentials;
use aws_credential_types::credential_feature::AwsCredentialFeature as Feature;

use crate::aws::{self, PreflightError};
use crate::cli::checks::Check;
use crate::cli::doctor::report::Finding;
use crate::cli::text;
use crate::settings::reader::Origin;
use crate::settings::{LoadedSettings, StoreKind};

/// Fewer characters than this are no key of AWS's, and the last four of them would be too much of it.
const KEY_CHARS_MIN: usize = 16;

/// Looks for both, as the daemon does. What every client is made from, and the two findings.
pub(super) async fn examine(loaded: &LoadedSettings, now: Timestamp) -> (SdkConfig, Vec<Finding>) {
    let settings = &loaded.settings;
    let of_topic = settings.notify.topics().into_iter().next().filter(|_| settings.store.kind == StoreKind::Sqlite);
    let wanted = settings.region.clone().or_else(|| of_topic.as_ref().map(|sns| sns.region().to_owned()));
    let config = aws::load(wanted, &settings.proxies).await;
    let region = match aws::region(&config) {
        Ok(region) => Check::Region.ok(format!("{region}, from {}", origin(loaded, of_topic.is_some()).await)),
        Err(error) => missing(Check::Region, error),
    };
    let credentials = match aws::credentials(&config).await {
        Ok(found) => judge(&found, &source(&found).await, now),
        Err(error) => missing(Check::Credentials, error.explain().await),
    };
    (config, vec![region, credentials])
}

fn missing(check: Check, error: PreflightError) -> Finding {
    check.fault(error.what, format!("write {}", error.remedy))
}

/// Where the region came from.
async fn origin(loaded: &LoadedSettings, is_of_topic: bool) -> String {
    let set = loaded.effective.iter().find(|effective| effective.key == "region").map(|effective| &effective.origin);
    match set {
        Some(origin @ (Origin::File(..) | Origin::Env(_))) => origin.to_string(),
        _ if is_of_topic => "the topic's ARN".into(),
        _ if std::env::var_os("AWS_DEFAULT_REGION").is_some() => "environment variable AWS_DEFAULT_REGION".into(),
        _ if ProfileFileRegionProvider::new().region().await.is_some() => "the profile in the AWS config files".into(),
        _ => "the EC2 metadata service".into(),
    }
}

/// Where the credentials came from: the SDK notes that of the machine's role; of the rest it is what was configured.
async fn source(found: &Credentials) -> String {
    let features = found.get_property::<Vec<Feature>>().map(Vec::as_slice).unwrap_or_default();
    let configured = if features.contains(&Feature::CredentialsImds) { None } else { aws::configured_source().await };
    configured.unwrap_or_else(|| "the machine's IAM role (EC2 metadata service)".into())
}

/// What may be said of credentials that were found.
fn judge(found: &Credentials, source: &str, now: Timestamp) -> Finding {
    let (check, key) = (Check::Credentials, found.access_key_id());
    let key = match key.char_indices().rev().nth(3) {
        Some((at, _)) if key.chars().count() >= KEY_CHARS_MIN => format!("access key ...{}", &key[at..]),
        _ => "an access key too short for one of AWS's".into(),
    };
    let what = format!("from {source}; {key}");
    let since = found.expiry().and_then(|at| at.duration_since(UNIX_EPOCH).ok());
    match since.and_then(|since| i64::try_from(since.as_millis()).ok()).map(Timestamp::from_millis) {
        Some(at) if at <= now => check.fault(
            format!("{what}; expired at {at}"),
            "get new ones (aws sso login, or whatever made them), and see that the clock is right",
        ),
        Some(at) => {
            let left = text::span(at.since(now).max(Duration::from_secs(1)));
            check.ok(format!("{what}; valid for {left}, until {at}"))
        }
        None if found.session_token().is_some() => check.warn(
            format!("{what}; temporary ones, which nobody renews here: the daemon is shut out when they end"),
            "give this machine an IAM role, whose credentials are renewed by themselves",
        ),
        None => check.ok(format!("{what}; without an end")),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::cli::doctor::report::Mark;

    const NOW: Timestamp = Timestamp::from_millis(1_795_000_000_000);

    fn found(token: bool, ends_in: Option<i64>) -> Finding {
        let ends = ends_in
            .map(|seconds| UNIX_EPOCH + Duration::from_secs(u64::try_from(NOW.as_millis() / 1_000 + seconds).unwrap()));
        let token = token.then(|| "session-token-hunter2".to_owned());
        let found = Credentials::new("ASIAIOSFODNN7EXAMPLE", "wJalrXUtnFEMI/hunter2", token, ends, "test");
        judge(&found, "somewhere", NOW)
    }

    #[test]
    fn the_source_and_the_end_are_told_and_nothing_secret() {
        let all = [found(true, Some(3_600)), found(true, Some(-1)), found(true, None), found(false, None)];
        assert_eq!(all[0].what, "from somewhere; access key ...MPLE; valid for 1 h, until 2026-11-18T12:06:40.000Z");
        assert_eq!(all.each_ref().map(|finding| finding.mark), [Mark::Ok, Mark::Fault, Mark::Warn, Mark::Ok]);
        for finding in all {
            let text = format!("{finding:?}");
            assert!(!text.contains("hunter2") && !text.contains("ASIA") && !text.contains("AMPLE"), "{text}");
        }
    }

    #[tokio::test]
    async fn the_machine_s_role_is_told_as_such_whatever_else_is_configured() {
        let mut found = Credentials::new("ASIAIOSFODNN7EXAMPLE", "x", None, None, "test");
        found.set_property(vec![Feature::CredentialsImds]);
        assert_eq!(source(&found).await, "the machine's IAM role (EC2 metadata service)");
    }

    #[test]
    fn of_a_short_key_nothing_is_shown() {
        let short = judge(&Credentials::new("test", "x", None, None, "test"), "somewhere", NOW);
        assert!(!short.what.contains("...") && !short.what.contains("test"), "{short:?}");
    }
}
