//! One cause, one fault: a check whose need found a fault is reported as not checked, and points there.

use super::report::{Finding, Mark};
use crate::cli::checks::Check;

/// The check whose fault keeps `check` from being well, by what was found so far.
pub(super) fn cause_of(check: Check, found: &[Finding]) -> Option<Check> {
    check.needs().iter().find_map(|needed| {
        let is = |mark| found.iter().any(|finding| finding.check == *needed && finding.mark == mark);
        match (is(Mark::Fault), is(Mark::NotChecked)) {
            (true, _) => Some(*needed),
            (false, true) => cause_of(*needed, found),
            (false, false) => None,
        }
    })
}

/// What stands in the place of `check`.
pub(super) fn because_of(cause: Check, check: Check) -> Finding {
    check.not_checked(format!("see {} above", cause.name()))
}

/// Goes through all findings, which are in the order of the checks.
pub(super) fn suppress_consequences(found: &mut [Finding]) {
    for endpoint in [Check::DynamodbEndpoint, Check::SnsEndpoint] {
        let is_answer = |finding: &Finding| matches!(finding.mark, Mark::Ok | Mark::Warn);
        let gets_through = found.iter().any(|one| one.check.needs().contains(&endpoint) && is_answer(one));
        let is_it = |one: &&mut Finding| one.check == endpoint && one.mark == Mark::Fault;
        if let Some(finding) = found.iter_mut().find(is_it).filter(|_| gets_through) {
            // Calls may have to take another way than a plain GET, such as a proxy.
            finding.mark = Mark::Warn;
            finding.what.push_str("; calls get through anyway");
        }
    }
    for n in 0..found.len() {
        let Finding { check, mark, ref what, .. } = found[n];
        // A source of configs may also be a file. And where there is no topic, a publish that is refused for its form proves nothing.
        let may_follow = mark != Mark::NotChecked && (check != Check::Apis || what.contains("DynamoDB table"));
        if let Some(cause) = cause_of(check, found).filter(|_| may_follow) {
            found[n] = because_of(cause, check);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn fault(check: Check, what: &str) -> Finding {
        check.fault(what, "do")
    }

    fn marks(mut found: Vec<Finding>) -> Vec<Mark> {
        suppress_consequences(&mut found);
        found.iter().map(|finding| finding.mark).collect()
    }

    #[test]
    fn what_follows_from_a_fault_is_no_fault_of_its_own() {
        use Mark::{Fault, NotChecked, Ok, Warn};
        let table = |check| fault(check, "DynamoDB table a does not exist");
        assert_eq!(
            marks(vec![
                fault(Check::Clock, ""),
                table(Check::StatesTable),
                table(Check::StatesWrite),
                table(Check::States)
            ]),
            [Fault, Fault, NotChecked, NotChecked]
        );
        let mut found = vec![fault(Check::DynamodbEndpoint, ""), table(Check::StatesTable), table(Check::States)];
        suppress_consequences(&mut found);
        assert_eq!(found[2], Check::States.not_checked("see dynamodb_endpoint above"), "the first cause is named");
        assert_eq!(
            marks(vec![fault(Check::SnsEndpoint, ""), Check::Topic.ok(""), fault(Check::Publish, "")]),
            [Warn, Ok, Fault],
            "what gets through all the same fails by itself"
        );
        assert_eq!(
            marks(vec![table(Check::ConfigsTable), fault(Check::Apis, "apis.toml is not there"), table(Check::Apis)]),
            [Fault, Fault, NotChecked]
        );
        assert_eq!(marks(vec![fault(Check::Topic, ""), Check::Publish.ok("")]), [Fault, NotChecked]);
        assert_eq!(marks(vec![table(Check::StatesWrite)]), [Fault]);
    }

    #[test]
    fn an_sqlite_file_needs_no_credentials() {
        let found = [fault(Check::Credentials, "")];
        assert_eq!(cause_of(Check::Topic, &found), Some(Check::Credentials));
        assert_eq!(cause_of(Check::States, &found), None, "where there is no table of states");
        let of_tables = [found[0].clone(), because_of(Check::Credentials, Check::StatesTable)];
        assert_eq!(cause_of(Check::States, &of_tables), Some(Check::Credentials));
    }
}
