//! One cause, one fault: what fails only because something before it did is told as not checked, and points to it.

use super::report::{Finding, Mark};
use crate::cli::checks::Check;

/// What cannot be well while the first is not. An earlier one explains a later one.
const BECAUSE: [(Check, &[Check]); 4] = [
    (
        Check::DynamodbEndpoint,
        &[Check::ConfigsTable, Check::StatesTable, Check::StatesWrite, Check::Apis, Check::States],
    ),
    (Check::SnsEndpoint, &[Check::Topic, Check::Subscriptions, Check::Publish]),
    (Check::StatesTable, &[Check::StatesWrite, Check::States]),
    (Check::ConfigsTable, &[Check::Apis]),
];

/// Goes through all findings. What is no fault stays as it is.
pub(super) fn suppress_consequences(findings: &mut [Finding]) {
    for (cause, others) in BECAUSE {
        let is = |finding: &&mut Finding, mark| finding.mark == mark && others.contains(&finding.check);
        let gets_through = findings.iter_mut().any(|finding| is(&finding, Mark::Ok) && finding.check != Check::Apis);
        let Some(first) = findings.iter_mut().find(|finding| finding.check == cause && finding.mark == Mark::Fault)
        else {
            continue;
        };
        let is_endpoint = matches!(cause, Check::DynamodbEndpoint | Check::SnsEndpoint);
        if is_endpoint && gets_through {
            // An emulator, say, or a VPC endpoint that answers to nothing but calls.
            first.mark = Mark::Warn;
            first.what.push_str("; calls get through anyway");
            continue;
        }
        for finding in findings.iter_mut().filter(|finding| is(finding, Mark::Fault)) {
            // A source of configs may be a file.
            if finding.check == Check::Apis && !finding.what.contains("DynamoDB table") {
                continue;
            }
            finding.mark = Mark::NotChecked;
            finding.what.push_str(&format!("; see {} above", cause.name()));
            finding.todo = None;
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn fault(check: Check, what: &str) -> Finding {
        Finding::fault(check, what, "do")
    }

    fn marks(mut findings: Vec<Finding>) -> Vec<Mark> {
        suppress_consequences(&mut findings);
        findings.iter().map(|finding| finding.mark).collect()
    }

    #[test]
    fn what_follows_from_a_fault_is_no_fault_of_its_own() {
        use Mark::{Fault, NotChecked, Ok, Warn};
        let table = |check| fault(check, "DynamoDB table a does not exist");
        assert_eq!(
            marks(vec![
                table(Check::StatesTable),
                table(Check::StatesWrite),
                table(Check::States),
                fault(Check::Clock, "")
            ]),
            [Fault, NotChecked, NotChecked, Fault]
        );
        assert_eq!(
            marks(vec![fault(Check::DynamodbEndpoint, ""), table(Check::StatesTable), table(Check::States)]),
            [Fault, NotChecked, NotChecked]
        );
        assert_eq!(
            marks(vec![fault(Check::SnsEndpoint, ""), Finding::ok(Check::Topic, ""), fault(Check::Publish, "")]),
            [Warn, Ok, Fault],
            "what gets through all the same fails by itself"
        );
        assert_eq!(
            marks(vec![table(Check::ConfigsTable), fault(Check::Apis, "apis.toml is not there"), table(Check::Apis)]),
            [Fault, Fault, NotChecked]
        );
        assert_eq!(marks(vec![table(Check::StatesWrite)]), [Fault]);
    }
}
