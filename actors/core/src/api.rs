//! What is watched: one configured HTTP API, validated. Rows as people write them are read in `src/configs`.

use std::borrow::Borrow;
use std::fmt::{self, Write as _};
use std::sync::Arc;
use std::time::Duration;

use crate::schedule::{Moment, Schedule};
use crate::secret::Secret;
use crate::status_set::StatusSet;
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
    /// Says in plain words why `text` is not an id.
    pub fn parse(text: &str) -> Result<Self, String> {
        text::name(text, Self::CHARS_MAX).map(Self)
    }

    /// Reads an id as it is stored: one that a person may write, or one of the monitor's own.
    ///
    /// # Errors
    /// Says in plain words why `text` is neither.
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
        let own = Self(text.into());
        if own.shard_of_worker().is_some() { Ok(own) } else { Self::parse(text) }
    }

    /// The store, as something that the monitor watches about itself: down while it takes no writes.
    pub fn monitor_store() -> Self {
        Self(MONITOR_STORE.into())
    }

    /// The workers that share the store, as something that the monitor watches about itself: down while fewer live than are
    /// expected.
    pub fn monitor_fleet() -> Self {
        Self(MONITOR_FLEET.into())
    }

    /// This machine, as something that the monitor watches about itself: down while it does not carry what is configured.
    pub fn monitor_capacity() -> Self {
        Self(MONITOR_CAPACITY.into())
    }

    /// The network of a worker, as something that the monitor watches about itself: down while its resolver or its network is gone. Each
    /// worker has a record of its own, in one of its shards.
    pub fn monitor_network(shard: u16) -> Self {
        Self::of_worker(MONITOR_NETWORK, shard)
    }

    /// The clock of a worker, likewise: down while it is far off.
    pub fn monitor_clock(shard: u16) -> Self {
        Self::of_worker(MONITOR_CLOCK, shard)
    }

    fn of_worker(what: &str, shard: u16) -> Self {
        if shard == 0 { Self(what.into()) } else { Self(format!("{what}:{shard}").into()) }
    }

    /// The shard that the record of a worker's own network or clock lies in, if it is one.
    pub fn shard_of_worker(&self) -> Option<u16> {
        let rest = [MONITOR_NETWORK, MONITOR_CLOCK].into_iter().find_map(|what| self.0.strip_prefix(what))?;
        let shard = if rest.is_empty() { 0 } else { rest.strip_prefix(':')?.parse().ok()? };
        [Self::monitor_network(shard), Self::monitor_clock(shard)].contains(self).then_some(shard)
    }

    /// That nothing can be told of `api_id`, as something that the monitor watches: down while it is so.
    pub fn monitor_unclear(api_id: &Self) -> Self {
        Self(format!("{MONITOR_UNCLEAR}{api_id}").into())
    }

    /// The API of which nothing could be told, if this is that record.
    pub fn unclear(&self) -> Option<Self> {
        self.0.strip_prefix(MONITOR_UNCLEAR).map(|api_id| Self(api_id.into()))
    }

    /// The API that this is about, if it is one of the monitor's own and about an API.
    pub fn about(&self) -> Option<Self> {
        self.probed().or_else(|| self.unclear())
    }

    /// The prober of `api_id`, as something that the monitor watches about itself: down while it is given up.
    pub fn monitor_prober(api_id: &Self) -> Self {
        Self(format!("{MONITOR_PROBER}{api_id}").into())
    }

    /// Whether this is one of the monitor's own, and no API that a person configured.
    pub fn is_self_monitoring(&self) -> bool {
        self.0.contains(':')
    }

    /// The API whose prober this is, if it is one of the monitor's own and a prober.
    pub fn probed(&self) -> Option<Self> {
        self.0.strip_prefix(MONITOR_PROBER).map(|api_id| Self(api_id.into()))
    }

    pub fn as_str(&self) -> &str {
        &self.0
    }

    /// A hash of the id that is the same in every process, version and machine: it places the API inside its tick.
    ///
    /// FNV-1a, then the finaliser of splitmix64, so that ids that differ in their last letter land far apart.
    pub fn stable_hash(&self) -> u64 {
        let fnv = self
            .0
            .bytes()
            .fold(0xcbf2_9ce4_8422_2325_u64, |h, b| (h ^ u64::from(b)).wrapping_mul(0x0000_0100_0000_01b3));
        let mixed = (fnv ^ (fnv >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        let mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        mixed ^ (mixed >> 31)
    }
}

/// Nothing is told as unclear sooner than this, unless its row says so.
pub const UNCLEAR_AFTER_MIN: Duration = Duration::from_secs(300);

/// The ids of what the monitor watches about itself have a colon, which no person can write into an id.
const MONITOR_STORE: &str = "api-health:store";
const MONITOR_FLEET: &str = "api-health:fleet";
const MONITOR_CAPACITY: &str = "api-health:capacity";
const MONITOR_NETWORK: &str = "api-health:network";
const MONITOR_CLOCK: &str = "api-health:clock";
const MONITOR_UNCLEAR: &str = "api-health:unclear:";
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

/// The HTTP methods that a probe may use.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
pub enum Method {
    #[default]
    Get,
    Head,
    Post,
    Put,
    Patch,
    Delete,
    Options,
}

impl Method {
    /// Every method, in the order in which documentation lists them.
    pub const ALL: [Self; 7] = [Self::Get, Self::Head, Self::Post, Self::Put, Self::Patch, Self::Delete, Self::Options];

    /// As it stands on the wire.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Get => "GET",
            Self::Head => "HEAD",
            Self::Post => "POST",
            Self::Put => "PUT",
            Self::Patch => "PATCH",
            Self::Delete => "DELETE",
            Self::Options => "OPTIONS",
        }
    }

    /// Reads a method's name in either case.
    pub fn parse(text: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|m| m.as_str().eq_ignore_ascii_case(text))
    }
}

impl fmt::Display for Method {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

/// One API, validated: what to ask, how often, and what counts as an answer.
#[derive(Clone, Debug, PartialEq)]
pub struct ApiConfig {
    pub api_id: ApiId,
    pub name: String,
    /// `http` or `https`, without user name or fragment.
    pub url: String,
    pub method: Method,
    /// Request headers, by name. Every value is treated as a secret.
    pub headers: Vec<(String, Secret)>,
    pub body: Option<Secret>,
    /// The status codes that count as a pass.
    pub expected_status: StatusSet,
    /// Bound on the whole exchange, from name resolution to the last byte.
    pub timeout: Duration,
    /// How many redirects are followed; 0 judges the redirect itself.
    pub max_redirects: u8,
    /// When it is probed. Shared, since thousands of rows often have the same schedule.
    pub schedule: Arc<Schedule>,
    /// A disabled API is kept and not probed.
    pub enabled: bool,
    /// Fails in a row that confirm an outage.
    pub failure_threshold: u32,
    /// Passes in a row that confirm a recovery.
    pub success_threshold: u32,
    /// How soon a suspect is probed again.
    pub recheck: Duration,
    /// How long nothing can be told of it before that is told; `None`: three of its intervals, and [`UNCLEAR_AFTER_MIN`] at least.
    pub unclear_after: Option<Duration>,
    /// Free words for people and filters.
    pub tags: Vec<String>,
}

impl ApiConfig {
    /// Whether both configs send the same request and expect the same of it, so that outcomes by one say something about the other.
    pub fn same_request(&self, other: &Self) -> bool {
        self.url == other.url
            && self.method == other.method
            && self.headers == other.headers
            && self.body == other.body
            && self.expected_status == other.expected_status
            && self.max_redirects == other.max_redirects
    }

    /// A fingerprint of the request and of what is expected, never 0: outcomes with another one say nothing about this config.
    ///
    /// It is stored with a streak, and headers and body are secrets: 16 bits tell a change apart and give nothing away. Two
    /// requests with the same fingerprint make a streak one outcome too long, once in 65,535 changes.
    pub fn request_fingerprint(&self) -> u16 {
        let mut hash = Fnv::default();
        hash.part(self.url.as_bytes());
        hash.part(self.method.as_str().as_bytes());
        for (name, value) in &self.headers {
            hash.part(name.as_bytes());
            hash.part(value.reveal().as_bytes());
        }
        hash.part(self.body.as_ref().map_or("", |body| body.reveal()).as_bytes());
        let _ = write!(hash, "{}", self.expected_status); // hashing cannot fail
        hash.part(&[self.max_redirects]);
        u16::try_from(hash.0 % 65_535).unwrap_or(0) + 1
    }

    /// What [`decide`](crate::decide()) needs to know of the config.
    pub fn policy(&self) -> Policy<'_> {
        self.policy_with_fingerprint(self.request_fingerprint())
    }

    /// The same for a caller that has the fingerprint at hand.
    pub fn policy_with_fingerprint(&self, request_fingerprint: u16) -> Policy<'_> {
        Policy {
            api_id: &self.api_id,
            name: &self.name,
            url: &self.url,
            failure_threshold: self.failure_threshold,
            success_threshold: self.success_threshold,
            recheck: self.recheck,
            request_fingerprint,
        }
    }

    /// How long nothing can be told of it before that is told, from `now` on.
    pub fn unclear_after(&self, now: Moment) -> Duration {
        let intervals = || self.schedule.shortest_gap_from(now).saturating_mul(3).max(UNCLEAR_AFTER_MIN);
        self.unclear_after.unwrap_or_else(intervals)
    }

    /// The longest time from the start of an outage to the alert leaving, by this API's own rules:
    /// interval + (failure threshold − 1) × recheck + failure threshold × timeout.
    pub fn worst_detection(&self) -> Duration {
        let threshold = self.failure_threshold.max(1);
        self.schedule.longest_gap() + self.recheck * (threshold - 1) + self.timeout * threshold
    }
}

/// The part of a config that decisions hang on, borrowed from it.
#[derive(Clone, Copy, Debug)]
pub struct Policy<'a> {
    pub api_id: &'a ApiId,
    /// For the words of an alert.
    pub name: &'a str,
    /// For the words of an alert.
    pub url: &'a str,
    /// Fails in a row that confirm an outage; 0 is read as 1.
    pub failure_threshold: u32,
    /// Passes in a row that confirm a recovery; 0 is read as 1.
    pub success_threshold: u32,
    /// How soon a suspect is probed again.
    pub recheck: Duration,
    /// What is asked, as a number ([`ApiConfig::request_fingerprint`]).
    pub request_fingerprint: u16,
}

/// FNV-1a over several parts, each closed by a byte that no text has.
struct Fnv(u64);

impl Default for Fnv {
    fn default() -> Self {
        Self(0xcbf2_9ce4_8422_2325)
    }
}

impl fmt::Write for Fnv {
    fn write_str(&mut self, text: &str) -> fmt::Result {
        self.part(text.as_bytes());
        Ok(())
    }
}

impl Fnv {
    fn part(&mut self, bytes: &[u8]) {
        for byte in bytes.iter().chain(std::iter::once(&0xff)) {
            self.0 = (self.0 ^ u64::from(*byte)).wrapping_mul(0x0000_0100_0000_01b3);
        }
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

    #[test]
    fn another_question_has_another_number_and_a_name_or_a_tick_asks_nothing() {
        let api = crate::state::tests_support::config();
        let number = |change: &dyn Fn(&mut ApiConfig)| {
            let mut changed = api.clone();
            change(&mut changed);
            assert_eq!(changed.request_fingerprint() == api.request_fingerprint(), changed.same_request(&api));
            changed.request_fingerprint()
        };
        let same = number(&|_| {});
        assert_ne!(same, 0);
        assert_eq!(number(&|api| api.name = "other".into()), same);
        assert_ne!(number(&|api| api.url.push('x')), same);
        assert_ne!(number(&|api| api.method = Method::Head), same);
        assert_ne!(number(&|api| api.headers.push(("a".into(), Secret::new("b")))), same);
        assert_ne!(number(&|api| api.body = Some(Secret::new("b"))), same);
        assert_ne!(number(&|api| api.max_redirects = 3), same);
        assert_ne!(number(&|api| api.expected_status = StatusSet::parse("200").unwrap()), same);
    }

    #[test]
    fn methods_are_read_in_either_case() {
        assert_eq!(Method::parse("post"), Some(Method::Post));
        assert_eq!(Method::parse("TRACE"), None);
    }
}
