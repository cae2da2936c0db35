//! What the doctor found: one finding for each thing that was looked at, as lines for people and as JSON for machines.

use anstyle::Style;
use serde_json::{Map, Value, json};

use crate::cli::checks::Check;
use crate::cli::out::{BAD, DIM, DOUBT, GOOD, Out};
use crate::cli::text;
use crate::exit::Exit;

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
    /// Which check found it.
    pub(super) check: Check,
    /// How it is.
    pub(super) mark: Mark,
    /// What was found, in one line without any secret.
    pub(super) what: String,
    /// What to do about it.
    pub(super) todo: Option<String>,
}

impl Finding {
    /// It is as it should be.
    pub(super) fn ok(check: Check, what: impl Into<String>) -> Self {
        Self { check, mark: Mark::Ok, what: what.into(), todo: None }
    }

    /// It works, and somebody should look at it.
    pub(super) fn warn(check: Check, what: impl Into<String>, todo: impl Into<String>) -> Self {
        Self { check, mark: Mark::Warn, what: what.into(), todo: Some(todo.into()) }
    }

    /// It does not work.
    pub(super) fn fault(check: Check, what: impl Into<String>, todo: impl Into<String>) -> Self {
        Self { check, mark: Mark::Fault, what: what.into(), todo: Some(todo.into()) }
    }

    /// It could not be looked at, because of another fault.
    pub(super) fn not_checked(check: Check, why: impl Into<String>) -> Self {
        Self { check, mark: Mark::NotChecked, what: why.into(), todo: None }
    }
}

/// Everything that was found.
#[derive(Debug, Default)]
pub(super) struct Report {
    pub(super) findings: Vec<Finding>,
}

impl Report {
    fn count(&self, mark: Mark) -> usize {
        self.findings.iter().filter(|finding| finding.mark == mark).count()
    }

    /// 64 for settings that are bad, 69 for any other fault, 0 without a fault.
    pub(super) fn exit(&self) -> Exit {
        let faults = || self.findings.iter().filter(|finding| finding.mark == Mark::Fault);
        if faults().any(|finding| finding.check == Check::Settings) {
            Exit::BadConfiguration
        } else if faults().next().is_some() {
            Exit::Unavailable
        } else {
            Exit::Ok
        }
    }

    /// One line for each finding, and one more where there is something to do; then how many of each there are.
    pub(super) fn text(&self, out: &Out) -> String {
        let width = self.findings.iter().map(|finding| finding.check.name().len()).max().unwrap_or_default();
        let mut lines = String::new();
        for Finding { check, mark, what, todo } in &self.findings {
            let (_, _, sign, style) = MARKS[*mark as usize];
            let sign = out.paint(style, sign);
            lines.push_str(&format!("{sign}  {:width$}  {}\n", check.name(), text::line(what)));
            if let Some(todo) = todo {
                lines.push_str(&format!("    {:width$}  -> {}\n", "", text::line(todo)));
            }
        }
        let counts = [(Mark::Fault, "fault"), (Mark::Warn, "warning")].map(|(mark, one)| match self.count(mark) {
            0 => format!("no {one}"),
            count => text::count(count, one),
        });
        lines.push_str(&format!("{}\n", counts.join(", ")));
        lines
    }

    pub(super) fn json(&self) -> Value {
        let one = |finding: &Finding| {
            json!({
                "check": finding.check.name(),
                "result": MARKS[finding.mark as usize].1,
                "what": text::line(&finding.what),
                "todo": finding.todo.as_deref().map(text::line),
            })
        };
        json!({
            "version": env!("CARGO_PKG_VERSION"),
            "summary": MARKS.map(|(mark, name, ..)| (name.to_owned(), self.count(mark).into())).into_iter().collect::<Map<_, _>>(),
            "findings": self.findings.iter().map(one).collect::<Vec<_>>(),
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_exit_code_is_that_of_the_worst() {
        let exit = |findings: Vec<Finding>| Report { findings }.exit();
        let warn = || Finding::warn(Check::User, "a", "b");
        assert_eq!(exit(vec![]), Exit::Ok);
        assert_eq!(exit(vec![warn(), Finding::not_checked(Check::Topic, "a")]), Exit::Ok);
        assert_eq!(exit(vec![Finding::fault(Check::Topic, "a", "b"), warn()]), Exit::Unavailable);
        let settings = Finding::fault(Check::Settings, "a", "b");
        assert_eq!(exit(vec![Finding::fault(Check::Topic, "a", "b"), settings]), Exit::BadConfiguration);
    }
}
