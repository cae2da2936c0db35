//! The query of a request, read with all its faults at once.

use actix_web::HttpRequest;
use actix_web::web;
use api_health_core::Timestamp;
use api_health_core::view::{ApiView, Condition};

use super::problem::Problem;

/// The most rows of one answer.
pub(crate) const LIMIT_MAX: usize = 1_000;

/// Rows of one answer where nothing is said.
const LIMIT: usize = 100;

/// The parameters of a request.
pub(crate) struct Query {
    pairs: Vec<(String, String)>,
    faults: Vec<String>,
}

impl Query {
    /// Reads the query, of which these names are known.
    pub(crate) fn of(request: &HttpRequest, known: &[&str]) -> Self {
        let parsed = web::Query::<Vec<(String, String)>>::from_query(request.query_string());
        let pairs = parsed.map(web::Query::into_inner).unwrap_or_default();
        let mut faults = Vec::new();
        for (index, (name, _)) in pairs.iter().enumerate() {
            if !known.contains(&name.as_str()) {
                faults.push(match known {
                    [] => format!("this address takes no parameter {name:?}: leave it out"),
                    _ => format!("there is no parameter {name:?}; there are: {}", known.join(", ")),
                });
            } else if pairs[..index].iter().any(|(before, _)| before == name) && !MAY_REPEAT.contains(&name.as_str()) {
                faults.push(format!("{name} stands here twice: write it once"));
            }
        }
        Self { pairs, faults }
    }

    pub(crate) fn get(&self, name: &str) -> Option<&str> {
        self.pairs.iter().find(|(known, _)| known == name).map(|(_, value)| value.as_str())
    }

    fn all<'a>(&'a self, name: &'a str) -> impl Iterator<Item = &'a str> {
        self.pairs.iter().filter(move |(known, _)| known == name).map(|(_, value)| value.as_str())
    }

    pub(crate) fn fault(&mut self, what: String) {
        self.faults.push(what);
    }

    /// `limit`.
    pub(crate) fn limit(&mut self) -> usize {
        match self.get("limit").map(str::parse::<usize>) {
            None => LIMIT,
            Some(Ok(limit)) if (1..=LIMIT_MAX).contains(&limit) => limit,
            Some(_) => {
                self.fault(format!("limit is a whole number from 1 to {LIMIT_MAX}"));
                LIMIT
            }
        }
    }

    /// `cursor`: what the last row of the page before was called.
    pub(crate) fn cursor(&mut self) -> Option<String> {
        let read = cursor_read(self.get("cursor")?);
        if read.is_none() {
            self.fault(
                "cursor is not one that was given out here: take it from the Link header, or leave it out".into(),
            );
        }
        read
    }

    /// A moment, or a day for its beginning.
    pub(crate) fn time(&mut self, name: &str) -> Option<Timestamp> {
        let text = self.get(name)?;
        let read = match text.len() {
            10 => Timestamp::parse(&format!("{text}T00:00:00Z")),
            // A plus that was not encoded is a space.
            _ => Timestamp::parse(&text.replace(' ', "+")),
        };
        if read.is_none() {
            self.fault(format!("{name} is a time as 2026-11-26T07:30:00Z, or a day as 2026-11-26"));
        }
        read
    }

    /// Which APIs are wanted: `state`, `tag`, `q`.
    pub(crate) fn filter(&mut self) -> Filter {
        let mut conditions = Vec::new();
        let states: Vec<String> = self.all("state").flat_map(|list| list.split(',')).map(str::to_owned).collect();
        for state in states {
            match Condition::parse(&state) {
                Some(condition) => conditions.push(condition),
                None => self.fault(format!(
                    "state {state:?} is none; there are: {}",
                    Condition::ALL.map(Condition::as_str).join(", ")
                )),
            }
        }
        Filter {
            conditions,
            tags: self.all("tag").map(str::to_owned).collect(),
            words: self.get("q").unwrap_or_default().trim().to_lowercase(),
        }
    }

    /// All that was wrong.
    pub(crate) fn finish(self) -> Result<(), Problem> {
        if self.faults.is_empty() { Ok(()) } else { Err(Problem::bad_request(self.faults.join("; "))) }
    }
}

/// Several of them are meant together.
const MAY_REPEAT: [&str; 2] = ["state", "tag"];

/// Which APIs are wanted.
#[derive(Debug, Default)]
pub(crate) struct Filter {
    /// Any of these; none of them: all.
    pub(crate) conditions: Vec<Condition>,
    /// All of these.
    pub(crate) tags: Vec<String>,
    /// In the id, the name or the URL, in small letters.
    pub(crate) words: String,
}

impl Filter {
    pub(crate) fn takes(&self, view: &ApiView, now: Timestamp) -> bool {
        let has_tag = |tag: &String| view.config.as_ref().is_some_and(|config| config.tags.contains(tag));
        (self.conditions.is_empty() || self.conditions.contains(&view.condition(now)))
            && self.tags.iter().all(has_tag)
            && (self.words.is_empty() || self.has_words(view))
    }

    /// The URL counts up to its query, where values may be secrets.
    fn has_words(&self, view: &ApiView) -> bool {
        let url = || view.config.as_ref().map_or("", |config| config.url.split('?').next().unwrap_or_default());
        let has = |text: &str| text.to_lowercase().contains(&self.words);
        has(view.api_id.as_str()) || has(view.name()) || has(url())
    }
}

/// A cursor behind the row that is called so.
pub(crate) fn cursor_behind(row: &str) -> String {
    row.bytes().map(|byte| format!("{byte:02x}")).collect()
}

fn cursor_read(cursor: &str) -> Option<String> {
    let is_hex = cursor.bytes().all(|byte| byte.is_ascii_hexdigit());
    if !is_hex || cursor.is_empty() || !cursor.len().is_multiple_of(2) {
        return None;
    }
    let byte = |pair: &[u8]| u8::from_str_radix(str::from_utf8(pair).ok()?, 16).ok();
    String::from_utf8(cursor.as_bytes().chunks(2).map(byte).collect::<Option<_>>()?).ok()
}

/// The path and query of the next page: this request with another cursor.
pub(crate) fn next_page(request: &HttpRequest, cursor: &str) -> String {
    let others = request.query_string().split('&').filter(|pair| !pair.is_empty() && !pair.starts_with("cursor="));
    let pairs: Vec<String> = others.map(str::to_owned).chain([format!("cursor={cursor}")]).collect();
    // What stands between the brackets of a Link header must not end them.
    format!("{}?{}", request.path(), pairs.join("&")).replace(['<', '>', '"', ' '], "")
}

#[cfg(test)]
mod tests {
    use actix_web::test::TestRequest;

    use super::*;

    fn query(text: &str, known: &[&str]) -> Query {
        Query::of(&TestRequest::with_uri(&format!("/x?{text}")).to_http_request(), known)
    }

    #[test]
    fn all_faults_are_told_at_once_each_with_what_to_write() {
        let mut query = query(
            "limit=0&state=gone&from=yesterday&cursor=zz&sorted=1&limit=3",
            &["limit", "state", "from", "cursor"],
        );
        query.limit();
        query.filter();
        query.time("from");
        query.cursor();
        let detail = query.finish().unwrap_err().detail;
        for told in [
            "limit is a whole number from 1 to 1000",
            "limit stands here twice",
            "there are: down, unwatched",
            "from is a time as",
            "take it from the Link header",
            "no parameter \"sorted\"; there are: limit, state",
        ] {
            assert!(detail.contains(told), "{told}: {detail}");
        }
    }

    #[test]
    fn a_cursor_comes_back_as_it_was_given_out_and_times_are_read_in_each_form() {
        for row in ["a", "shop.eu-1", "ü"] {
            assert_eq!(cursor_read(&cursor_behind(row)).as_deref(), Some(row));
        }
        for bad in ["", "0", "0g", "+1", "ff"] {
            assert_eq!(cursor_read(bad), None, "{bad}");
        }
        for text in ["2026-11-22", "2026-11-22T00:00:00Z", "2026-11-22T01:00:00+01:00"] {
            let at = query(&format!("from={text}"), &["from"]).time("from");
            assert_eq!(at.map(|at| at.to_string()).as_deref(), Some("2026-11-22T00:00:00.000Z"), "{text}");
        }
    }

    #[test]
    fn the_next_page_has_the_same_filter_and_another_cursor() {
        let request = TestRequest::with_uri("/api/v1/apis?state=down&cursor=61&tag=eu").to_http_request();
        assert_eq!(next_page(&request, "62"), "/api/v1/apis?state=down&tag=eu&cursor=62");
    }
}
