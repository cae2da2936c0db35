//! How this program speaks to AWS: region and credentials from the usual chain, our own bounds on every wait, and no
//! retries of the SDK's own.
//!
//! Each owner loads a configuration of its own ([`load`]), so that no two actors share a connection pool: connections
//! live on the thread that made them, and a client shared by two arbiters stalls with either of them. The SDK's retries
//! are off because its retry quota is one for the whole process; the keeper and the alerter retry by their own rules.

use std::time::Duration;

use aws_config::{BehaviorVersion, Region, SdkConfig, retry::RetryConfig, timeout::TimeoutConfig};

/// Bound on opening a connection to AWS.
pub const CONNECT_TIMEOUT: Duration = Duration::from_secs(2);
/// Bound on one answer: without it, a server that accepts and stays silent is waited for without end.
pub const READ_TIMEOUT: Duration = Duration::from_secs(5);
/// Bound on one call, credentials included.
pub const OPERATION_TIMEOUT: Duration = Duration::from_secs(10);

/// Loads region, credentials chain and endpoints (`AWS_ENDPOINT_URL` and its per-service forms) from the environment
/// and the AWS config files. `region` wins over all of them.
pub async fn load(region: Option<String>) -> SdkConfig {
    let mut loader =
        aws_config::defaults(BehaviorVersion::latest()).retry_config(RetryConfig::disabled()).timeout_config(
            TimeoutConfig::builder()
                .connect_timeout(CONNECT_TIMEOUT)
                .read_timeout(READ_TIMEOUT)
                .operation_attempt_timeout(OPERATION_TIMEOUT)
                .operation_timeout(OPERATION_TIMEOUT)
                .build(),
        );
    if let Some(region) = region {
        loader = loader.region(Region::new(region));
    }
    loader.load().await
}
