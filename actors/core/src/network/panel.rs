//! Which witnesses may vote, and what they say together.
//!
//! A witness that never answered in a part does not vote in it: it may be a gateway or a stub that never does. Nor does one that is gone
//! for good: who is ill again and again, though all was seen to be well in between, does not vote until it answers. The name servers of
//! this machine vote on the lookup of names in any case, since they are what every lookup hangs on.

use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

use super::crowd::CrowdSize;
use super::{OwnPart, Word, Zone};

/// Witnesses that are remembered of one part, and that are named.
pub const WITNESSES_MAX: usize = 32;

/// Who is ill so often in a row, though all was seen to be well in between, does not vote until it answers.
pub const ILL_MAX: u8 = 3;

/// Who is ill while all is well is asked again after this …
pub const ASKED_AGAIN_AFTER: Duration = Duration::from_secs(5);

/// … and this often when it does not vote any more.
pub const ASKED_RARELY: Duration = Duration::from_secs(60);

/// Witnesses that the words of a reason name; the others are counted.
const NAMED: usize = 3;

/// What one witness said, asked in one part.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Vote {
    /// What people call it: `name server 10.0.0.2`, `dynamodb.eu-central-1.amazonaws.com:443`.
    pub witness: String,
    /// It answered as it should: NOERROR or NXDOMAIN, a connection that was made or refused.
    pub is_well: bool,
    /// It is what this part hangs on by itself, and votes even if it never answered.
    pub is_the_part_itself: bool,
    /// How far away it is.
    pub zone: Zone,
}

/// What the witnesses said when they were asked.
pub type Ballot = Vec<Vote>;

/// What is known of a witness that has answered in one part.
#[derive(Clone, Copy, Debug)]
struct Answered {
    at: Duration,
    /// When it was found to be ill last since then, and in what part it had been asked.
    ill: Option<(OwnPart, Duration)>,
    /// How often it was ill again though all had been seen to be well since the time before.
    alone_ill: u8,
}

impl Answered {
    fn votes(&self) -> bool {
        self.alone_ill < ILL_MAX
    }

    /// It is ill; `well_at` is when all was seen to be well last in a part.
    fn is_ill(&mut self, part: OwnPart, well_at: &impl Fn(OwnPart) -> Option<Duration>, now: Duration) {
        let is_alone = self.ill.is_some_and(|(of, at)| well_at(of) >= Some(at));
        self.alone_ill = self.alone_ill.saturating_add(u8::from(is_alone));
        // What is seen in the neighbourhood says nothing of a witness in the internet.
        self.ill = Some((self.ill.map_or(part, |(of, _)| of.max(part)), now));
    }
}

/// Who of the witnesses has answered before, and in which part: a host that is reached over IPv4 may have no IPv6 at all.
#[derive(Clone, Debug, Default)]
pub struct Panel {
    answered: BTreeMap<OwnPart, BTreeMap<String, Answered>>,
}

impl Panel {
    /// Takes what the witnesses said when they were asked in this part at `now`; what comes of it is said of that moment. `well_at` is
    /// when all was seen to be well last in a part.
    ///
    /// Of the way into the internet a neighbour that is well says nothing but that other neighbours are ill by themselves.
    pub fn count(
        &mut self,
        part: OwnPart,
        ballot: Ballot,
        well_at: impl Fn(OwnPart) -> Option<Duration>,
        now: Duration,
    ) -> Testimony {
        // Of whom nothing is said any more nobody waits to hear.
        for of_part in self.answered.iter_mut().filter(|(of, _)| **of == anywhere(part)).map(|(_, of_part)| of_part) {
            of_part.retain(|witness, known| known.ill.is_none() || ballot.iter().any(|vote| vote.witness == *witness));
        }
        let mut testimony = Testimony::default();
        let (mut is_any_neighbour_well, mut ill_neighbours) = (false, Vec::new());
        for Vote { witness, is_well, is_the_part_itself, zone } in ballot {
            let is_neighbour = zone == Zone::Near && matches!(part, OwnPart::Connection(_, Zone::Far));
            if is_well {
                self.note_well(part, &witness, now);
                is_any_neighbour_well |= is_neighbour;
                if !is_neighbour {
                    testimony.well.push(witness);
                }
                continue;
            }
            let mut may_vote = is_the_part_itself;
            for (of, of_part) in self.answered.iter_mut().filter(|(of, _)| anywhere(part).is_vouched_for_by(**of)) {
                if let Some(known) = of_part.get_mut(&witness) {
                    known.is_ill(as_near_or_far(*of, part), &well_at, now);
                    may_vote |= known.votes();
                }
            }
            if may_vote {
                if is_neighbour { &mut ill_neighbours } else { &mut testimony.ill }.push(witness);
            }
        }
        if !is_any_neighbour_well {
            testimony.ill.append(&mut ill_neighbours);
        }
        testimony
    }

    fn note_well(&mut self, part: OwnPart, witness: &str, now: Duration) {
        let of_part = self.answered.entry(anywhere(part)).or_default();
        if of_part.len() >= WITNESSES_MAX && !of_part.contains_key(witness) {
            let oldest = of_part.iter().min_by_key(|(_, known)| known.at).map(|(oldest, _)| oldest.clone());
            oldest.and_then(|oldest| of_part.remove(&oldest));
        }
        of_part.insert(witness.to_owned(), Answered { at: now, ill: None, alone_ill: 0 });
    }

    /// The parts in which the witnesses are to be asked again though all is well, since one of them was ill.
    pub fn asks(&self, well_at: impl Fn(OwnPart) -> Option<Duration>, now: Duration) -> Vec<OwnPart> {
        let is_due = |known: &Answered| {
            let wait = if known.votes() { ASKED_AGAIN_AFTER } else { ASKED_RARELY };
            let (of, at) = known.ill?;
            (well_at(of) >= Some(at) && now >= at.saturating_add(wait)).then_some(of)
        };
        let due: BTreeSet<OwnPart> =
            self.answered.values().flat_map(|of_part| of_part.values().filter_map(is_due)).collect();
        due.into_iter().collect()
    }
}

/// The same part, near or far: it is the same host that is asked.
fn anywhere(part: OwnPart) -> OwnPart {
    as_near_or_far(part, OwnPart::NETWORK)
}

/// The part `of`, as near or far as `part` is.
fn as_near_or_far(of: OwnPart, part: OwnPart) -> OwnPart {
    match (of, part) {
        (OwnPart::Connection(family, _), OwnPart::Connection(_, zone)) => OwnPart::Connection(family, zone),
        _ => of,
    }
}

/// What the witnesses say of one part, at one moment.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Testimony {
    /// Those that are well.
    pub well: Vec<String>,
    /// Those that vote and are not.
    pub ill: Vec<String>,
    /// This part was at fault when the exchange began, and is not any more.
    pub is_well_again: bool,
    /// The APIs that fail in this part at once, if they are a crowd.
    pub crowd: Option<CrowdSize>,
}

impl Testimony {
    /// That of another API, which was reached, or looked up, or whose certificate was good at that time.
    pub fn of_another_api() -> Self {
        Self { well: vec!["another API".into()], ..Self::default() }
    }

    /// What they say, all in all.
    pub fn word(&self) -> Word {
        if self.is_well_again {
            Word::WellAgain
        } else if !self.well.is_empty() {
            Word::Well
        } else if !self.ill.is_empty() {
            Word::Ill
        } else if self.crowd.is_some() {
            Word::Crowd
        } else {
            Word::Nothing
        }
    }

    /// Why a failure in this part is ours, to stand after its own words.
    pub fn words(&self, part: OwnPart) -> String {
        format!("this is due to {part} of this machine, by all signs: {}", self.grounds(part))
    }

    /// What of ours is at fault, and how that is known.
    pub fn fault(&self, part: OwnPart) -> String {
        format!("{part} of this machine is at fault, by all signs: {}", self.grounds(part))
    }

    fn grounds(&self, part: OwnPart) -> String {
        if self.is_well_again {
            return "it was at fault when this probe began".into();
        }
        if self.ill.is_empty() {
            let CrowdSize { apis, addresses } = self.crowd.unwrap_or_default();
            return format!("{apis} APIs or more on {addresses} addresses fail so at once");
        }
        let mut named = self.ill.iter().take(NAMED).cloned().collect::<Vec<_>>().join(", ");
        if let Some(more) = self.ill.len().checked_sub(NAMED).filter(|more| *more > 0) {
            named.push_str(&format!(" and {more} more"));
        }
        if part == OwnPart::Clock { named } else { format!("no answer from {named}") }
    }
}

#[cfg(test)]
mod tests {
    use super::super::Family;
    use super::*;

    fn vote(witness: &str, is_well: bool) -> Vote {
        Vote { witness: witness.into(), is_well, is_the_part_itself: false, zone: Zone::Far }
    }

    fn near(witness: &str, is_well: bool) -> Vote {
        Vote { zone: Zone::Near, ..vote(witness, is_well) }
    }

    fn at(seconds: u64) -> Duration {
        Duration::from_secs(seconds)
    }

    /// Asked in this part, while nothing is known to be well.
    fn count(panel: &mut Panel, part: OwnPart, ballot: Ballot) -> Testimony {
        panel.count(part, ballot, |_| None, at(1))
    }

    #[test]
    fn who_never_answered_does_not_vote_and_who_did_once_does() {
        let (mut panel, part) = (Panel::default(), OwnPart::NETWORK);
        let ballot = |server| vec![vote("gateway", false), vote("server", server)];
        assert_eq!(count(&mut panel, part, ballot(false)).word(), Word::Nothing);
        assert_eq!(count(&mut panel, part, ballot(true)).word(), Word::Well);
        let ill = count(&mut panel, part, ballot(false));
        assert_eq!((ill.word(), &ill.ill[..]), (Word::Ill, &["server".to_owned()][..]));
    }

    #[test]
    fn who_answered_in_one_part_does_not_vote_in_another() {
        let (v4, v6) = (|zone| OwnPart::Connection(Family::Ipv4, zone), OwnPart::Connection(Family::Ipv6, Zone::Far));
        let mut panel = Panel::default();
        count(&mut panel, v4(Zone::Near), vec![vote("server", true)]);
        for (part, word) in [
            (v6, Word::Nothing),
            (OwnPart::Lookup, Word::Nothing),
            (v4(Zone::Far), Word::Ill),
            (v4(Zone::Near), Word::Ill),
            (OwnPart::NETWORK, Word::Ill),
        ] {
            assert_eq!(count(&mut panel, part, vec![vote("server", false)]).word(), word, "{part:?}");
        }
    }

    #[test]
    fn a_neighbour_that_is_well_says_nothing_of_the_internet_and_one_that_is_ill_does() {
        let (far, lookup) = (OwnPart::Connection(Family::Ipv4, Zone::Far), OwnPart::Lookup);
        let mut panel = Panel::default();
        let all = |gateway, second, internet| {
            vec![near("gateway", gateway), near("second", second), vote("internet", internet)]
        };
        for part in [OwnPart::Connection(Family::Ipv4, Zone::Near), OwnPart::NETWORK, lookup] {
            assert_eq!(count(&mut panel, part, vec![near("gateway", true), near("second", true)]).word(), Word::Well);
        }
        let beside = count(&mut panel, far, vec![near("gateway", true), near("second", true)]);
        assert_eq!((beside.word(), beside.well.len()), (Word::Nothing, 0));
        let ill = count(&mut panel, far, vec![near("gateway", false), near("second", false)]);
        assert_eq!((ill.word(), ill.ill.len()), (Word::Ill, 2), "nothing leaves this machine");
        let one = count(&mut panel, far, vec![near("gateway", true), near("second", false)]);
        assert_eq!(one.word(), Word::Nothing, "it is gone by itself");
        assert_eq!(count(&mut panel, far, all(true, true, true)).well, ["internet"]);
        let cut = count(&mut panel, far, all(true, false, false));
        assert_eq!((cut.word(), &cut.ill[..]), (Word::Ill, &["internet".to_owned()][..]), "behind the gateway");
    }

    #[test]
    fn a_neighbour_that_was_ill_in_the_way_to_the_internet_is_known_to_be_well_again() {
        let (mut panel, part) = (Panel::default(), OwnPart::Connection(Family::Ipv4, Zone::Far));
        for second in [10, 20, 30, 40, 50] {
            panel.count(part, vec![near("gateway", true)], |_| None, at(second));
            let well_at = |_| Some(at(second + 1));
            assert_eq!(panel.count(part, vec![near("gateway", false)], well_at, at(second + 2)).word(), Word::Ill);
        }
    }

    #[test]
    fn who_is_ill_though_all_is_well_is_asked_again_and_votes_no_more_until_it_answers() {
        let (mut panel, part) = (Panel::default(), OwnPart::Connection(Family::Ipv4, Zone::Far));
        count(&mut panel, part, vec![vote("server", true), vote("good", true)]);
        let ask = |panel: &mut Panel, server, well: u64, now| {
            panel.count(part, vec![vote("server", server)], |of| (of == part).then_some(at(well)), at(now)).word()
        };
        assert_eq!(ask(&mut panel, false, 5, 10), Word::Ill);
        let asks = |panel: &Panel, well: u64, now| panel.asks(|of| (of == part).then_some(at(well)), at(now));
        assert_eq!(asks(&panel, 5, 100), [], "nothing says that all is well");
        assert_eq!((asks(&panel, 11, 14), asks(&panel, 11, 15)), (vec![], vec![part]));
        assert_eq!(ask(&mut panel, false, 11, 20), Word::Ill);
        assert_eq!(ask(&mut panel, false, 11, 25), Word::Ill, "the same proof counts once");
        assert_eq!(ask(&mut panel, false, 26, 30), Word::Ill);
        assert_eq!(ask(&mut panel, false, 31, 40), Word::Nothing);
        assert_eq!((asks(&panel, 41, 99), asks(&panel, 41, 100)), (vec![], vec![part]), "it may come back");
        assert_eq!(ask(&mut panel, true, 41, 100), Word::Well);
        assert_eq!((ask(&mut panel, false, 41, 110), asks(&panel, 41, 1_000)), (Word::Ill, vec![]));
        // Who was taken out of the settings is waited for by nobody.
        panel.count(part, vec![vote("good", true)], |_| None, at(120));
        assert_eq!(asks(&panel, 130, 1_000), []);
    }

    #[test]
    fn a_name_server_votes_on_lookups_though_it_never_answered() {
        let silent = Vote { is_the_part_itself: true, ..vote("name server 127.0.0.1", false) };
        let ill = count(&mut Panel::default(), OwnPart::Lookup, vec![silent]);
        assert_eq!(ill.word(), Word::Ill);
        assert!(
            ill.words(OwnPart::Lookup).ends_with("no answer from name server 127.0.0.1"),
            "{}",
            ill.words(OwnPart::Lookup)
        );
    }

    #[test]
    fn what_is_remembered_is_bounded_and_so_are_the_words() {
        let (mut panel, part) = (Panel::default(), OwnPart::Lookup);
        let many = |is_well| (0..100).map(|n| vote(&format!("w{n:03}"), is_well)).collect::<Ballot>();
        assert_eq!(count(&mut panel, part, many(true)).well.len(), 100);
        let ill = count(&mut panel, part, many(false));
        assert_eq!(ill.ill.len(), WITNESSES_MAX);
        assert!(ill.words(OwnPart::Lookup).ends_with(" and 29 more"));
        // Names of APIs that come and go push nobody out who answers.
        for n in 0..100_u64 {
            let ballot = vec![vote(&format!("the name {n}"), true), vote("server", true)];
            panel.count(part, ballot, |_| None, at(10 + n));
        }
        assert_eq!(panel.count(part, vec![vote("server", false)], |_| None, at(200)).word(), Word::Ill);
    }
}
