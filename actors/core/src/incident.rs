//! An incident: from a confirmed outage to the recovery that ends it.

use crate::api::ApiId;
use crate::time::Timestamp;

/// An open incident of one API.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Incident {
    /// Names this incident, and no other of any API.
    pub incident_id: String,
    /// The start of the first failing probe of the streak that confirmed it.
    pub started_at: Timestamp,
    /// Why the probe that confirmed it failed.
    pub reason: String,
    /// The API's name when it began, for telling its end when there is no config any more.
    pub name: String,
    /// The API's URL when it began, for the same.
    pub url: String,
    /// The channels that its beginning was owed to: whoever hears of an outage must hear of its end.
    pub owed_to: Vec<String>,
}

impl Incident {
    /// Its end is not owed to this channel any more. Whether it was.
    pub(crate) fn gives_up(&mut self, channel: &str) -> bool {
        let before = self.owed_to.len();
        self.owed_to.retain(|owed_to| owed_to != channel);
        self.owed_to.len() != before
    }

    /// The id of the incident of `api_id` that the record of version `version` opens: the API, the start in
    /// milliseconds and the version, which grows with each write, so that not even a clock set back repeats one.
    pub fn id(api_id: &ApiId, started_at: Timestamp, version: u64) -> String {
        format!("{api_id}.{}.{version}", started_at.as_millis())
    }
}
