//! Witnesses that say what they are told to.

use std::sync::{Arc, Mutex};
use std::time::Duration;

use api_health_core::network::{Ballot, OwnPart, Vote, Zone};
use futures_util::future::LocalBoxFuture;

use super::lock;
use crate::ports::Witnesses;

/// Two witnesses, `name server` and `server`, both well; as one process sees them.
#[derive(Clone)]
pub struct FakeWitnesses(Arc<Mutex<Inner>>);

struct Inner {
    votes: Vec<(&'static str, bool)>,
    asked: Vec<OwnPart>,
    /// Only names are not looked up.
    resolver_is_dead: bool,
}

impl Default for FakeWitnesses {
    fn default() -> Self {
        let votes = vec![("name server", true), ("server", true)];
        Self(Arc::new(Mutex::new(Inner { votes, asked: Vec::new(), resolver_is_dead: false })))
    }
}

impl FakeWitnesses {
    /// These are there from now on, and well or not.
    pub fn set(&self, votes: &[(&'static str, bool)]) {
        lock(&self.0).votes = votes.to_vec();
    }

    /// All of them are well from now on, or none.
    pub fn set_well(&self, is_well: bool) {
        lock(&self.0).votes.iter_mut().for_each(|vote| vote.1 = is_well);
    }

    /// The name server says from now on that no name is looked up, or that all is well.
    pub fn set_resolver_dead(&self, is_dead: bool) {
        lock(&self.0).resolver_is_dead = is_dead;
    }

    /// In which parts they were asked since this was called last.
    pub fn take_asked(&self) -> Vec<OwnPart> {
        std::mem::take(&mut lock(&self.0).asked)
    }
}

impl Witnesses for FakeWitnesses {
    fn ask(&self, part: OwnPart, _: Vec<String>) -> LocalBoxFuture<'_, Ballot> {
        let votes = {
            let mut inner = lock(&self.0);
            inner.asked.push(part);
            let is_dead = inner.resolver_is_dead && part == OwnPart::Lookup;
            if is_dead { vec![("name server", false)] } else { inner.votes.clone() }
        };
        Box::pin(async move {
            // Whoever is not there is waited for.
            let millis = if votes.iter().all(|(_, is_well)| *is_well) { 5 } else { 900 };
            tokio::time::sleep(Duration::from_millis(millis)).await;
            let vote = |(witness, is_well): (&'static str, bool)| Vote {
                witness: witness.to_owned(),
                is_well,
                is_the_part_itself: part == OwnPart::Lookup && witness == "name server",
                zone: Zone::Far,
            };
            votes.into_iter().map(vote).collect()
        })
    }
}
