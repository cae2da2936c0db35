//! Which channels an alert is owed to: by the tags of its API.

use std::borrow::Cow;

use crate::api::ApiId;

/// A channel, and what goes there.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Route {
    pub channel: String,
    /// Alerts of APIs with one of these tags go there; none: those of every API.
    pub tags: Vec<String>,
}

/// All channels. An alert that none of them takes by its tags goes to all: people who are told of something that is not theirs
/// can say so, and nobody can who is not told.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Routes {
    routes: Vec<Route>,
    all: Vec<String>,
    /// What the system tells of itself goes to those without tags, or to all.
    of_system: Vec<String>,
    is_plain: bool,
}

impl Routes {
    pub fn new(routes: Vec<Route>) -> Self {
        let name = |route: &Route| route.channel.clone();
        let all: Vec<String> = routes.iter().map(name).collect();
        let untagged: Vec<String> = routes.iter().filter(|route| route.tags.is_empty()).map(name).collect();
        let is_plain = untagged.len() == all.len();
        Self { of_system: if untagged.is_empty() { all.clone() } else { untagged }, routes, all, is_plain }
    }

    /// Everything goes to all of these.
    pub fn to_all<T: Into<String>>(channels: impl IntoIterator<Item = T>) -> Self {
        let to = |channel: T| Route { channel: channel.into(), tags: Vec::new() };
        Self::new(channels.into_iter().map(to).collect())
    }

    /// The name of every channel.
    pub fn channels(&self) -> &[String] {
        &self.all
    }

    /// Whether all alerts go to the same channels.
    pub const fn is_plain(&self) -> bool {
        self.is_plain
    }

    /// Where alerts of an API with these tags go. `None`: they are not known, since it has no row any more.
    pub fn of_api(&self, tags: Option<&[String]>) -> Cow<'_, [String]> {
        if self.is_plain {
            return Cow::Borrowed(&self.all);
        }
        let Some(tags) = tags else { return Cow::Borrowed(&self.of_system) };
        let taking: Vec<String> = self.taking(tags).map(|route| route.channel.clone()).collect();
        if taking.is_empty() { Cow::Borrowed(&self.all) } else { Cow::Owned(taking) }
    }

    /// Where an alert under this id goes, that is about an API with these tags. What is told of an API beside its status goes
    /// where its outages go; what the system tells of itself, to those without tags.
    pub fn of(&self, api_id: &ApiId, tags: Option<&[String]>) -> Cow<'_, [String]> {
        if api_id.is_self_monitoring() && api_id.beside_api().is_none() {
            return Cow::Borrowed(&self.of_system);
        }
        self.of_api(tags)
    }

    /// Whether some channel takes alerts of an API with these tags by itself.
    pub fn serves(&self, tags: &[String]) -> bool {
        self.taking(tags).next().is_some()
    }

    fn taking(&self, tags: &[String]) -> impl Iterator<Item = &Route> {
        let takes = |route: &Route| route.tags.is_empty() || route.tags.iter().any(|tag| tags.contains(tag));
        self.routes.iter().filter(move |route| takes(route))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn routes(of: &[(&str, &[&str])]) -> Routes {
        let owned = |texts: &[&str]| texts.iter().map(|text| (*text).to_owned()).collect();
        Routes::new(of.iter().map(|(channel, tags)| Route { channel: (*channel).into(), tags: owned(tags) }).collect())
    }

    fn tagged(routes: &Routes, tags: &[&str]) -> Vec<String> {
        let tags: Vec<String> = tags.iter().map(|tag| (*tag).to_owned()).collect();
        routes.of_api(Some(&tags)).into_owned()
    }

    #[test]
    fn an_alert_goes_where_one_of_its_tags_is_asked_for_and_to_those_that_ask_for_none() {
        let routes = routes(&[("mail", &[]), ("shop", &["shop", "pay"]), ("data", &["etl"])]);
        assert_eq!(tagged(&routes, &["pay", "eu"]), ["mail", "shop"]);
        assert_eq!(tagged(&routes, &["etl", "shop"]), ["mail", "shop", "data"]);
        assert_eq!(tagged(&routes, &[]), ["mail"]);
        assert_eq!(*routes.of_api(None), ["mail"], "of one that has no row any more");
        let shop = ApiId::parse("a").unwrap();
        let pay = ["pay".to_owned()];
        for beside in [ApiId::monitor_unclear(&shop), ApiId::monitor_certificate(&shop)] {
            assert_eq!(*routes.of(&beside, Some(&pay)), ["mail", "shop"], "{beside}");
        }
        for system in [ApiId::monitor_store(), ApiId::monitor_prober(&shop), ApiId::monitor_network(3)] {
            assert_eq!(*routes.of(&system, Some(&pay)), ["mail"], "{system}");
        }
    }

    #[test]
    fn what_no_channel_asks_for_goes_to_all() {
        let routes = routes(&[("shop", &["shop"]), ("data", &["etl"])]);
        let others = ["eu".to_owned()];
        assert!(!routes.serves(&others) && !routes.serves(&[]) && routes.serves(&["etl".to_owned()]));
        assert_eq!(tagged(&routes, &["eu"]), ["shop", "data"]);
        assert_eq!(tagged(&routes, &["etl"]), ["data"]);
        assert_eq!(*routes.of(&ApiId::monitor_store(), None), ["shop", "data"]);
        assert!(Routes::to_all(["pager"]).is_plain() && !routes.is_plain());
    }
}
