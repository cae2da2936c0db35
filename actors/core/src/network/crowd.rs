//! Whether so many APIs fail in one part at once, with nobody to speak against it, that it must be our own side.

use std::collections::HashMap;
use std::time::Duration;

use super::OwnPart;

/// So many APIs are a crowd …
pub const APIS_MIN: usize = 5;

/// … on so many addresses: many APIs behind one balancer fail with it.
pub const ADDRESSES_MIN: usize = 3;

/// A failure counts for this long, or for one interval of its API if that is longer.
pub const COUNTS_FOR: Duration = Duration::from_secs(60);

/// Addresses that are kept for one part; beyond that the one that failed longest ago goes.
const ADDRESSES_MAX: usize = 64;

/// How large a crowd is, counted as far as it takes to be one.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct CrowdSize {
    pub apis: usize,
    pub addresses: usize,
}

#[derive(Clone, Copy, Debug)]
struct Failed {
    api: u64,
    at: Duration,
    until: Duration,
}

/// The newest failures in each part, by address: no more of one address than make a crowd.
#[derive(Clone, Debug, Default)]
pub struct Crowd {
    failed: HashMap<OwnPart, HashMap<u64, Vec<Failed>>>,
}

impl Crowd {
    /// An API failed in this part; API and address are given as hashes. Whether there is a crowd now of those that failed after the
    /// last proof that all is well in this part.
    pub fn failed(
        &mut self,
        part: OwnPart,
        (api, address): (u64, u64),
        interval: Duration,
        well_at: Option<Duration>,
        now: Duration,
    ) -> Option<CrowdSize> {
        let by_address = self.failed.entry(part).or_default();
        let counts = |failed: &Failed| failed.until >= now && well_at.is_none_or(|at| failed.at > at);
        by_address.retain(|_, of_one| {
            of_one.retain(counts);
            !of_one.is_empty()
        });
        if by_address.len() >= ADDRESSES_MAX && !by_address.contains_key(&address) {
            let newest = |of_one: &Vec<Failed>| of_one.iter().map(|failed| failed.at).max();
            let oldest = by_address.iter().min_by_key(|(key, of_one)| (newest(of_one), **key)).map(|(key, _)| *key);
            oldest.and_then(|oldest| by_address.remove(&oldest));
        }
        let of_one = by_address.entry(address).or_default();
        of_one.retain(|failed| failed.api != api);
        if of_one.len() >= APIS_MIN {
            of_one.remove(0);
        }
        of_one.push(Failed { api, at: now, until: now.saturating_add(interval.max(COUNTS_FOR)) });
        let size = CrowdSize { apis: by_address.values().map(Vec::len).sum(), addresses: by_address.len() };
        (size.apis >= APIS_MIN && size.addresses >= ADDRESSES_MIN).then_some(size)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const PART: OwnPart = OwnPart::Lookup;

    fn at(seconds: u64) -> Duration {
        Duration::from_secs(seconds)
    }

    fn failed(crowd: &mut Crowd, who: (u64, u64), well_at: Option<u64>, now: u64) -> bool {
        crowd.failed(PART, who, at(10), well_at.map(at), at(now)).is_some()
    }

    #[test]
    fn five_apis_on_three_addresses_are_a_crowd_and_fewer_are_not() {
        let mut crowd = Crowd::default();
        let who = [(1, 1), (2, 1), (3, 2), (4, 2), (4, 2), (5, 2)];
        assert!(who.into_iter().all(|who| !failed(&mut crowd, who, None, 1)), "five APIs on two addresses");
        assert!(failed(&mut crowd, (6, 3), None, 2));
        let mut four = Crowd::default();
        assert!((0..4).all(|n| !failed(&mut four, (n, n), None, 1)), "four APIs on four addresses");
        let mut one = Crowd::default();
        assert!((0..1_000).all(|n| !failed(&mut one, (n, 7), None, 1)), "a thousand behind one address");
    }

    #[test]
    fn what_failed_before_a_proof_that_all_is_well_or_long_ago_does_not_count() {
        let mut crowd = Crowd::default();
        (0..4).for_each(|n| assert!(!failed(&mut crowd, (n, n), None, 1)));
        assert!(!failed(&mut crowd, (9, 9), Some(1), 2), "all was well meanwhile");
        let mut crowd = Crowd::default();
        (0..4).for_each(|n| assert!(!failed(&mut crowd, (n, n), None, 1)));
        assert!(!failed(&mut crowd, (9, 9), None, 62), "a minute ago");
        let mut rare = Crowd::default();
        (0..4).for_each(|n| assert_eq!(rare.failed(PART, (n, n), at(600), None, at(1)), None));
        assert!(rare.failed(PART, (9, 9), at(600), None, at(500)).is_some(), "within its interval");
    }

    #[test]
    fn one_part_says_nothing_of_another_and_what_is_kept_is_bounded() {
        let mut crowd = Crowd::default();
        (0..4).for_each(|n| assert!(!failed(&mut crowd, (n, n), None, 1)));
        assert_eq!(crowd.failed(OwnPart::Clock, (9, 9), at(10), None, at(1)), None);
        for n in 0..10_000 {
            failed(&mut crowd, (n, n % 1_000), None, 2);
        }
        assert!(crowd.failed[&PART].len() <= ADDRESSES_MAX);
        assert!(crowd.failed[&PART].values().all(|of_one| of_one.len() <= APIS_MIN));
    }
}
