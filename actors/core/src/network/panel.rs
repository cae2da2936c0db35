//! Which witnesses may vote, and what they say together.
//!
//! A witness that never answered does not vote: it may be a gateway or a stub that never does. The name servers of this machine
//! vote on the lookup of names in any case, since they are what every lookup hangs on.

use std::collections::BTreeSet;

use super::crowd::CrowdSize;
use super::{Way, Word};

/// Witnesses whose answers are remembered, and that are named.
pub const WITNESSES_MAX: usize = 32;

/// Witnesses that the words of a reason name; the others are counted.
const NAMED: usize = 3;

/// What one witness said, asked in one way.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Vote {
    /// What people call it: `name server 10.0.0.2`, `dynamodb.eu-central-1.amazonaws.com:443`.
    pub witness: String,
    /// It answered as it should: NOERROR or NXDOMAIN, a connection that was made or refused.
    pub is_well: bool,
    /// It is what this way hangs on by itself, and votes even if it never answered.
    pub is_the_way_itself: bool,
}

/// What the witnesses said when they were asked.
pub type Ballot = Vec<Vote>;

/// Who of the witnesses has answered before.
#[derive(Clone, Debug, Default)]
pub struct Panel {
    answered: BTreeSet<String>,
}

impl Panel {
    /// Takes what the witnesses said; what comes of it is said of the moment at which they were asked.
    pub fn count(&mut self, ballot: Ballot) -> Testimony {
        let mut testimony = Testimony::default();
        for Vote { witness, is_well, is_the_way_itself } in ballot {
            let may_vote = is_well || is_the_way_itself || self.answered.contains(&witness);
            if is_well && self.answered.len() < WITNESSES_MAX {
                self.answered.insert(witness.clone());
            }
            match (may_vote, is_well) {
                (false, _) => {}
                (true, true) => testimony.well.push(witness),
                (true, false) => testimony.ill.push(witness),
            }
        }
        testimony
    }
}

/// What the witnesses say of one way, at one moment.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Testimony {
    /// Those that are well.
    pub well: Vec<String>,
    /// Those that vote and are not.
    pub ill: Vec<String>,
    /// This way was at fault when the exchange began, and is not any more.
    pub is_well_again: bool,
    /// The APIs that fail in this way at once, if they are a crowd.
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

    /// Why a failure in this way is ours, to stand after its own words.
    pub fn words(&self, way: Way) -> String {
        format!("this is due to {way} of this machine, by all signs: {}", self.signs(way))
    }

    /// What of ours is at fault, and how that is known.
    pub fn fault(&self, way: Way) -> String {
        format!("{way} of this machine is at fault, by all signs: {}", self.signs(way))
    }

    fn signs(&self, way: Way) -> String {
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
        if way == Way::Clock { named } else { format!("no answer from {named}") }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn vote(witness: &str, is_well: bool) -> Vote {
        Vote { witness: witness.into(), is_well, is_the_way_itself: false }
    }

    #[test]
    fn who_never_answered_does_not_vote_and_who_did_once_does() {
        let mut panel = Panel::default();
        assert_eq!(panel.count(vec![vote("gateway", false), vote("server", false)]).word(), Word::Nothing);
        assert_eq!(panel.count(vec![vote("gateway", false), vote("server", true)]).word(), Word::Well);
        let ill = panel.count(vec![vote("gateway", false), vote("server", false)]);
        assert_eq!((ill.word(), &ill.ill[..]), (Word::Ill, &["server".to_owned()][..]));
    }

    #[test]
    fn a_name_server_votes_on_lookups_though_it_never_answered() {
        let silent = Vote { is_the_way_itself: true, ..vote("name server 127.0.0.1", false) };
        let ill = Panel::default().count(vec![silent]);
        assert_eq!(ill.word(), Word::Ill);
        assert!(ill.words(Way::Lookup).ends_with("no answer from name server 127.0.0.1"), "{}", ill.words(Way::Lookup));
    }

    #[test]
    fn what_is_remembered_is_bounded_and_so_are_the_words() {
        let mut panel = Panel::default();
        let many = |is_well| (0..100).map(|n| vote(&format!("w{n:03}"), is_well)).collect::<Ballot>();
        assert_eq!(panel.count(many(true)).well.len(), 100);
        let ill = panel.count(many(false));
        assert_eq!(ill.ill.len(), WITNESSES_MAX);
        assert!(ill.words(Way::Lookup).ends_with("no answer from w000, w001, w002 and 29 more"));
    }
}
