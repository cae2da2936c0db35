//! Who we are to AWS: region and credentials, where each came from, and nothing of them that is secret.

use std::time::{Duration, UNIX_EPOCH};

use api_health_core::Timestamp;
use aws_config::SdkConfig;
use aws_config::meta::region::ProvideRegion;
use aws_config::profile::ProfileFileRegionProvider;
use aws_credential_types::credential_feature::AwsCredentialFeature as Feature;
use aws_credential_types::provider::ProvideCredentials;
use aws_credential_types::{Credentials, provider::error::CredentialsError};

use crate::aws;
use crate::cli::checks::Check;
use crate::cli::doctor::report::Finding;
use crate::cli::text;
use crate::settings::reader::Origin;
use crate::settings::{LoadedSettings, StoreKind};

/// Fewer characters than this are no key of AWS's, and the last four of them would be too much of it.
const KEY_CHARS_MIN: usize = 16;

/// Region and credentials as the SDK found them.
pub(super) struct Identity {
    /// What every client is made from.
    pub(super) config: SdkConfig,
    /// Whether there is a region.
    pub(super) has_region: bool,
    /// Whether there are credentials that have not ended.
    pub(super) has_credentials: bool,
}

/// Looks for both, as the daemon does.
pub(super) async fn look(loaded: &LoadedSettings, now: Timestamp) -> (Identity, Vec<Finding>) {
    let settings = &loaded.settings;
    let uses_tables = settings.store.kind == StoreKind::Dynamodb;
    let topic_region = settings.notify.sns.as_ref().map(|sns| sns.region().to_owned());
    let wanted = settings.region.clone().or_else(|| topic_region.clone().filter(|_| !uses_tables));
    let config = aws::load(wanted, &settings.proxies).await;
    let region = region(loaded, &config, topic_region.filter(|_| !uses_tables)).await;
    let has_region = config.region().is_some_and(|region| !region.as_ref().is_empty());
    let (credentials, has_credentials) = credentials(&config, now).await;
    (Identity { config, has_region, has_credentials }, vec![region, credentials])
}

async fn region(loaded: &LoadedSettings, config: &SdkConfig, of_topic: Option<String>) -> Finding {
    let Some(region) = config.region().map(ToString::to_string).filter(|region| !region.is_empty()) else {
        return Finding::fault(
            Check::Region,
            "none was found in the settings, in AWS_REGION, in the AWS config files or from the EC2 metadata service",
            format!("write {}", aws::REGION_INSTEAD),
        );
    };
    let origin = loaded.effective.iter().find(|e| e.key == "region").map(|e| e.origin.clone());
    let from = match (origin, of_topic) {
        (Some(origin @ (Origin::File(..) | Origin::Env(_))), _) => origin.to_string(),
        (_, Some(_)) => "the topic's ARN".into(),
        _ if std::env::var_os("AWS_DEFAULT_REGION").is_some() => "environment variable AWS_DEFAULT_REGION".into(),
        _ if ProfileFileRegionProvider::new().region().await.is_some() => "the profile in the AWS config files".into(),
        _ => "the EC2 metadata service".into(),
    };
    Finding::ok(Check::Region, format!("{region}, from {from}"))
}

async fn credentials(config: &SdkConfig, now: Timestamp) -> (Finding, bool) {
    let fault =
        |what: String| (Finding::fault(Check::Credentials, what, format!("write {}", aws::CREDENTIALS_INSTEAD)), false);
    let Some(provider) = config.credentials_provider() else {
        return fault("no source of AWS credentials is configured".into());
    };
    match tokio::time::timeout(aws::CREDENTIALS_TIMEOUT, provider.provide_credentials()).await {
        Ok(Ok(found)) => judge(&found, now),
        Ok(Err(error @ CredentialsError::InvalidConfiguration(_))) => (
            Finding::fault(
                Check::Credentials,
                aws::credentials_fault(&error),
                "check AWS_PROFILE, ~/.aws/config and ~/.aws/credentials, and that the machine's role trusts \
                 ec2.amazonaws.com",
            ),
            false,
        ),
        Ok(Err(error)) => fault(aws::credentials_fault(&error)),
        Err(_) => {
            fault(format!("no source of AWS credentials answered within {} s", aws::CREDENTIALS_TIMEOUT.as_secs()))
        }
    }
}

/// What may be said of credentials that were found, and whether they can be used.
fn judge(found: &Credentials, now: Timestamp) -> (Finding, bool) {
    let features = found.get_property::<Vec<Feature>>().map(Vec::as_slice).unwrap_or_default();
    let mut sources: Vec<&str> = features.iter().filter_map(|feature| source(feature)).collect();
    sources.dedup();
    let source = if sources.is_empty() {
        "a source that does not say its name".to_owned()
    } else {
        sources.join(", by way of ")
    };
    let key = found.access_key_id();
    let key = match key.char_indices().rev().nth(3) {
        Some((at, _)) if key.chars().count() >= KEY_CHARS_MIN => format!("access key ...{}", &key[at..]),
        _ => "an access key too short for one of AWS's".into(),
    };
    let what = format!("from {source}; {key}");
    let expiry = found
        .expiry()
        .and_then(|at| at.duration_since(UNIX_EPOCH).ok())
        .and_then(|since| i64::try_from(since.as_millis()).ok().map(Timestamp::from_millis));
    match expiry {
        Some(at) if at <= now => {
            let todo = "get new ones (aws sso login, or whatever made them), and see that the clock is right";
            (Finding::fault(Check::Credentials, format!("{what}; expired at {at}"), todo), false)
        }
        Some(at) => {
            let left = text::span(at.since(now).max(Duration::from_secs(1)));
            (Finding::ok(Check::Credentials, format!("{what}; valid for {left}, until {at}")), true)
        }
        None if found.session_token().is_some() && features.contains(&Feature::CredentialsEnvVars) => {
            let todo = "give this machine an IAM role, whose credentials are renewed by themselves";
            let what =
                format!("{what}; temporary ones, which nobody renews here: the daemon is shut out when they end");
            (Finding::warn(Check::Credentials, what, todo), true)
        }
        None => (Finding::ok(Check::Credentials, format!("{what}; without an end")), true),
    }
}

/// What the SDK notes of each source that it asked.
fn source(feature: &Feature) -> Option<&'static str> {
    Some(match feature {
        Feature::CredentialsEnvVars => "the environment (AWS_ACCESS_KEY_ID)",
        Feature::CredentialsImds => "the machine's IAM role (EC2 metadata service)",
        Feature::CredentialsHttp => "the container's role (credentials endpoint)",
        Feature::CredentialsProfile | Feature::CredentialsProfileSourceProfile => "a profile in the AWS config files",
        Feature::CredentialsProfileNamedProvider => "a source that a profile names",
        Feature::CredentialsProcess | Feature::CredentialsProfileProcess => "a credential process",
        Feature::CredentialsSso | Feature::CredentialsProfileSso => "a single sign-on",
        Feature::CredentialsStsAssumeRole => "an assumed role (STS)",
        Feature::CredentialsEnvVarsStsWebIdToken
        | Feature::CredentialsProfileStsWebIdToken
        | Feature::CredentialsStsAssumeRoleWebId => "a web identity (STS)",
        Feature::CredentialsLogin | Feature::CredentialsProfileLogin => "a console login",
        _ => return None,
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::cli::doctor::report::Mark;

    const NOW: Timestamp = Timestamp::from_millis(1_795_000_000_000);

    fn found(features: &[Feature], token: bool, ends_in: Option<i64>) -> Credentials {
        let ends = ends_in
            .map(|seconds| UNIX_EPOCH + Duration::from_secs(u64::try_from(NOW.as_millis() / 1_000 + seconds).unwrap()));
        let token = token.then(|| "session-token-hunter2".to_owned());
        let mut found = Credentials::new("ASIAIOSFODNN7EXAMPLE", "wJalrXUtnFEMI/hunter2", token, ends, "test");
        found.set_property(features.to_vec());
        found
    }

    #[test]
    fn the_source_and_the_end_are_told_and_nothing_secret() {
        let (role, usable) = judge(&found(&[Feature::CredentialsImds], true, Some(3_600)), NOW);
        assert!(usable && role.mark == Mark::Ok, "{role:?}");
        assert_eq!(
            role.what,
            "from the machine's IAM role (EC2 metadata service); access key ...MPLE; valid for 1 h, until \
             2026-11-18T12:06:40.000Z"
        );
        let (ended, usable) =
            judge(&found(&[Feature::CredentialsSso, Feature::CredentialsProfile], true, Some(-1)), NOW);
        assert!(!usable && ended.mark == Mark::Fault, "{ended:?}");
        assert!(
            ended.what.starts_with("from a single sign-on, by way of a profile in the AWS config files"),
            "{ended:?}"
        );
        let (fleeting, usable) = judge(&found(&[Feature::CredentialsEnvVars], true, None), NOW);
        assert!(usable && fleeting.mark == Mark::Warn, "{fleeting:?}");
        let (lasting, _) = judge(&found(&[Feature::CredentialsEnvVars], false, None), NOW);
        assert_eq!(lasting.mark, Mark::Ok);
        for finding in [role, ended, fleeting, lasting] {
            let text = format!("{finding:?}");
            assert!(!text.contains("hunter2") && !text.contains("ASIA") && !text.contains("AMPLE"), "{text}");
        }
    }

    #[test]
    fn of_a_short_key_nothing_is_shown() {
        let (short, _) = judge(&Credentials::new("test", "x", None, None, "test"), NOW);
        assert!(!short.what.contains("...") && !short.what.contains("test"), "{short:?}");
    }
}
