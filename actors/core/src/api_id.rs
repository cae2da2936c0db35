//! The id of an API, and of each part of the monitor that it watches itself.

use std::borrow::Borrow;
use std::fmt;
use std::sync::Arc;

use crate::text;

/// The key of one API: 1 to 80 characters of `A-Z a-z 0-9 . _ -`.
///
/// The alphabet is what an SNS FIFO message group, a file name and a shell word all take as it is.
#[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct ApiId(Arc<str>);

impl ApiId {
    /// The longest id. With an incident's suffix it stays under the 128 characters of an SNS deduplication id.
    pub const CHARS_MAX: usize = 80;

    /// Checks and wraps an id.
    ///
    /// # Errors
    /// Says why `text` is not an id.
    pub fn parse(text: &str) -> Result<Self, String> {
        text::name(text, Self::CHARS_MAX).map(Self)
    }

    /// Its text, without a copy.
    pub fn shared(&self) -> Arc<str> {
        Arc::clone(&self.0)
    }

    /// No id that a person may write stands before this one,
    pub(crate) fn first() -> Self {
        Self("-".into())
    }

    /// and none behind this one.
    pub(crate) fn last() -> Self {
        Self("z".repeat(Self::CHARS_MAX).into())
    }

    /// Reads a stored id: one that a person may write, or one of self monitoring.
    ///
    /// # Errors
    /// Says why `text` is neither.
    pub fn parse_stored(text: &str) -> Result<Self, String> {
        if [MONITOR_STORE, MONITOR_FLEET, MONITOR_CAPACITY].contains(&text) {
            return Ok(Self(text.into()));
        }
        if let Some(api_id) = text.strip_prefix(MONITOR_PROBER) {
            return Ok(Self::monitor_prober(&Self::parse(api_id)?));
        }
        if let Some(api_id) = text.strip_prefix(MONITOR_UNCLEAR) {
            return Ok(Self::monitor_unclear(&Self::parse(api_id)?));
        }
        if let Some(api_id) = text.strip_prefix(MONITOR_CERTIFICATE) {
            return Ok(Self::monitor_certificate(&Self::parse(api_id)?));
        }
        let own = Self(text.into());
        if own.shard_of_worker().is_some() { Ok(own) } else { Self::parse(text) }
    }

    /// Self monitoring of the store: down while it takes no writes.
    pub fn monitor_store() -> Self {
        Self(MONITOR_STORE.into())
    }

    /// Self monitoring of the workers that share the store: down while fewer live than are expected.
    pub fn monitor_fleet() -> Self {
        Self(MONITOR_FLEET.into())
    }

    /// Self monitoring of this machine: down while it cannot keep up with what is configured.
    pub fn monitor_capacity() -> Self {
        Self(MONITOR_CAPACITY.into())
    }

    /// Self monitoring of the network of a worker: down while its resolver or its network is gone. Each worker has a record of its own,
    /// in one of its shards.
    pub fn monitor_network(shard: u16) -> Self {
        Self::of_worker(MONITOR_NETWORK, shard)
    }

    /// Self monitoring of the clock of a worker, likewise: down while it is far off.
    pub fn monitor_clock(shard: u16) -> Self {
        Self::of_worker(MONITOR_CLOCK, shard)
    }

    fn of_worker(what: &str, shard: u16) -> Self {
        if shard == 0 { Self(what.into()) } else { Self(format!("{what}:{shard}").into()) }
    }

    /// The shard that the record of a worker's own network or clock lies in, if this is one of those.
    pub fn shard_of_worker(&self) -> Option<u16> {
        let rest = [MONITOR_NETWORK, MONITOR_CLOCK].into_iter().find_map(|what| self.0.strip_prefix(what))?;
        let shard = if rest.is_empty() { 0 } else { rest.strip_prefix(':')?.parse().ok()? };
        [Self::monitor_network(shard), Self::monitor_clock(shard)].contains(self).then_some(shard)
    }

    /// That nothing can be told of `api_id`: down while it is so.
    pub fn monitor_unclear(api_id: &Self) -> Self {
        Self(format!("{MONITOR_UNCLEAR}{api_id}").into())
    }

    /// The API of which nothing can be told, if this is the record of that.
    pub fn unclear_api(&self) -> Option<Self> {
        self.0.strip_prefix(MONITOR_UNCLEAR).map(|api_id| Self(api_id.into()))
    }

    /// That the certificate of `api_id` ends soon: down while it does.
    pub fn monitor_certificate(api_id: &Self) -> Self {
        Self(format!("{MONITOR_CERTIFICATE}{api_id}").into())
    }

    /// The API whose certificate ends soon, if this is the record of that.
    pub fn certificate_api(&self) -> Option<Self> {
        self.0.strip_prefix(MONITOR_CERTIFICATE).map(|api_id| Self(api_id.into()))
    }

    /// The API that this tells something of beside its status, if it does.
    pub fn beside_api(&self) -> Option<Self> {
        self.unclear_api().or_else(|| self.certificate_api())
    }

    /// The API that this is about, if it is self monitoring and about one.
    pub fn about_api(&self) -> Option<Self> {
        self.monitored_api().or_else(|| self.beside_api())
    }

    /// Self monitoring of the prober of `api_id`: down while it is given up.
    pub fn monitor_prober(api_id: &Self) -> Self {
        Self(format!("{MONITOR_PROBER}{api_id}").into())
    }

    /// Whether this is one of those, and no API that a person configured.
    pub fn is_self_monitoring(&self) -> bool {
        self.0.contains(':')
    }

    /// The API of a prober, if this is the self monitoring of one.
    pub fn monitored_api(&self) -> Option<Self> {
        self.0.strip_prefix(MONITOR_PROBER).map(|api_id| Self(api_id.into()))
    }

    pub fn as_str(&self) -> &str {
        &self.0
    }

    /// A hash of the id that is the same in every process, version and machine: it places the API inside its tick.
    pub fn stable_hash(&self) -> u64 {
        text::stable_hash(&self.0)
    }
}

// The ids of self monitoring have a colon, which no person can write into an id.
const MONITOR_NETWORK: &str = "api-health:network";
const MONITOR_CLOCK: &str = "api-health:clock";
const MONITOR_UNCLEAR: &str = "api-health:unclear:";
const MONITOR_CERTIFICATE: &str = "api-health:certificate:";
const MONITOR_STORE: &str = "api-health:store";
const MONITOR_FLEET: &str = "api-health:fleet";
const MONITOR_CAPACITY: &str = "api-health:capacity";
const MONITOR_PROBER: &str = "api-health:prober:";

impl fmt::Display for ApiId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl fmt::Debug for ApiId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:?}", &*self.0)
    }
}

impl Borrow<str> for ApiId {
    fn borrow(&self) -> &str {
        &self.0
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ids_are_short_and_plain() {
        assert_eq!(ApiId::parse("shop.eu_1-a").unwrap().as_str(), "shop.eu_1-a");
        assert!(ApiId::parse("").unwrap_err().contains("empty"));
        assert!(ApiId::parse("a b").unwrap_err().contains("' '"));
        assert!(ApiId::parse("ü").unwrap_err().contains('ü'));
        assert!(ApiId::parse(&"a".repeat(80)).is_ok());
        assert!(ApiId::parse(&"a".repeat(81)).unwrap_err().contains("80"));
    }

    #[test]
    fn the_hash_is_pinned_because_slots_must_survive_upgrades() {
        let thousandths = |id: &str| ApiId::parse(id).unwrap().stable_hash() % 1_000;
        assert_eq!((thousandths("api-0001"), thousandths("api-0002")), (718, 812));
    }
}
