//! What one probe measured, in few bytes: shown in metrics until the next probe. Nothing is decided by it, and it is not stored.

use std::time::Duration;

use crate::api::IpFamily;
use crate::assertion::TlsVersion;
use crate::observation::{Phase, PhaseTimes};
use crate::time::Timestamp;

/// Bytes of it: there is one for each API, whether somebody looks or not.
pub const FIGURES_BYTES_MAX: usize = 64;

/// How long the phases of an exchange took together, over all its redirects. A phase that did not end is not in it.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct PhaseSums([u32; 5]);

#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct ProbeFigures {
    /// From start to end, whatever came of it.
    pub took_micros: u32,
    pub phases: PhaseSums,
    /// When the certificates that were shown end, in seconds since 1970: the first of all, and the first of those that were good.
    pub ends: Option<(u32, u32)>,
    /// Bytes of the body, as the head of the answer says; `None`: it does not.
    pub content_length: Option<u32>,
    /// Bytes of the body that were read, as they came.
    pub body_bytes: u32,
    /// `None`: there was no answer by HTTP.
    pub http_version: Option<HttpVersion>,
    /// Redirects that were followed.
    pub redirects: u8,
    /// `None`: it was not by TLS.
    pub tls: Option<TlsVersion>,
    /// Of the address that was connected to, where that was the API's own.
    pub family: Option<IpFamily>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum HttpVersion {
    V1_0,
    V1_1,
    V2,
}

impl HttpVersion {
    pub const ALL: [Self; 3] = [Self::V1_0, Self::V1_1, Self::V2];

    /// As it stands before the status: `HTTP/1.1`.
    pub fn of_status_line(line: &[u8]) -> Option<Self> {
        Self::ALL.into_iter().find(|version| {
            let rest = line.strip_prefix(b"HTTP/").and_then(|rest| rest.strip_prefix(version.as_str().as_bytes()));
            rest.is_some_and(|rest| matches!(rest, [b' ', ..] | []))
        })
    }

    pub const fn as_str(self) -> &'static str {
        match self {
            Self::V1_0 => "1.0",
            Self::V1_1 => "1.1",
            Self::V2 => "2",
        }
    }

    pub const fn number(self) -> f64 {
        match self {
            Self::V1_0 => 1.0,
            Self::V1_1 => 1.1,
            Self::V2 => 2.0,
        }
    }
}

/// When certificates end that a server showed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct CertificateEnds {
    /// The first of all that it showed.
    pub earliest: Timestamp,
    /// The first of those that were good when it showed them. A chain may hold one that is over and that nobody needs.
    pub of_chain: Timestamp,
}

impl ProbeFigures {
    pub fn took(&self) -> Duration {
        Duration::from_micros(self.took_micros.into())
    }

    #[must_use]
    pub fn with_took(self, took: Duration) -> Self {
        Self { took_micros: micros(took), ..self }
    }

    pub fn ends(&self) -> Option<CertificateEnds> {
        let at = |seconds: u32| Timestamp::from_millis(i64::from(seconds) * 1_000);
        self.ends.map(|(earliest, of_chain)| CertificateEnds { earliest: at(earliest), of_chain: at(of_chain) })
    }

    #[must_use]
    pub fn with_ends(self, ends: Option<CertificateEnds>) -> Self {
        let seconds = |at: Timestamp| u32::try_from((at.as_millis() / 1_000).max(0)).unwrap_or(u32::MAX);
        Self { ends: ends.map(|ends| (seconds(ends.earliest), seconds(ends.of_chain))), ..self }
    }

    /// What is longer than 4 GiB is told as that.
    #[must_use]
    pub fn with_lengths(self, content_length: Option<u64>, body_bytes: u64) -> Self {
        let bounded = |bytes: u64| u32::try_from(bytes).unwrap_or(u32::MAX);
        Self { content_length: content_length.map(bounded), body_bytes: bounded(body_bytes), ..self }
    }
}

impl PhaseSums {
    /// Adds the phases of one hop.
    pub fn add(&mut self, hop: &PhaseTimes) {
        let hop = [hop.resolve, hop.connect, hop.tls, hop.first_byte, hop.body];
        for (sum, time) in self.0.iter_mut().zip(hop) {
            // One that took less than a microsecond happened all the same.
            *sum = sum.saturating_add(time.map_or(0, |time| micros(time).max(1)));
        }
    }

    /// `None`: it did not happen, or did not end.
    pub fn get(&self, phase: Phase) -> Option<Duration> {
        let sum = self.0[phase as usize];
        (sum > 0).then(|| Duration::from_micros(sum.into()))
    }
}

fn micros(span: Duration) -> u32 {
    u32::try_from(span.as_micros()).unwrap_or(u32::MAX)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn it_is_small_since_there_is_one_for_each_api() {
        assert!(size_of::<ProbeFigures>() <= FIGURES_BYTES_MAX, "{}", size_of::<ProbeFigures>());
    }

    #[test]
    fn phases_are_summed_over_hops_and_those_that_did_not_happen_are_not_there() {
        let ms = |ms| Some(Duration::from_millis(ms));
        let mut sums = PhaseSums::default();
        sums.add(&PhaseTimes { connect: ms(3), first_byte: ms(5), ..PhaseTimes::default() });
        sums.add(&PhaseTimes { connect: ms(4), body: Some(Duration::ZERO), ..PhaseTimes::default() });
        let all =
            [Phase::Resolve, Phase::Connect, Phase::Tls, Phase::FirstByte, Phase::Body].map(|phase| sums.get(phase));
        assert_eq!(all, [None, ms(7), None, ms(5), Some(Duration::from_micros(1))]);
        sums.add(&PhaseTimes { connect: Some(Duration::MAX), ..PhaseTimes::default() });
        assert_eq!(sums.get(Phase::Connect), Some(Duration::from_micros(u32::MAX.into())));
    }

    #[test]
    fn what_is_put_in_comes_out_within_its_bounds() {
        let at = Timestamp::from_millis;
        let ends = CertificateEnds { earliest: at(-5), of_chain: at(1_795_332_600_250) };
        let figures = ProbeFigures::default()
            .with_took(Duration::from_millis(42))
            .with_ends(Some(ends))
            .with_lengths(Some(u64::MAX), 7);
        assert_eq!(figures.took(), Duration::from_millis(42));
        assert_eq!(figures.ends(), Some(CertificateEnds { earliest: at(0), of_chain: at(1_795_332_600_000) }));
        assert_eq!((figures.content_length, figures.body_bytes), (Some(u32::MAX), 7));
    }

    #[test]
    fn versions_are_read_off_the_status_line() {
        for (line, version) in [
            ("HTTP/1.1 200 OK", Some(HttpVersion::V1_1)),
            ("HTTP/1.0 200", Some(HttpVersion::V1_0)),
            ("HTTP/2 204", Some(HttpVersion::V2)),
            ("HTTP/1.2 200", None),
            ("HTTP/23 200", None),
            ("", None),
        ] {
            assert_eq!(HttpVersion::of_status_line(line.as_bytes()), version, "{line}");
        }
    }
}
