//! What a policy grants, whether any of it is too wide, and whether any of it was never used.

use serde_json::Value;

use crate::strict::Decision;

/// One action on one resource.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Grant {
    pub(crate) action: String,
    pub(crate) resource: String,
}

/// Everything that a policy grants.
pub(crate) fn grants(policy: &Value) -> Vec<Grant> {
    let statements = policy["Statement"].as_array().expect("a list of statements");
    let each = |statement: &Value| {
        let (actions, resources) = (list(&statement["Action"]), list(&statement["Resource"]));
        let pair = |action: &String, resource: &String| Grant { action: action.clone(), resource: resource.clone() };
        actions.iter().flat_map(|a| resources.iter().map(|r| pair(a, r)).collect::<Vec<_>>()).collect::<Vec<_>>()
    };
    statements.iter().flat_map(each).collect()
}

/// A text, or a list of texts.
pub(crate) fn list(value: &Value) -> Vec<String> {
    let text = |value: &Value| value.as_str().expect("a text").to_owned();
    value.as_array().map_or_else(|| vec![text(value)], |all| all.iter().map(text).collect())
}

/// The condition that holds a writer of a table to some of its records.
const LEADING_KEYS: &str = "dynamodb:LeadingKeys";

/// What is wider than one action on one thing, or more than the emulator understands.
pub(crate) fn too_wide(policy: &Value) -> Vec<String> {
    let mut found = Vec::new();
    for statement in policy["Statement"].as_array().expect("a list of statements") {
        let fields = statement.as_object().expect("a statement").keys();
        let known = ["Sid", "Effect", "Action", "Resource"];
        // A condition only narrows. The one that there is holds a writer to one record.
        let narrows =
            |field: &String| field == "Condition" && statement["Condition"].to_string().contains(LEADING_KEYS);
        let odd: Vec<&String> = fields.filter(|f| !known.contains(&f.as_str()) && !narrows(f)).collect();
        if !odd.is_empty() || statement["Effect"] != "Allow" {
            found.push(format!("{statement}: not a plain Allow"));
        }
    }
    for Grant { action, resource } in grants(policy) {
        let is_one_action = action
            .split_once(':')
            .is_some_and(|(service, name)| !service.is_empty() && !name.is_empty() && !action.contains(['*', '?']));
        // arn:aws:SERVICE:REGION:ACCOUNT:THING; the names of buckets are without region and account.
        let parts: Vec<&str> = resource.splitn(6, ':').collect();
        let is_one_thing = parts.len() == 6 && !parts[5].is_empty() && !resource.contains(['*', '?', '$']);
        if !is_one_action || !is_one_thing {
            found.push(format!("{action} on {resource}"));
        }
    }
    found
}

/// The grants that no allowed call made use of.
pub(crate) fn unused(policy: &Value, decisions: &[Decision]) -> Vec<Grant> {
    let is_use = |grant: &Grant, decision: &Decision| {
        decision.allowed && decision.action == grant.action && decision.resource == grant.resource
    };
    grants(policy).into_iter().filter(|grant| !decisions.iter().any(|decision| is_use(grant, decision))).collect()
}
