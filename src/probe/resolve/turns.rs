//! Turns to look a name up. Names below one domain have a share of them, so that a zone whose name servers are dead keeps
//! nobody else waiting.

use std::sync::Arc;

use api_health_core::observation::LocalFault;
use tokio::time::Instant;

use crate::probe::turns;
pub(super) use crate::probe::turns::Turn;

/// Lookups under way at once. The cheap sort takes a socket or two each.
pub(super) const LOOKUPS_MAX: usize = 4_096;
/// Of them, below one domain.
pub(super) const DOMAIN_LOOKUPS_MAX: usize = 512;
/// Lookups under way at once through the system's resolver. Each holds a thread, and goes on when its exchange has given up; a
/// thread's pool of blocking threads has 512.
pub(super) const SYSTEM_LOOKUPS_MAX: usize = 448;
/// Of them, below one domain.
pub(super) const SYSTEM_DOMAIN_LOOKUPS_MAX: usize = 64;

#[derive(Clone)]
pub(super) struct Turns(Arc<turns::Turns>);

impl Turns {
    pub(super) fn new(all: usize, share: usize) -> Self {
        Self(Arc::new(turns::Turns::new(all, share)))
    }

    /// Waits for a turn to look `host` up.
    ///
    /// # Errors
    /// There was none in the first half of the time: in what is left after that, silence would say nothing.
    pub(super) async fn take(&self, host: &str, deadline: Instant) -> Result<Turn, LocalFault> {
        let now = Instant::now();
        let deadline = now + deadline.saturating_duration_since(now) / 2;
        let domain = domain(host);
        let Some(of_domain) = self.0.share(&domain).turn(deadline).await else {
            return Err(LocalFault::LookupShareFull { domain });
        };
        self.0.of_all(of_domain, deadline).await.ok_or(LocalFault::TooManyLookups)
    }
}

/// What countries call the domains that they have for trades: `co.uk`, `com.au`.
const TRADES: [&str; 10] = ["ac", "co", "com", "edu", "go", "gov", "ne", "net", "or", "org"];

/// What most likely has name servers of its own: the last two labels, or three below a country's domain for a trade.
/// Where that is wrong, strangers share turns that are enough for both.
fn domain(host: &str) -> String {
    let host = host.strip_suffix('.').unwrap_or(host).to_ascii_lowercase();
    let mut labels = host.rsplit('.');
    let kept = match (labels.next(), labels.next()) {
        (Some(country), Some(trade)) if country.len() == 2 && TRADES.contains(&trade) => 3,
        _ => 2,
    };
    match host.rmatch_indices('.').nth(kept - 1) {
        Some((at, _)) => host[at + 1..].to_owned(),
        None => host,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::time::Duration;

    fn soon() -> Instant {
        Instant::now() + Duration::from_secs(1)
    }

    #[test]
    fn a_domain_is_its_last_labels() {
        for (host, expected) in [
            ("a.b.Example.COM.", "example.com"),
            ("example.com", "example.com"),
            ("localhost", "localhost"),
            ("a.shop.co.uk", "shop.co.uk"),
            ("shop.co.uk", "shop.co.uk"),
            ("a.foo.io", "foo.io"),
            ("", ""),
        ] {
            assert_eq!(domain(host), expected, "{host}");
        }
    }

    #[tokio::test(start_paused = true)]
    async fn a_domain_has_its_share_and_others_do_not_wait_for_it() {
        let turns = Turns::new(3, 2);
        let first = turns.take("a.slow.test", soon()).await.unwrap();
        let _second = turns.take("b.slow.test", soon()).await.unwrap();
        let full = turns.take("c.slow.test", soon()).await.err();
        assert_eq!(full, Some(LocalFault::LookupShareFull { domain: "slow.test".into() }));
        let _other = turns.take("a.well.test", soon()).await.unwrap();
        assert_eq!(turns.take("b.well.test", soon()).await.err(), Some(LocalFault::TooManyLookups));
        drop(first);
        turns.take("c.slow.test", soon()).await.unwrap();
    }
}
