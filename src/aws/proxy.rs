//! The SDK's HTTP client by way of the proxy that is set, or of none.

use aws_smithy_http_client::proxy::ProxyConfig;
use aws_smithy_http_client::tls::{Provider, rustls_provider::CryptoMode};
use aws_smithy_http_client::{Builder, ConnectorBuilder};
use aws_smithy_runtime_api::client::http::SharedHttpClient;

use crate::probe::proxies::Proxies;

/// Where machines and containers find their own credentials, which no proxy can ask for.
const OF_THIS_MACHINE: &str =
    "169.254.169.254,169.254.170.2,169.254.170.23,fd00:ec2::254,fd00:ec2::23,localhost,127.0.0.1,::1";

/// A client by what is set; `None` leaves it to the SDK, which reads the environment.
pub(super) fn client(proxies: &Proxies) -> Option<SharedHttpClient> {
    proxies.by_setting.then(|| by(&config(proxies)))
}

/// A client that goes by no proxy, whatever the environment says.
pub(super) fn directly() -> SharedHttpClient {
    by(&ProxyConfig::disabled())
}

fn config(proxies: &Proxies) -> ProxyConfig {
    let Some(proxy) = &proxies.https else { return ProxyConfig::disabled() };
    // It was read as the URL of a host and a port, so that it cannot be refused here.
    let config = ProxyConfig::all(proxy.url().as_str()).unwrap_or_else(|_| ProxyConfig::disabled());
    let config = config.no_proxy(format!("{OF_THIS_MACHINE},{}", proxies.except));
    match proxy.user() {
        Some((name, password)) => config.with_basic_auth(name, password.reveal()),
        None => config,
    }
}

/// As the SDK makes its own.
fn by(config: &ProxyConfig) -> SharedHttpClient {
    let config = config.clone();
    Builder::new().build_with_connector_fn(move |settings, components| {
        let mut connector = ConnectorBuilder::default().tls_provider(Provider::Rustls(CryptoMode::AwsLc));
        connector.set_connector_settings(settings.cloned());
        if let Some(components) = components {
            connector.set_sleep_impl(components.sleep_impl());
        }
        connector.set_proxy_config(Some(config.clone()));
        connector.build()
    })
}
