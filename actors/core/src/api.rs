//! What is watched: one configured API, validated. Rows as people write them are read in `src/configs`.

use std::fmt::{self, Write as _};
use std::net::IpAddr;
use std::sync::Arc;
use std::time::Duration;

use crate::asking::{Asking, Protocol};
use crate::assertion::Assertion;
use crate::flap::FlapPolicy;
use crate::hold::Hold;
use crate::maintenance::Window;
use crate::schedule::{Moment, Schedule, patient_wait, recheck_wait};
use crate::secret::Secret;
use crate::status_set::StatusSet;

pub use crate::api_id::ApiId;

/// Nothing is alerted as unclear sooner than this, unless its row says so.
pub const UNCLEAR_AFTER_MIN: Duration = Duration::from_secs(300);

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

/// Which family of internet addresses a name may be reached by.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
pub enum IpFamily {
    /// Whichever the name has and this machine can reach.
    #[default]
    Any,
    Ipv4,
    Ipv6,
}

impl IpFamily {
    /// Every choice, in the order in which documentation lists them.
    pub const ALL: [Self; 3] = [Self::Any, Self::Ipv4, Self::Ipv6];

    /// As it stands in a row.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Any => "any",
            Self::Ipv4 => "ipv4",
            Self::Ipv6 => "ipv6",
        }
    }

    /// The one family that `address` is of.
    pub const fn of(address: IpAddr) -> Self {
        match address {
            IpAddr::V4(_) => Self::Ipv4,
            IpAddr::V6(_) => Self::Ipv6,
        }
    }

    /// Whether an address of that family may be used.
    pub fn takes(self, address: IpAddr) -> bool {
        self == Self::Any || self == Self::of(address)
    }
}

/// As it stands in a sentence.
impl fmt::Display for IpFamily {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Any => "IP",
            Self::Ipv4 => "IPv4",
            Self::Ipv6 => "IPv6",
        })
    }
}

/// One API, validated: what to request, how often, and what to expect.
#[derive(Clone, Debug, PartialEq)]
pub struct ApiConfig {
    pub api_id: ApiId,
    /// Shared with the id, where that is all there is.
    pub name: Arc<str>,
    /// Without user name or fragment. `***` stands in the place of a secret.
    pub url: String,
    pub method: Method,
    /// Request headers, by name. Every value is treated as a secret.
    pub headers: Vec<(String, Secret)>,
    pub body: Option<Secret>,
    /// The status codes that count as a pass.
    pub expected_status: StatusSet,
    /// What is expected beyond the status; all of it has to hold. Shared, since thousands of rows often expect the same.
    pub assertions: Vec<Arc<Assertion>>,
    /// It is alerted when its certificate ends in so many days. Shared as well.
    pub certificate_days: Arc<[u16]>,
    /// Bound on the whole exchange, from name resolution to the last byte.
    pub timeout: Duration,
    /// How many redirects are followed; 0 judges the redirect itself.
    pub max_redirects: u8,
    /// Which addresses of its name are used.
    pub ip_family: IpFamily,
    /// By way of which proxy it is asked, or `none`; `None` goes by what is set for all. It may hold a password.
    pub proxy: Option<Secret>,
    /// What no plain request has.
    pub asking: Option<Box<Asking>>,
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
    /// How long it cannot be judged before that is alerted; `None`: three of its intervals, and [`UNCLEAR_AFTER_MIN`] at least.
    pub unclear_after: Option<Duration>,
    /// Free words for people and filters.
    pub tags: Vec<String>,
    /// It stands on the public page, by its name alone.
    pub public: bool,
    /// When its alerts are held, or repeated. Shared, since nearly all rows have the same.
    pub alerting: Arc<Alerting>,
}

/// When alerts of an API are held, or repeated.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Alerting {
    /// Its maintenance windows.
    pub maintenance: Vec<Window>,
    /// The APIs that it needs: while one of them is down, its alerts are held.
    pub depends_on: Vec<ApiId>,
    /// When it counts as flapping; `None`: never.
    pub flap: Option<FlapPolicy>,
    /// How long after an outage began people are reminded of it; each further pause is twice as long. `None`: never.
    pub remind_after: Option<Duration>,
}

impl ApiConfig {
    /// A GET of `url` that expects 200, called by its id, with the built-in value of whatever else a row may say.
    pub fn plain(api_id: ApiId, url: String, schedule: Arc<Schedule>) -> Self {
        Self {
            name: api_id.shared(),
            api_id,
            url,
            method: Method::Get,
            headers: Vec::new(),
            body: None,
            expected_status: StatusSet::default(),
            assertions: Vec::new(),
            certificate_days: [].into(),
            timeout: Duration::from_secs(10),
            max_redirects: 0,
            ip_family: IpFamily::Any,
            proxy: None,
            asking: None,
            schedule,
            enabled: true,
            failure_threshold: 2,
            success_threshold: 2,
            recheck: Duration::from_secs(5),
            unclear_after: None,
            tags: Vec::new(),
            public: false,
            alerting: Arc::default(),
        }
    }

    /// Whether both configs send the same request and expect the same of it, so that outcomes by one say something about the other.
    pub fn same_request(&self, other: &Self) -> bool {
        self.url == other.url
            && self.method == other.method
            && self.headers == other.headers
            && self.body == other.body
            && self.expected_status == other.expected_status
            && self.assertions == other.assertions
            && self.max_redirects == other.max_redirects
            && self.ip_family == other.ip_family
            && self.proxy == other.proxy
            && self.asking == other.asking
    }

    /// A fingerprint of the request and of what is expected of the response, never 0: outcomes with another one say nothing about
    /// this config.
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
        if self.ip_family != IpFamily::Any {
            hash.part(self.ip_family.as_str().as_bytes()); // else the number is what it was before there was a choice
        }
        if let Some(proxy) = &self.proxy {
            hash.part(proxy.reveal().as_bytes()); // without one, the fingerprint is that of earlier versions
        }
        self.assertions.iter().for_each(|assertion| hash.part(assertion.as_str().as_bytes()));
        if let Some(asking) = &self.asking {
            asking.parts().into_iter().for_each(|part| hash.part(part.as_bytes())); // likewise
        }
        u16::try_from(hash.0 % 65_535).unwrap_or(0) + 1
    }

    /// What is done to ask it.
    pub fn protocol(&self) -> Protocol {
        self.asking.as_ref().map_or(Protocol::Http, |asking| asking.protocol)
    }

    /// The URL with its secrets: for the wire alone.
    pub fn whole_url(&self) -> &str {
        let secret = self.asking.as_ref().and_then(|asking| asking.secret_url.as_ref());
        secret.map_or(&self.url, Secret::reveal)
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
            flap: self.alerting.flap,
            remind_after: self.alerting.remind_after,
            hold: None,
        }
    }

    /// How long after an outcome at `now` that leaves it suspect it is asked again: never slower than its schedule itself.
    pub fn recheck_wait(&self, now: Moment) -> Duration {
        recheck_wait(self.recheck.min(self.schedule.shortest_gap_from(now)), &self.api_id)
    }

    /// The same where it asked not to be asked again for that long: at its own next tick at the latest, so that whoever asks for a day
    /// is not left alone for so long.
    pub fn patient_wait(&self, patience: Duration, now: Moment) -> Duration {
        patient_wait(patience, &self.api_id).min(self.schedule.shortest_gap_from(now))
    }

    /// How long it cannot be judged before that is alerted, from `now` on.
    pub fn unclear_after(&self, now: Moment) -> Duration {
        let intervals = || self.schedule.shortest_gap_from(now).saturating_mul(3).max(UNCLEAR_AFTER_MIN);
        self.unclear_after.unwrap_or_else(intervals)
    }

    /// The longest time from the start of an outage to its alert, by this API's own rules:
    /// interval + (failure threshold − 1) × recheck + failure threshold × timeout.
    pub fn worst_detection(&self) -> Duration {
        let threshold = self.failure_threshold.max(1);
        self.schedule.longest_gap() + self.recheck * (threshold - 1) + self.timeout * threshold
    }
}

/// The part of a config that decisions depend on.
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
    /// See [`ApiConfig::request_fingerprint`].
    pub request_fingerprint: u16,
    /// See [`Alerting`].
    pub flap: Option<FlapPolicy>,
    pub remind_after: Option<Duration>,
    /// What holds its alerts now, beside flapping.
    pub hold: Option<&'a Hold>,
}

/// FNV-1a over several parts, each ended by a byte that no text has.
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
    fn another_request_has_another_fingerprint_and_a_name_does_not_matter() {
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
        assert_ne!(number(&|api| api.ip_family = IpFamily::Ipv6), same);
        assert_ne!(number(&|api| api.proxy = Some(Secret::new("none"))), same);
        let tcp = Asking { protocol: Protocol::Tcp, ..Asking::default() };
        assert_ne!(number(&|api| api.asking = Some(Box::new(tcp.clone()))), same);
        assert_ne!(number(&|api| api.expected_status = StatusSet::parse("200").unwrap()), same);
        assert_ne!(number(&|api| api.assertions = vec![Arc::new(Assertion::parse("body contains a").unwrap())]), same);
        assert_eq!(number(&|api| api.certificate_days = [30].into()), same);
    }

    #[test]
    fn methods_are_read_in_either_case() {
        assert_eq!(Method::parse("post"), Some(Method::Post));
        assert_eq!(Method::parse("TRACE"), None);
    }
}
