//! EC2's metadata service: where a machine with a role finds its credentials, and its region if nobody wrote one.
//!
//! The SDK waits a second for each of its answers and tries again within a few more. A machine that has just started may need
//! longer, and then has no region at all. So the client here is more patient with a service that listens; one that does not even
//! take a connection costs a second, as before. When something is missing, the service is asked why ([`ask`]): "it does not
//! answer" may pass by itself, "it is switched off" never does.

use std::fmt;
use std::time::Duration;

use aws_config::default_provider::credentials::DefaultCredentialsChain;
use aws_config::default_provider::use_fips::use_fips_provider;
use aws_config::environment::EnvironmentVariableRegionProvider;
use aws_config::imds;
use aws_config::imds::client::error::ImdsError;
use aws_config::meta::region::RegionProviderChain;
use aws_config::profile::ProfileFileRegionProvider;
use aws_config::provider_config::ProviderConfig;
use aws_config::{Region, imds::region::ImdsRegionProvider};

use super::proxy;
use crate::environment;
use crate::probe::proxies::Proxies;

/// The bound on connecting, as the SDK has it: where there is no such service, packets are often dropped.
const CONNECT_TIMEOUT: Duration = Duration::from_secs(1);

/// The bound on one answer. Credentials take three answers, and all three have to fit into
/// [`super::CREDENTIALS_TIMEOUT`].
const READ_TIMEOUT: Duration = Duration::from_millis(2_500);

/// The role of the machine, as the service names it.
const ROLE_PATH: &str = "/latest/meta-data/iam/security-credentials/";

/// What the service says when it is asked.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Metadata {
    /// This process is not to ask it (`AWS_EC2_METADATA_DISABLED`).
    SwitchedOff,
    /// No answer: this is no EC2 instance, or its network is not up yet, or the hop limit is too low for a container.
    Silent,
    /// It answers, and gives no token.
    Refuses,
    /// It answers, and knows of no role.
    NoRole,
    Answers,
}

impl Metadata {
    /// Whether what it says may change while nobody does anything here.
    pub(super) const fn may_pass(self) -> bool {
        !matches!(self, Self::SwitchedOff)
    }
}

/// To stand after "and".
impl fmt::Display for Metadata {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::SwitchedOff => "the EC2 metadata service is switched off (AWS_EC2_METADATA_DISABLED)",
            Self::Silent => "the EC2 metadata service did not answer",
            Self::Refuses => "the EC2 metadata service refused to give a token",
            Self::NoRole => "the EC2 metadata service knows of no role of this machine",
            Self::Answers => "the EC2 metadata service answers, but did not give it",
        })
    }
}

/// A client of the service, for one owner, which asks no proxy: it is this machine's own. Each try is one: whoever waits tries again
/// by its own rules.
pub(super) fn client() -> imds::Client {
    let directly = ProviderConfig::default().with_http_client(proxy::directly());
    imds::Client::builder()
        .configure(&directly)
        .connect_timeout(CONNECT_TIMEOUT)
        .read_timeout(READ_TIMEOUT)
        .max_attempts(1)
        .build()
}

/// The region from the environment, the config files or the service, in the SDK's order.
pub(super) async fn region(client: &imds::Client) -> Option<Region> {
    RegionProviderChain::first_try(EnvironmentVariableRegionProvider::new())
        .or_else(ProfileFileRegionProvider::new())
        .or_else(ImdsRegionProvider::builder().imds_client(client.clone()).build())
        .region()
        .await
}

/// The SDK's own chain of credentials, with a patient client at its end.
pub(super) async fn credentials(
    client: imds::Client,
    region: Option<Region>,
    proxies: &Proxies,
) -> DefaultCredentialsChain {
    let config = match proxy::client(proxies) {
        Some(client) => ProviderConfig::default().with_http_client(client),
        None => ProviderConfig::default(),
    };
    let use_fips = use_fips_provider(&config).await;
    DefaultCredentialsChain::builder()
        .configure(config.with_use_fips(use_fips))
        .imds_client(client)
        .region(RegionProviderChain::first_try(region))
        .build()
        .await
}

/// Asks the service for the role of this machine, to tell why something is missing.
pub(super) async fn ask() -> Metadata {
    // As the SDK reads it.
    if environment::get("AWS_EC2_METADATA_DISABLED").is_some_and(|text| text.eq_ignore_ascii_case("true")) {
        return Metadata::SwitchedOff;
    }
    match client().get(ROLE_PATH).await {
        Ok(_) => Metadata::Answers,
        Err(ImdsError::ErrorResponse(answer)) if answer.response().status().as_u16() == 404 => Metadata::NoRole,
        Err(ImdsError::FailedToLoadToken(why)) if !why.is_dispatch_failure() => Metadata::Refuses,
        Err(ImdsError::ErrorResponse(answer)) if answer.response().status().as_u16() == 401 => Metadata::Refuses,
        Err(ImdsError::ErrorResponse(_)) => Metadata::Answers,
        Err(_) => Metadata::Silent,
    }
}
