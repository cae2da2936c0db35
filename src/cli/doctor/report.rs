//! What the doctor found: one finding for each thing that was looked at, and how all of them are shown, to people and to machines.

use anstyle::Style;
use serde_json::{Map, Value, json};

use crate::cli::checks::Check;
use crate::cli::out::{BAD, DIM, DOUBT, GOOD, Out};
use crate::cli::text;
use crate::exit::Exit;

/// Ids, hosts and subscriptions that one finding names.
const NAMED_MAX: usize = 5;

/// How something was found.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Mark {
    /// It is as it should be.
    Ok,
    /// It works, and somebody should look at it.
    Warn,
    /// It does not work.
    Fault,
    /// It could not be looked at, because of a fault that is told elsewhere.
    NotChecked,
}

/// Of each its name in JSON, which is stable, its sign in a line and the colour of that.
const MARKS: [(Mark, &str, &str, Style); 4] = [
    (Mark::Ok, "ok", "ok", GOOD),
    (Mark::Warn, "warn", "!!", DOUBT),
    (Mark::Fault, "fault", "xx", BAD),
    (Mark::NotChecked, "not_checked", "--", DIM),
];

/// One thing that was found.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Finding {
    pub(super) check: Check,
    pub(super) mark: Mark,
    /// What was found, in one line without any secret.
    pub(super) what: String,
    /// What to do about it.
    pub(super) todo: Option<String>,
}

impl From<Finding> for Vec<Finding> {
    fn from(finding: Finding) -> Self {
        vec![finding]
    }
}

/// A finding of a check.
impl Check {
    pub(super) fn ok(self, what: impl Into<String>) -> Finding {
        Finding { check: self, mark: Mark::Ok, what: what.into(), todo: None }
    }

    pub(super) fn warn(self, what: impl Into<String>, todo: impl Into<String>) -> Finding {
        Finding { mark: Mark::Warn, todo: Some(todo.into()), ..self.ok(what) }
    }

    pub(super) fn fault(self, what: impl Into<String>, todo: impl Into<String>) -> Finding {
        Finding { mark: Mark::Fault, ..self.warn(what, todo) }
    }

    pub(super) fn not_checked(self, why: impl Into<String>) -> Finding {
        Finding { mark: Mark::NotChecked, ..self.ok(why) }
    }
}

/// The first few of `names`, and how many more there are: `a, b, 7 more`.
pub(super) fn some_of<T: AsRef<str>>(names: &[T]) -> String {
    let mut some: Vec<String> = names.iter().take(NAMED_MAX).map(|name| text::line(name.as_ref())).collect();
    if names.len() > NAMED_MAX {
        some.push(format!("{} more", names.len() - NAMED_MAX));
    }
    some.join(", ")
}

fn count(findings: &[Finding], mark: Mark) -> usize {
    findings.iter().filter(|finding| finding.mark == mark).count()
}

/// 64 for settings that are bad, 69 for any other fault, 0 without a fault.
pub(super) fn exit(findings: &[Finding]) -> Exit {
    let is_fault = |finding: &&Finding| finding.mark == Mark::Fault;
    if findings.iter().filter(is_fault).any(|finding| finding.check == Check::Settings) {
        Exit::BadConfiguration
    } else if count(findings, Mark::Fault) > 0 {
        Exit::Unavailable
    } else {
        Exit::Ok
    }
}

/// One line for each finding, and one more where there is something to do; then how many of each there are.
pub(super) fn text(findings: &[Finding], out: &Out) -> String {
    let width = findings.iter().map(|finding| finding.check.name().len()).max().unwrap_or_default();
    let mut lines = String::new();
    for Finding { check, mark, what, todo } in findings {
        let (_, _, sign, style) = MARKS[*mark as usize];
        let sign = out.paint(style, sign);
        lines.push_str(&format!("{sign}  {:width$}  {}\n", check.name(), text::line(what)));
        if let Some(todo) = todo {
            lines.push_str(&format!("    {:width$}  -> {}\n", "", text::line(todo)));
        }
    }
    let counts = [(Mark::Fault, "fault"), (Mark::Warn, "warning")].map(|(mark, one)| match count(findings, mark) {
        0 => format!("no {one}"),
        count => text::count(count, one),
    });
    lines + &counts.join(", ") + "\n"
}

pub(super) fn json(findings: &[Finding]) -> Value {
    let one = |finding: &Finding| {
        json!({
            "check": finding.check.name(),
            "result": MARKS[finding.mark as usize].1,
            "what": text::line(&finding.what),
            "todo": finding.todo.as_deref().map(text::line),
        })
    };
    let counts = MARKS.map(|(mark, name, ..)| (name.to_owned(), count(findings, mark).into()));
    json!({
        "version": env!("CARGO_PKG_VERSION"),
        "summary": Map::from_iter(counts),
        "findings": findings.iter().map(one).collect::<Vec<_>>(),
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_exit_code_is_that_of_the_worst() {
        let exit = |findings: Vec<Finding>| exit(&findings);
        let warn = || Check::User.warn("a", "b");
        assert_eq!(exit(vec![]), Exit::Ok);
        assert_eq!(exit(vec![warn(), Check::Topic.not_checked("a")]), Exit::Ok);
        assert_eq!(exit(vec![Check::Topic.fault("a", "b"), warn()]), Exit::Unavailable);
        let settings = Check::Settings.fault("a", "b");
        assert_eq!(exit(vec![Check::Topic.fault("a", "b"), settings]), Exit::BadConfiguration);
    }

    #[test]
    fn few_are_named_and_the_others_counted() {
        assert_eq!(some_of(&["a", "b"]), "a, b");
        assert_eq!(some_of(&["x"; 12]), "x, x, x, x, x, 7 more");
    }
}
