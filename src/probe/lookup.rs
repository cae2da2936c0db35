//! From a name to its addresses, by the system's resolver, with a bound on lookups under way.

use std::cell::Cell;
use std::io;
use std::net::{SocketAddr, ToSocketAddrs as _};
use std::sync::Arc;

use api_health_core::Failure;
use api_health_core::observation::LocalFault;
use futures_util::future::LocalBoxFuture;
use tokio::sync::Semaphore;

use super::dial::local_fault;

/// Lookups under way at once in one client. Each holds a thread, and goes on when its exchange has given up: without a
/// bound, a resolver that does not answer would fill the thread pool and the memory.
///
/// A thread's pool of blocking threads has 512.
pub(super) const LOOKUPS_MAX: usize = 448;

type Function = dyn Fn(String, u16) -> LocalBoxFuture<'static, io::Result<Vec<SocketAddr>>> + Send + Sync;

/// How names are looked up.
#[derive(Clone)]
pub struct Resolver(ResolverKind);

#[derive(Clone)]
enum ResolverKind {
    System(Arc<Semaphore>),
    Function(Arc<Function>),
}

impl Resolver {
    /// The system's own (`getaddrinfo`), at most [`LOOKUPS_MAX`] at once. Nothing is cached here: a kept answer would
    /// hide a fault of the name service.
    pub fn system() -> Self {
        Self(ResolverKind::System(Arc::new(Semaphore::new(LOOKUPS_MAX))))
    }

    /// A function of the caller's.
    pub fn from_fn<F>(function: F) -> Self
    where
        F: Fn(String, u16) -> LocalBoxFuture<'static, io::Result<Vec<SocketAddr>>> + Send + Sync + 'static,
    {
        Self(ResolverKind::Function(Arc::new(function)))
    }

    /// The addresses of `host`, at least one. `waiting` is true while it has no turn yet.
    pub(super) async fn lookup(&self, host: &str, port: u16, waiting: &Cell<bool>) -> Result<Vec<SocketAddr>, Failure> {
        let found = match &self.0 {
            ResolverKind::System(semaphore) => {
                system_lookup(Arc::clone(semaphore), host.to_owned(), port, waiting).await
            }
            ResolverKind::Function(function) => function(host.to_owned(), port).await,
        };
        match found {
            Ok(addresses) if addresses.is_empty() => Err(Failure::NameNotFound { host: host.to_owned() }),
            Ok(addresses) => Ok(addresses),
            Err(error) => Err(lookup_failure(host, &error)),
        }
    }
}

/// The permit goes with the thread, not with the future that waits for it.
async fn system_lookup(
    semaphore: Arc<Semaphore>,
    host: String,
    port: u16,
    waiting: &Cell<bool>,
) -> io::Result<Vec<SocketAddr>> {
    waiting.set(true);
    let permit = semaphore.acquire_owned().await.map_err(io::Error::other)?;
    waiting.set(false);
    let lookup = move || {
        let addresses = (host.as_str(), port).to_socket_addrs().map(Iterator::collect);
        drop(permit);
        addresses
    };
    tokio::task::spawn_blocking(lookup).await.map_err(io::Error::other)?
}

/// What the C libraries say when a name, or an address of it, does not exist (`EAI_NONAME`, `EAI_NODATA`): std gives the
/// words of `gai_strerror` and no code. Of glibc (it is never translated here, since no locale is set), musl, macOS.
const NOT_FOUND_WORDS: [&str; 6] = [
    "Name or service not known",
    "No address associated with hostname",
    "Name does not resolve",
    "Name has no usable address",
    "nodename nor servname provided",
    "No address associated with name",
];

fn lookup_failure(host: &str, error: &io::Error) -> Failure {
    if let Some(fault) = local_fault(error) {
        return Failure::Local(fault);
    }
    let text = error.to_string();
    if NOT_FOUND_WORDS.iter().any(|words| text.contains(words)) {
        return Failure::NameNotFound { host: host.to_owned() };
    }
    if error.get_ref().is_some_and(|e| e.is::<tokio::task::JoinError>()) {
        return Failure::Local(LocalFault::Internal("the name lookup was stopped".into()));
    }
    let detail = text.strip_prefix("failed to lookup address information: ").unwrap_or(&text);
    Failure::LookupFailed { host: host.to_owned(), detail: detail.to_owned() }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::probe::{Client, Request};
    use api_health_core::Method;
    use std::time::Duration;

    #[tokio::test]
    async fn a_crowd_of_our_own_lookups_is_our_fault_and_not_the_names() {
        let nobody_has_a_turn = Resolver(ResolverKind::System(Arc::new(Semaphore::new(0))));
        let client = Client::new(None).unwrap().with_resolver(nobody_has_a_turn);
        let request = Request {
            method: Method::Get,
            url: url::Url::parse("http://localhost:9/").unwrap(),
            headers: vec![],
            body: None,
            timeout: Duration::from_millis(50),
            body_bytes_max: 1,
            keep_body: false,
            max_redirects: 0,
        };
        let failure = client.exchange(&request).await.result.unwrap_err();
        assert_eq!(failure, Failure::Local(LocalFault::TooManyLookups));
    }

    #[test]
    fn a_name_that_does_not_exist_is_told_apart_from_a_lookup_that_failed_for_now() {
        let say = |detail: &str| {
            lookup_failure("x.test", &io::Error::other(format!("failed to lookup address information: {detail}")))
        };
        assert_eq!(say("Name or service not known"), Failure::NameNotFound { host: "x.test".into() });
        assert_eq!(say("No address associated with hostname"), Failure::NameNotFound { host: "x.test".into() });
        assert_eq!(
            say("Temporary failure in name resolution"),
            Failure::LookupFailed { host: "x.test".into(), detail: "Temporary failure in name resolution".into() }
        );
        let no_descriptors = io::Error::from_raw_os_error(rustix::io::Errno::MFILE.raw_os_error());
        assert_eq!(lookup_failure("x.test", &no_descriptors), Failure::Local(LocalFault::TooManyOpenFiles));
    }
}
