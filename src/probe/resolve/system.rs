//! From a name to its addresses by the system's resolver (`getaddrinfo`), which tells less and holds a thread for each lookup.

use std::io;
use std::net::{IpAddr, ToSocketAddrs as _};

use api_health_core::observation::LocalFault;
use api_health_core::{Failure, IpFamily};
use tokio::time::{Instant, timeout_at};

use super::turns::{SYSTEM_DOMAIN_LOOKUPS_MAX, SYSTEM_LOOKUPS_MAX, Turn, Turns};
use crate::probe::dial::local_fault;

/// Asks the system. Clones share their turns.
#[derive(Clone)]
pub(super) struct System(Turns);

impl System {
    pub(super) fn new() -> Self {
        Self(Turns::new(SYSTEM_LOOKUPS_MAX, SYSTEM_DOMAIN_LOOKUPS_MAX))
    }

    /// The addresses of `host` of this family, at least one. It waits for its turn until the deadline, and then for as long as the
    /// system takes.
    pub(super) async fn lookup(&self, host: &str, family: IpFamily, deadline: Instant) -> Result<Vec<IpAddr>, Failure> {
        let turn = self.0.take(host, deadline).await.map_err(Failure::Local)?;
        of_family(host, family, getaddrinfo(host, turn).await)
    }

    /// The addresses of `host`, if there is a turn at once and the system finds any before the deadline.
    pub(super) async fn try_lookup(&self, host: &str, family: IpFamily, deadline: Instant) -> Option<Vec<IpAddr>> {
        let turn = self.0.take(host, Instant::now()).await.ok()?;
        let found = timeout_at(deadline, getaddrinfo(host, turn)).await.ok()?;
        of_family(host, family, found).ok()
    }
}

/// The turn goes with the thread, not with the future that waits for it.
async fn getaddrinfo(host: &str, turn: Turn) -> io::Result<Vec<IpAddr>> {
    let host = host.to_owned();
    let lookup = move || {
        let found = (host.as_str(), 0).to_socket_addrs().map(|all| all.map(|address| address.ip()).collect());
        drop(turn);
        found
    };
    tokio::task::spawn_blocking(lookup).await.map_err(io::Error::other)?
}

/// Those of `found` that may be used, or why there are none.
pub(super) fn of_family(host: &str, wanted: IpFamily, found: io::Result<Vec<IpAddr>>) -> Result<Vec<IpAddr>, Failure> {
    let mut found = found.map_err(|error| failure(host, wanted, &error))?;
    let other = found.iter().find(|address| !wanted.takes(**address)).map(|address| IpFamily::of(*address));
    found.retain(|address| wanted.takes(*address));
    if found.is_empty() {
        return Err(Failure::NoAddress { host: host.to_owned(), wanted, has: other });
    }
    Ok(found)
}

/// What the C libraries say when a name does not exist (`EAI_NONAME`): std gives the words of `gai_strerror` and no code. Of
/// glibc (it is never translated here, since no locale is set), musl, macOS.
const NOT_FOUND_WORDS: [&str; 3] =
    ["Name or service not known", "Name does not resolve", "nodename nor servname provided"];
/// And when it has no address (`EAI_NODATA`).
const NO_ADDRESS_WORDS: [&str; 3] =
    ["No address associated with hostname", "Name has no usable address", "No address associated with name"];

fn failure(host: &str, wanted: IpFamily, error: &io::Error) -> Failure {
    if let Some(fault) = local_fault(error) {
        return Failure::Local(fault);
    }
    let (host, text) = (host.to_owned(), error.to_string());
    let says = |all: [&str; 3]| all.iter().any(|words| text.contains(words));
    if says(NOT_FOUND_WORDS) {
        return Failure::NameNotFound { host };
    }
    if says(NO_ADDRESS_WORDS) {
        return Failure::NoAddress { host, wanted, has: None };
    }
    if error.get_ref().is_some_and(|e| e.is::<tokio::task::JoinError>()) {
        return Failure::Local(LocalFault::Internal("the name lookup was stopped".into()));
    }
    let detail = text.strip_prefix("failed to lookup address information: ").unwrap_or(&text).to_owned();
    Failure::LookupFailed { host, detail }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::time::Duration;

    #[tokio::test(start_paused = true)]
    async fn a_crowd_of_our_own_lookups_is_our_fault_and_not_the_names() {
        let nobody_has_a_turn = System(Turns::new(0, 1));
        let deadline = Instant::now() + Duration::from_millis(50);
        let failure = nobody_has_a_turn.lookup("localhost", IpFamily::Any, deadline).await.unwrap_err();
        assert_eq!(failure, Failure::Local(LocalFault::TooManyLookups));
        assert_eq!(nobody_has_a_turn.try_lookup("localhost", IpFamily::Any, deadline).await, None);
    }

    #[tokio::test]
    async fn the_system_knows_this_machine() {
        let deadline = Instant::now() + Duration::from_secs(20);
        let found = System::new().lookup("localhost", IpFamily::Any, deadline).await.unwrap();
        assert!(!found.is_empty() && found.iter().all(IpAddr::is_loopback), "{found:?}");
    }

    #[test]
    fn a_name_that_does_not_exist_is_told_apart_from_a_lookup_that_failed_for_now() {
        let say = |detail: &str| {
            let error = io::Error::other(format!("failed to lookup address information: {detail}"));
            failure("x.test", IpFamily::Any, &error)
        };
        let host = || "x.test".to_owned();
        assert_eq!(say("Name or service not known"), Failure::NameNotFound { host: host() });
        let no_address = Failure::NoAddress { host: host(), wanted: IpFamily::Any, has: None };
        assert_eq!(say("No address associated with hostname"), no_address);
        assert_eq!(
            say("Temporary failure in name resolution"),
            Failure::LookupFailed { host: host(), detail: "Temporary failure in name resolution".into() }
        );
        let no_descriptors = io::Error::from_raw_os_error(rustix::io::Errno::MFILE.raw_os_error());
        let failure = failure("x.test", IpFamily::Any, &no_descriptors);
        assert_eq!(failure, Failure::Local(LocalFault::TooManyOpenFiles));
    }

    #[test]
    fn a_name_of_the_other_family_alone_is_told_as_that() {
        let found = || Ok(vec![IpAddr::from([127, 0, 0, 1])]);
        assert_eq!(of_family("x.test", IpFamily::Ipv4, found()), found().map_err(|_: io::Error| unreachable!()));
        let failure = of_family("x.test", IpFamily::Ipv6, found()).unwrap_err();
        assert_eq!(failure.to_string(), "name x.test has only IPv4 addresses, and ip_family asks for IPv6");
    }
}
