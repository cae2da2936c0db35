//! How this program speaks to AWS: region and credentials from the usual chain, our own bounds on every wait, and no
//! retries of the SDK's own.
//!
//! Each owner loads a configuration of its own ([`load`]), so that no two actors share a connection pool: connections
//! live on the thread that made them, and a client shared by two threads stalls with either of them. The SDK's retries
//! are off because its retry quota is one for the whole process; the keeper and the alerter retry by their own rules.

pub(crate) mod causes;
mod configured;
mod metadata;
mod proxy;

use std::fmt;
use std::time::Duration;

use aws_config::identity::IdentityCache;
use aws_config::meta::region::RegionProviderChain;
use aws_config::{BehaviorVersion, Region, SdkConfig, retry::RetryConfig, timeout::TimeoutConfig};
use aws_credential_types::Credentials;
use aws_credential_types::provider::{ProvideCredentials, error::CredentialsError};

use crate::probe::proxies::Proxies;
pub(crate) use configured::source as configured_source;

/// Bound on opening a connection to AWS.
pub const CONNECT_TIMEOUT: Duration = Duration::from_secs(2);
/// Bound on one answer: without it, a server that accepts and stays silent is waited for without end.
pub const READ_TIMEOUT: Duration = Duration::from_secs(5);
/// Bound on one call, credentials included.
pub const OPERATION_TIMEOUT: Duration = Duration::from_secs(10);
/// Bound on finding credentials, at the start and later. A metadata service that drops packets costs about 1 s; one that takes
/// its time answers three times until there are credentials.
pub const CREDENTIALS_TIMEOUT: Duration = Duration::from_secs(8);
/// The longest that [`load`], [`preflight`] and [`PreflightError::explain`] take together.
pub const PREFLIGHT_MAX: Duration = Duration::from_secs(25);

/// What to write where there is no region.
pub(crate) const REGION_INSTEAD: &str =
    "AWS_REGION=eu-central-1, or the region of your tables, into the environment, or a region into ~/.aws/config";
/// What to write where there are no credentials.
pub(crate) const CREDENTIALS_INSTEAD: &str = "AWS_ACCESS_KEY_ID and AWS_SECRET_ACCESS_KEY into the environment, a \
     profile into ~/.aws and its name into AWS_PROFILE, or give this machine an IAM role";

/// Loads region, credentials chain and endpoints (`AWS_ENDPOINT_URL` and its per-service forms) from the environment
/// and the AWS config files. `region` wins over all of them. The SDK follows the proxy variables of the environment by itself; a proxy
/// that is set is told to it.
pub async fn load(region: Option<String>, proxies: &Proxies) -> SdkConfig {
    let client = metadata::client();
    let region = match region {
        Some(region) => Some(Region::new(region)),
        None => metadata::region(&client).await,
    };
    let defaults = aws_config::defaults(BehaviorVersion::latest());
    let defaults = match proxy::client(proxies) {
        Some(client) => defaults.http_client(client),
        None => defaults,
    };
    defaults
        .retry_config(RetryConfig::disabled())
        .timeout_config(timeouts())
        .credentials_provider(metadata::credentials(client, region.clone(), proxies).await)
        .identity_cache(IdentityCache::lazy().load_timeout(CREDENTIALS_TIMEOUT).build())
        .region(RegionProviderChain::first_try(region))
        .load()
        .await
}

/// Our bounds on every wait for AWS.
pub fn timeouts() -> TimeoutConfig {
    TimeoutConfig::builder()
        .connect_timeout(CONNECT_TIMEOUT)
        .read_timeout(READ_TIMEOUT)
        .operation_attempt_timeout(OPERATION_TIMEOUT)
        .operation_timeout(OPERATION_TIMEOUT)
        .build()
}

/// Why AWS cannot be called at all.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct PreflightError {
    /// What was looked for, and where.
    pub what: String,
    /// What to write, to stand after the word "write".
    pub remedy: String,
    /// It may be there later, without anybody's doing: what gives it may not be up yet. Before
    /// [`explain`](Self::explain) that is a guess.
    pub may_pass: bool,
}

impl PreflightError {
    /// Names what was configured, which a person has to mend; where nothing was, asks EC2's metadata service what it has to
    /// do with it, if it may have.
    pub async fn explain(self) -> Self {
        if let Some(source) = configured_source().await {
            return Self { what: format!("{}; configured is {source}", self.what), may_pass: false, ..self };
        }
        if !self.may_pass {
            return self;
        }
        let metadata = metadata::ask().await;
        Self { what: format!("{}, and {metadata}", self.what), may_pass: metadata.may_pass(), ..self }
    }
}

impl fmt::Display for PreflightError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}; write {}", self.what, self.remedy)
    }
}

impl std::error::Error for PreflightError {}

/// Looks once, before anything starts, whether there are a region and credentials: without them every single call would
/// fail, slowly, and with a text that says neither. Takes [`CREDENTIALS_TIMEOUT`] at most.
///
/// # Errors
/// Says what was looked for and what to write. No part of a credential is in the text.
pub async fn preflight(config: &SdkConfig) -> Result<(), PreflightError> {
    region(config)?;
    credentials(config).await.map(drop)
}

/// The region that was found.
///
/// # Errors
/// As [`preflight`].
pub fn region(config: &SdkConfig) -> Result<&str, PreflightError> {
    config.region().map(AsRef::as_ref).filter(|region: &&str| !region.is_empty()).ok_or_else(|| PreflightError {
        what: "no AWS region was found in AWS_REGION, in the AWS config files or from the EC2 metadata service".into(),
        remedy: REGION_INSTEAD.into(),
        may_pass: true,
    })
}

/// The credentials that are found now.
///
/// # Errors
/// As [`preflight`].
pub async fn credentials(config: &SdkConfig) -> Result<Credentials, PreflightError> {
    let refuse = |what: String, may_pass| PreflightError { what, remedy: CREDENTIALS_INSTEAD.into(), may_pass };
    let Some(provider) = config.credentials_provider() else {
        return Err(refuse("no source of AWS credentials is configured".into(), false));
    };
    match tokio::time::timeout(CREDENTIALS_TIMEOUT, provider.provide_credentials()).await {
        Ok(Ok(found)) => Ok(found),
        // What is written wrong stays wrong; a service that failed, or found nothing, may do better later.
        Ok(Err(error)) => {
            let may_pass = !matches!(error, CredentialsError::InvalidConfiguration(_));
            Err(refuse(credentials_fault(&error), may_pass))
        }
        Err(_) => Err(refuse(
            format!(
                "AWS credentials were not found within {} s in the environment, the AWS config files, or a container or EC2 \
             role",
                CREDENTIALS_TIMEOUT.as_secs()
            ),
            true,
        )),
    }
}

/// Why there are no credentials. The causes behind it may quote what a credential process printed, so they stay out; what the
/// SDK itself would log of them is not heard ([`crate::telemetry`]).
pub(crate) fn credentials_fault(error: &CredentialsError) -> String {
    match error {
        CredentialsError::CredentialsNotLoaded(_) => {
            "no AWS credentials were found in the environment, the AWS config files, or a container or EC2 role".into()
        }
        CredentialsError::ProviderTimedOut(_) => "the source of AWS credentials did not answer in time".into(),
        CredentialsError::InvalidConfiguration(_) => "the configuration of AWS credentials is not valid".into(),
        _ => "the source of AWS credentials failed".into(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use aws_credential_types::provider::{SharedCredentialsProvider, future};

    /// A provider that ends as told; `None` never ends.
    #[derive(Debug)]
    struct Ends(Option<fn() -> Result<Credentials, CredentialsError>>);

    impl ProvideCredentials for Ends {
        fn provide_credentials<'a>(&'a self) -> future::ProvideCredentials<'a>
        where
            Self: 'a,
        {
            match self.0 {
                Some(end) => future::ProvideCredentials::ready(end()),
                None => future::ProvideCredentials::new(std::future::pending()),
            }
        }
    }

    fn check(region: Option<&'static str>, provider: Option<Ends>) -> Result<(), String> {
        let mut config =
            SdkConfig::builder().behavior_version(BehaviorVersion::latest()).region(region.map(Region::new));
        config.set_credentials_provider(provider.map(SharedCredentialsProvider::new));
        let config = config.build();
        let runtime = tokio::runtime::Builder::new_current_thread().enable_time().start_paused(true).build().unwrap();
        runtime.block_on(preflight(&config)).map_err(|e| e.to_string())
    }

    #[test]
    fn a_missing_region_or_credential_is_told_with_what_to_write() {
        let good = || Some(Ends(Some(|| Ok(Credentials::new("a", "b", None, None, "test")))));
        assert_eq!(check(Some("eu-central-1"), good()), Ok(()));
        let why = check(None, good()).unwrap_err();
        assert!(why.contains("no AWS region") && why.contains("; write AWS_REGION="), "{why}");
        let why = check(Some(""), good()).unwrap_err();
        assert!(why.contains("no AWS region"), "{why}");
        let why = check(Some("eu-central-1"), None).unwrap_err();
        assert!(why.contains("AWS_ACCESS_KEY_ID"), "{why}");
        let why = check(Some("eu-central-1"), Some(Ends(Some(|| Err(CredentialsError::not_loaded_no_source())))))
            .unwrap_err();
        assert!(why.starts_with("no AWS credentials were found") && why.contains("IAM role"), "{why}");
    }

    #[test]
    fn a_source_that_stays_silent_is_not_waited_for_without_end() {
        let why = check(Some("eu-central-1"), Some(Ends(None))).unwrap_err();
        assert!(why.contains("within 8 s"), "{why}");
    }

    #[test]
    fn what_a_source_said_is_not_passed_on() {
        let leaks = || Err(CredentialsError::provider_error("wJalrXUtnFEMI/K7MDENG"));
        let why = check(Some("eu-central-1"), Some(Ends(Some(leaks)))).unwrap_err();
        assert!(!why.contains("wJalr") && why.contains("failed"), "{why}");
    }
}
