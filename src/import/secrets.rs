//! References to secrets: those that a file has already, and those that take the place of secrets that stand in it.

use std::collections::{HashMap, HashSet};
use std::rc::Rc;

/// How a file refers to its environment.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Dialect {
    /// It does not.
    Literal,
    /// `$NAME`, `${NAME}`, and `$$` for a `$`.
    Shell,
    /// `$NAME`.
    Dollar,
}

/// A variable that has to be set where api-health runs.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ToSet {
    pub name: String,
    /// Where its value stands now; `None` where the file had a reference as well.
    pub place: Option<String>,
}

/// The variables that rows and channels refer to.
#[derive(Debug, Default)]
pub(crate) struct Secrets {
    pub(crate) to_set: Vec<ToSet>,
    /// The names by what they stand for.
    names: HashMap<String, String>,
    taken: HashSet<String>,
}

/// Words in the name of a header, a parameter or a key whose value nobody should read.
const SECRET_WORDS: [&str; 10] =
    ["auth", "token", "secret", "passw", "cookie", "session", "signature", "credential", "apikey", "key"];

/// Whether what has this name is better not read by others.
pub(crate) fn is_secret(name: &str) -> bool {
    let plain: String = name.chars().filter(char::is_ascii_alphanumeric).collect::<String>().to_ascii_lowercase();
    SECRET_WORDS.iter().any(|word| plain.contains(word)) || matches!(plain.as_str(), "sig" | "pwd" | "pass" | "pin")
}

/// Whether a body has a value under such a name.
pub(crate) fn has_secret(body: &str) -> bool {
    let names = body.split(|c: char| !c.is_ascii_alphanumeric() && !matches!(c, '_' | '-'));
    names.filter(|name| name.len() < 40).any(|name| {
        let plain = name.to_ascii_lowercase().replace(['_', '-'], "");
        ["passw", "secret", "token", "apikey", "credential"].iter().any(|word| plain.contains(word))
            || matches!(
                plain.as_str(),
                "pass" | "pwd" | "pin" | "auth" | "authorization" | "jwt" | "accesskey" | "privatekey"
            )
    })
}

/// Whether a text has a reference of ours.
pub(crate) fn has_reference(text: &str) -> bool {
    text.replace("$${", "").contains("${env:")
}

impl Dialect {
    /// A text with its references as rows write them, and the names in them.
    pub(crate) fn to_ours(self, text: &str) -> (String, Vec<String>) {
        let (mut ours, mut names) = (String::with_capacity(text.len()), Vec::new());
        let mut rest = text;
        while let Some(at) = rest.find('$') {
            ours.push_str(&rest[..at]);
            let behind = &rest[at + 1..];
            let found = match self {
                Self::Literal => None,
                Self::Shell if behind.starts_with('$') => {
                    // Two stand for one, and `${` is a reference of ours.
                    ours.push_str(if behind[1..].starts_with('{') { "$$" } else { "$" });
                    rest = &behind[1..];
                    continue;
                }
                Self::Shell if behind.starts_with('{') => behind[1..].split_once('}').filter(|(name, _)| is_name(name)),
                Self::Shell | Self::Dollar => {
                    let end = behind.find(|c: char| !c.is_ascii_alphanumeric() && c != '_').unwrap_or(behind.len());
                    Some(behind.split_at(end)).filter(|(name, _)| is_name(name))
                }
            };
            match found {
                Some((name, after)) => {
                    ours.push_str(&format!("${{env:{name}}}"));
                    names.push(name.to_owned());
                    rest = after;
                }
                None => {
                    ours.push_str(if behind.starts_with('{') { "$$" } else { "$" });
                    rest = behind;
                }
            }
        }
        ours.push_str(rest);
        (ours, names)
    }
}

fn is_name(name: &str) -> bool {
    let mut chars = name.chars();
    chars.next().is_some_and(|c| c.is_ascii_alphabetic() || c == '_')
        && chars.all(|c| c.is_ascii_alphanumeric() || c == '_')
}

impl Secrets {
    /// Notes that a variable is referred to.
    pub(crate) fn refer(&mut self, name: &str) {
        if self.taken.insert(name.to_owned()) {
            self.to_set.push(ToSet { name: name.to_owned(), place: None });
        }
    }

    /// A reference that takes the place of a literal secret. The same secret has one name.
    pub(crate) fn reference(&mut self, wanted: &str, value: &str, file: &Rc<str>, line: usize, path: &str) -> String {
        if let Some(name) = self.names.get(value) {
            return format!("${{env:{name}}}");
        }
        let mut base: String = wanted.chars().map(|c| if c.is_ascii_alphanumeric() { c } else { '_' }).collect();
        base.make_ascii_uppercase();
        if !is_name(&base) {
            base.insert(0, '_');
        }
        let mut name = base.clone();
        let mut nth = 1;
        while !self.taken.insert(name.clone()) {
            nth += 1;
            name = format!("{base}_{nth}");
        }
        let at = if line > 0 { format!("{file}, line {line}: {path}") } else { format!("{file}: {path}") };
        self.to_set.push(ToSet { name: name.clone(), place: Some(at) });
        self.names.insert(value.to_owned(), name.clone());
        format!("${{env:{name}}}")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn references_become_ours_and_what_only_looks_like_one_stays() {
        let shell = |text: &str| Dialect::Shell.to_ours(text).0;
        assert_eq!(shell("Bearer ${TOKEN}/$B-x"), "Bearer ${env:TOKEN}/${env:B}-x");
        assert_eq!(shell("a$$b $${c} $ 5"), "a$b $${c} $ 5");
        assert_eq!(Dialect::Dollar.to_ours("?k=$KEY&x=${y}").0, "?k=${env:KEY}&x=$${y}");
        assert_eq!(Dialect::Literal.to_ours("$A ${B}").0, "$A $${B}");
    }

    #[test]
    fn the_same_secret_has_one_name_and_two_have_two() {
        let (mut secrets, file) = (Secrets::default(), Rc::from("f"));
        let mut of = |value: &str| secrets.reference("a-token", value, &file, 3, "x");
        assert_eq!([of("1"), of("2"), of("1")], ["${env:A_TOKEN}", "${env:A_TOKEN_2}", "${env:A_TOKEN}"]);
        assert_eq!(secrets.to_set[0].place.as_deref(), Some("f, line 3: x"));
    }

    #[test]
    fn secrets_are_known_by_the_name_of_what_holds_them() {
        for name in ["Authorization", "X-Api-Key", "client_secret", "Cookie", "PRIVATE-TOKEN"] {
            assert!(is_secret(name), "{name}");
        }
        assert!(!is_secret("Accept") && !is_secret("Content-Type") && !is_secret("page"));
        assert!(has_secret("{\"user\": \"a\", \"password\": \"b\"}") && !has_secret("{\"query\": \"{ a }\"}"));
    }
}
