//! What was seen of an API when its status changed, so that whoever is woken can judge without asking the API again.
//!
//! The probe hands over raw facts ([`Seen`]); here they become text that may be shown: bounded, without the secrets of the row, and
//! without what steers a terminal. It is kept with the incident and goes with it, and each alert carries that of its own change.

use std::net::{IpAddr, SocketAddr};
use std::time::Duration;

use crate::api::ApiConfig;
use crate::masking::{Masking, without_queries};
use crate::network::Testimony;
use crate::observation::{Answer, Observation, PhaseTimes};
use crate::text;
use crate::time::Timestamp;
use crate::words::{millis, moment};

/// Addresses of a name that are kept: as many as most names have; the others are counted.
pub const ADDRESSES_MAX: usize = 6;

/// Witnesses that are kept of those that were well, and of those that were not; the others are counted.
pub const WITNESSES_MAX: usize = 3;

/// Bytes of the name of a witness: a host of AWS with its port has about fifty.
pub const WITNESS_BYTES_MAX: usize = 64;

/// Bytes of a status line: the longest reason phrase of a standard takes half.
pub const STATUS_LINE_BYTES_MAX: usize = 80;

/// Bytes of the name in a certificate.
pub const NAME_BYTES_MAX: usize = 80;

/// Bytes of a body's beginning that are shown: a line or two say whose page it is.
pub const BODY_SHOWN_BYTES_MAX: usize = 200;

/// Bytes of a body's beginning that a probe keeps: white space and secrets, which shrink, may stand in what is shown.
pub const BODY_KEPT_BYTES_MAX: usize = 512;

/// Raw facts of one exchange, beside those of its [`Observation`].
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Seen {
    /// What the name was found to lead to.
    pub addresses: Vec<IpAddr>,
    /// As it was on the wire; empty where no head came.
    pub status_line: Vec<u8>,
    /// The first bytes of the body, at most [`BODY_KEPT_BYTES_MAX`].
    pub body_start: Vec<u8>,
    /// More of the body came than that.
    pub body_goes_on: bool,
    /// The certificate that the server showed, good or not.
    pub certificate: Option<Certificate>,
}

/// What a certificate says of itself.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Certificate {
    pub subject: String,
    pub issuer: String,
    pub not_before: Timestamp,
    pub not_after: Timestamp,
}

/// What was seen, ready to be shown and stored.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Evidence {
    /// When that exchange ended.
    pub seen_at: Timestamp,
    pub addresses: Vec<IpAddr>,
    /// How many more the name has.
    pub more_addresses: u16,
    /// The one that answered, or was tried last.
    pub address: Option<SocketAddr>,
    /// In whole microseconds.
    pub phases: PhaseTimes,
    pub status_line: Option<String>,
    pub certificate: Option<Certificate>,
    /// How the body begins.
    pub body_start: Option<String>,
    /// Those who were asked whether our own side is well, and said that it is.
    pub well: Vec<String>,
    /// Those that did not.
    pub ill: Vec<String>,
}

impl Evidence {
    /// What `observation` of `config` shows, with its raw facts.
    pub fn of(config: &ApiConfig, observation: &Observation, seen: &Seen) -> Self {
        let masking = if seen.status_line.is_empty() { Masking::default() } else { Masking::of(config) };
        let shown = |raw: &[u8], is_cut: bool, bytes_max: usize| {
            let open = masking.hide(raw, is_cut);
            let line = text::line(&without_queries(&String::from_utf8_lossy(&open)), bytes_max + 1);
            Some(text::within(line, bytes_max)).filter(|line| !line.is_empty())
        };
        let name = |name: &str| text::within(text::line(name, NAME_BYTES_MAX + 1), NAME_BYTES_MAX);
        let body_start = match &observation.answer {
            Answer::Response(response) => {
                shown(&seen.body_start, seen.body_goes_on || response.body_cut_at_bound, BODY_SHOWN_BYTES_MAX)
            }
            Answer::Connected { .. } | Answer::Records(_) => None,
            Answer::Failure(_) => shown(&seen.body_start, true, BODY_SHOWN_BYTES_MAX),
        };
        Self {
            seen_at: observation.finished_at,
            addresses: seen.addresses.iter().take(ADDRESSES_MAX).copied().collect(),
            more_addresses: u16::try_from(seen.addresses.len().saturating_sub(ADDRESSES_MAX)).unwrap_or(u16::MAX),
            address: observation.address,
            phases: in_microseconds(observation.phases),
            status_line: shown(&seen.status_line, false, STATUS_LINE_BYTES_MAX),
            certificate: seen.certificate.as_ref().map(|certificate| Certificate {
                subject: name(&certificate.subject),
                issuer: name(&certificate.issuer),
                ..certificate.clone()
            }),
            body_start,
            well: Vec::new(),
            ill: Vec::new(),
        }
    }

    /// What there is to know of it, one thing a line.
    pub fn facts(&self) -> Vec<(&'static str, String)> {
        let line = |stored: &String| text::line(stored, stored.len());
        let answer = self.status_line.as_ref().map_or_else(|| "no answer".to_owned(), line);
        let all = self.addresses.len() + usize::from(self.more_addresses);
        let answered = match self.address {
            Some(address) if all > 1 => format!("{answer}, from {address}, one of {all} addresses"),
            Some(address) => format!("{answer}, from {address}"),
            None if all > 0 => format!("{answer}; its name has {all} addresses"),
            None => answer,
        };
        let mut facts = vec![("Seen", answered)];
        let PhaseTimes { resolve, connect, tls, first_byte, body } = self.phases;
        let phases =
            [("name", resolve), ("connect", connect), ("TLS", tls), ("first byte", first_byte), ("body", body)];
        let times: Vec<String> =
            phases.iter().filter_map(|(phase, time)| Some(format!("{phase} {}", millis((*time)?)))).collect();
        if !times.is_empty() {
            facts.push(("Took", times.join(", ")));
        }
        if let Some(certificate) = &self.certificate {
            let day = |at| moment(at).split(' ').next().unwrap_or_default().to_owned();
            let (subject, issuer) = (line(&certificate.subject), line(&certificate.issuer));
            let (from, to) = (day(certificate.not_before), day(certificate.not_after));
            facts.push(("Certificate", format!("of {subject}, by {issuer}, from {from} to {to}")));
        }
        if let Some(body) = &self.body_start {
            facts.push(("Body", line(body)));
        }
        let witnesses = [("well", &self.well), ("not well", &self.ill)];
        let said: Vec<String> = witnesses
            .iter()
            .filter(|(_, names)| !names.is_empty())
            .map(|(word, names)| format!("{word}: {}", names.iter().map(line).collect::<Vec<_>>().join(", ")))
            .collect();
        if !said.is_empty() {
            facts.push(("Witnesses", said.join("; ")));
        }
        facts
    }

    /// Notes what the witnesses said of that exchange.
    pub fn note_witnesses(&mut self, testimony: &Testimony) {
        self.well = named(&testimony.well);
        self.ill = named(&testimony.ill);
    }
}

/// The first of them, and how many more there are.
fn named(all: &[String]) -> Vec<String> {
    let name = |name: &String| text::within(text::line(name, WITNESS_BYTES_MAX + 1), WITNESS_BYTES_MAX);
    let more = all.len().saturating_sub(WITNESSES_MAX);
    let more = (more > 0).then(|| format!("{more} more"));
    all.iter().take(WITNESSES_MAX).map(name).chain(more).collect()
}

/// So that what is stored is read back equal; beyond an hour it says an hour.
fn in_microseconds(times: PhaseTimes) -> PhaseTimes {
    let whole =
        |time: Duration| Duration::from_micros(u64::try_from(time.as_micros()).unwrap_or(u64::MAX).min(3_600_000_000));
    PhaseTimes {
        resolve: times.resolve.map(whole),
        connect: times.connect.map(whole),
        tls: times.tls.map(whole),
        first_byte: times.first_byte.map(whole),
        body: times.body.map(whole),
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;
    use crate::observation::Response;
    use crate::secret::Secret;
    use crate::state::tests_support::config;

    fn observation() -> Observation {
        let answer = Answer::Response(Response { status: 503, ..Response::default() });
        Observation {
            finished_at: Timestamp::from_millis(1_042),
            took: Duration::from_millis(42),
            phases: PhaseTimes { connect: Some(Duration::from_nanos(1_234_567)), ..PhaseTimes::default() },
            address: Some(([10, 0, 0, 2], 443).into()),
            ..Observation::new(answer, Timestamp::from_millis(1_000))
        }
    }

    #[test]
    fn what_is_shown_is_one_safe_line_without_the_secrets_of_the_row() {
        let api = ApiConfig { headers: vec![("X-Key".into(), Secret::new("hunter22"))], ..config() };
        let seen = Seen {
            addresses: (1..=8).map(|n| IpAddr::from([10, 0, 0, n])).collect(),
            status_line: b"HTTP/1.1 503 No \x1b[31mhunter22".to_vec(),
            body_start: b"<h1>\r\n\tdown\xff\xe2\x80\xaehunter22</h1> /x?t=1 hunt".to_vec(),
            body_goes_on: true,
            certificate: None,
        };
        let mut evidence = Evidence::of(&api, &observation(), &seen);
        assert_eq!(evidence.status_line.as_deref(), Some("HTTP/1.1 503 No \u{fffd}[31m***"));
        assert_eq!(evidence.body_start.as_deref(), Some("<h1> down\u{fffd}\u{fffd}***</h1> /x?*** ***"));
        assert_eq!((evidence.addresses.len(), evidence.more_addresses), (6, 2));
        assert_eq!(evidence.phases.connect, Some(Duration::from_micros(1_234)));
        let many = (0..5).map(|n| format!("w{n}")).collect();
        evidence.note_witnesses(&Testimony { well: many, ..Testimony::default() });
        assert_eq!((&evidence.well[..], evidence.ill.len()), (&["w0", "w1", "w2", "2 more"].map(str::to_owned)[..], 0));
    }

    proptest! {
        #[test]
        fn whatever_came_keeps_its_bounds(
            line in proptest::collection::vec(any::<u8>(), 0..300), body in proptest::collection::vec(any::<u8>(), 0..BODY_KEPT_BYTES_MAX),
            name in "(\\PC|\\pC|🦀){0,120}", count in 0_usize..100, goes_on: bool,
        ) {
            let certificate = Certificate {
                subject: name.clone(), issuer: name.clone(), not_before: Timestamp::default(), not_after: Timestamp::default(),
            };
            let seen = Seen {
                addresses: vec![IpAddr::from([0; 16]); count],
                status_line: line, body_start: body, body_goes_on: goes_on, certificate: Some(certificate),
            };
            let mut evidence = Evidence::of(&config(), &observation(), &seen);
            let testimony = Testimony { well: vec![name.clone(); count], ill: vec![name; count], ..Testimony::default() };
            evidence.note_witnesses(&testimony);
            let is_safe = |text: &str, bytes_max: usize| text.len() <= bytes_max && text::line(text, bytes_max) == text;
            let certificate = evidence.certificate.as_ref().unwrap();
            prop_assert!(is_safe(&certificate.subject, NAME_BYTES_MAX) && is_safe(&certificate.issuer, NAME_BYTES_MAX));
            prop_assert!(evidence.status_line.iter().all(|line| is_safe(line, STATUS_LINE_BYTES_MAX)));
            prop_assert!(evidence.body_start.iter().all(|start| is_safe(start, BODY_SHOWN_BYTES_MAX)));
            prop_assert!(evidence.well.iter().chain(&evidence.ill).all(|name| is_safe(name, WITNESS_BYTES_MAX)));
            prop_assert!(evidence.addresses.len() <= ADDRESSES_MAX && evidence.well.len() <= WITNESSES_MAX + 1);
        }
    }
}
