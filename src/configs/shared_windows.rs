//! Maintenance windows that stand in the settings: of every API, and of what has a tag. A row has them beside its own.

use std::collections::BTreeMap;

use api_health_core::maintenance::Window;
use serde_json::{Value, json};

use super::field::{About, Context, Field, Parsed, ValueKind};
use super::fields;
use super::values::{ValueFault, is_not, show};

/// The most tags with windows.
pub const WINDOW_TAGS_MAX: usize = 50;

/// `[maintenance]` of the settings.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct SharedWindows {
    pub of_all: Vec<Window>,
    pub by_tag: BTreeMap<String, Vec<Window>>,
}

impl SharedWindows {
    /// Those of an API that has these tags.
    pub fn of<'a>(&'a self, tags: &'a [String]) -> impl Iterator<Item = &'a Window> {
        self.of_all.iter().chain(tags.iter().filter_map(|tag| self.by_tag.get(tag)).flatten())
    }
}

const OF_TAGS: ValueKind = ValueKind::ListsByName {
    most: WINDOW_TAGS_MAX,
    words: "at most 50 tags, for each a list as in maintenance.windows",
};

/// `maintenance.by_tag`.
pub const fn by_tag() -> Field<BTreeMap<String, Vec<Window>>> {
    Field::new("maintenance.by_tag", OF_TAGS, parse, |by_tag| {
        let texts = |(tag, windows): (&String, &Vec<Window>)| (tag.clone(), (fields::MAINTENANCE.show)(windows));
        Value::Object(by_tag.iter().map(texts).collect())
    })
}

fn parse(value: &Value, about: &About, context: &mut Context<'_>) -> Parsed<BTreeMap<String, Vec<Window>>> {
    let Value::Object(table) = value else {
        return Err(ValueFault::new(show(value), is_not(value, "a table"), about.wanted()).into());
    };
    if table.len() > WINDOW_TAGS_MAX {
        let (what, why) = (format!("{} tags", table.len()), format!("are more than {WINDOW_TAGS_MAX}"));
        return Err(ValueFault::new(what, why, "one tag that many APIs have").into());
    }
    let (mut by_tag, mut faults) = (BTreeMap::new(), Vec::new());
    for (tag, windows) in table {
        if let Err(of_tag) = fields::TAGS.parse(&json!([tag]), context) {
            faults.extend(of_tag);
            continue;
        }
        match fields::MAINTENANCE.parse(windows, context) {
            Ok(windows) => drop(by_tag.insert(tag.clone(), windows)),
            Err(of_windows) => faults.extend(of_windows.into_iter().map(|fault| fault.inside(tag))),
        }
    }
    if faults.is_empty() { Ok(by_tag) } else { Err(faults) }
}

#[cfg(test)]
mod tests {
    use std::path::Path;

    use super::super::field::SOME_MOMENT;
    use super::super::schedules::ScheduleCache;
    use super::super::secrets::SystemSecrets;
    use super::*;

    fn read(value: &Value) -> Parsed<BTreeMap<String, Vec<Window>>> {
        let (schedules, allowed) = (&mut ScheduleCache::default(), &crate::probe::guard::Allowed::default());
        let context =
            &mut Context { secrets: &SystemSecrets, schedules, now: SOME_MOMENT, folder: Path::new(""), allowed };
        by_tag().parse(value, context)
    }

    #[test]
    fn an_api_has_the_windows_of_all_and_those_of_each_of_its_tags() {
        let by_tag = read(&json!({ "eu": ["@daily for 1h"], "shop": ["@hourly for 1m", "@weekly for 2h"] })).unwrap();
        let of_all = read(&json!({ "all": ["@monthly for 1d"] })).unwrap().remove("all").unwrap();
        let shared = SharedWindows { of_all, by_tag };
        let of = |tags: &[&str]| {
            let tags: Vec<String> = tags.iter().map(ToString::to_string).collect();
            shared.of(&tags).map(ToString::to_string).collect::<Vec<_>>()
        };
        assert_eq!(of(&["us"]), ["@monthly UTC for 86400 s"]);
        let all =
            ["@monthly UTC for 86400 s", "@hourly UTC for 60 s", "@weekly UTC for 7200 s", "@daily UTC for 3600 s"];
        assert_eq!(of(&["shop", "eu"]), all);
    }

    #[test]
    fn so_many_tags_have_windows_at_most_and_all_that_is_wrong_is_told() {
        let tags = |count| Value::Object((0..count).map(|n| (n.to_string(), json!(["@daily for 1h"]))).collect());
        assert_eq!(read(&tags(WINDOW_TAGS_MAX)).map(|tags| tags.len()), Ok(50));
        assert_eq!(read(&tags(WINDOW_TAGS_MAX + 1)).unwrap_err()[0].why, "are more than 50");
        let faults =
            read(&json!({ "a": ["@daily"], "": [], "b": "@daily for 1h", "c": ["@daily for 1h"] })).unwrap_err();
        let places: Vec<String> = faults.into_iter().map(|fault| fault.at("by_tag").to_string()).collect();
        assert_eq!(places.len(), 3, "{places:?}");
        assert!(places[0].contains("is empty") && places[1].starts_with("by_tag.a: "), "{places:?}");
        assert!(places[2].starts_with("by_tag.b: ") && places[2].contains("is not a list"), "{places:?}");
    }
}
