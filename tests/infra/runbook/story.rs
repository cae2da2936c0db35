//! The story of docs/operations.md: a first API, down and up, the import, a restored table; and SQLite's copies.

use super::page::{Block, OPERATIONS, expected, is_like, marked, to_run};
use super::people::{self, People};
use super::shell::Shell;
use crate::skip::skip;

/// A daemon that writes a heartbeat, and an operator who looks; then one whose heartbeat is old.
const WATCHED: &str = "
operator
printf '[store]\\nheartbeat_seconds = 1\\n' > beat.toml
as_daemon --settings beat.toml run > daemon.log 2>&1 &
trap 'kill $(cat as_daemon.pid) 2>/dev/null || true' EXIT
looks() { env AWS_REGION=eu-central-1 DDB_STATE_TABLE=api_health_states DDB_CONFIG_TABLE=api_health_configs \\
  api-health status --json | jq --exit-status \"$1\" >/dev/null; }
until looks '.heartbeat.heartbeat_seconds == 1'; do sleep 0.2; done
";

/// What the page lets an operator ask of workers that live.
const ASKS: &str = "
export AWS_REGION=eu-central-1 DDB_CONFIG_TABLE=api_health_configs DDB_STATE_TABLE=api_health_states
api-health alerts drop --channel webhook
";

const SILENT: &str = "
kill $(cat as_daemon.pid)
wait
administrator
for worker in $(aws dynamodb get-item --region eu-central-1 --table-name api_health_states --output text \\
  --key '{\"api_id\": {\"S\": \"api-health:assignment\"}}' --query 'Item.workers.L[].S'); do
  aws dynamodb update-item --region eu-central-1 --table-name api_health_states \\
    --key \"{\\\"api_id\\\": {\\\"S\\\": \\\"api-health:worker:$worker\\\"}}\" --update-expression 'SET heartbeat.#at = :at' \\
    --condition-expression 'attribute_exists(heartbeat)' --expression-attribute-names '{\"#at\": \"at\"}' \\
    --expression-attribute-values '{\":at\": {\"S\": \"2026-01-02T03:04:05.000Z\"}}' || true
done
operator
";

#[test]
fn what_the_runbook_says_of_aws_is_so_for_each_person_on_what_terraform_makes() {
    let people = match People::new() {
        Ok(people) => people,
        Err(why) => return skip("what_the_runbook_says_of_aws_is_so_for_each_person_on_what_terraform_makes", &why),
    };
    let shell = &people.shell;
    let is_story = |block: &Block| people::MARKERS.contains(&&*block.marker);
    let story: Vec<_> = expected(OPERATIONS).into_iter().filter(|(block, _)| is_story(block)).collect();
    let blocks: Vec<_> = story.iter().map(|(block, lines)| (block.text.clone(), lines.clone())).collect();
    shell.play_as(people.functions(), &blocks, |n| {
        let marker = &story[n].0.marker;
        format!("{}\n{}", people::who(marker), people::harm(marker))
    });
    assert_eq!(people.instance.refused(), [""; 0]);
    let subjects = shell.subjects();
    for mail in marked(OPERATIONS, "mail") {
        let said = mail.lines().next().unwrap();
        assert_eq!(subjects.iter().filter(|subject| is_like(said, subject)).count(), 1, "{said:?}: {subjects:?}");
    }

    // Each in a shell of its own.
    let looks: String = to_run(OPERATIONS, "run: look").iter().map(|(text, _)| in_a_fresh_shell(text)).collect();
    let asks = in_a_fresh_shell(ASKS);
    let printed = shell.run(&format!("{}{WATCHED}{looks}{asks}echo @@ silent\n{SILENT}{looks}", people.functions()));
    let (alive, silent) = printed.split_once("@@ silent\n").unwrap();
    for said in ["exit code 0", "watched by ", " 0 late", "no alert is owed", " live ", "asked 1 worker ("] {
        assert!(alive.contains(said), "{said}: {alive}");
    }
    assert!(!alive.contains(ALARM), "{alive}");
    assert!(alive.lines().any(|line| is_like("20…-…T…Z", line)), "the last heartbeat, by the AWS CLI: {alive}");
    assert!(silent.lines().any(|line| line == OLD), "{silent}");
    assert!(silent.contains(ALARM) && silent.contains("the last heartbeat is "), "{silent}");

    // The harness is tried on what it is there to find: a command that is not this person's.
    let refused = shell.run(&format!(
        "{}operator\nexport AWS_REGION=eu-central-1 AWS_DEFAULT_REGION=eu-central-1\n\
         export DDB_CONFIG_TABLE=api_health_configs DDB_STATE_TABLE=api_health_states\n\
         api-health run --once || echo \"exit code $?\"\naws sns list-topics || echo \"exit code $?\"",
        people.functions()
    ));
    assert_eq!(refused.matches("exit code ").count(), 2, "{refused}");
    assert!(refused.contains("dynamodb:PutItem on ") && refused.contains("(AuthorizationError)"), "{refused}");
}

/// When the last heartbeat was made to be.
const OLD: &str = "2026-01-02T03:04:05.000Z";

/// What the page's dead-man check says.
const ALARM: &str = "api-health: no heartbeat";

fn in_a_fresh_shell(text: &str) -> String {
    format!("({}bash <<'END_OF_BLOCK'\n{text}END_OF_BLOCK\n)\n", people::NEW_SHELL)
}

#[test]
fn what_the_runbook_says_of_sqlite_is_so() {
    let shell = match Shell::new("none") {
        Ok(shell) => shell,
        Err(why) => return skip("what_the_runbook_says_of_sqlite_is_so", &why),
    };
    shell.run("api-health apis add --url https://example.com/ --id shop && api-health run --once 2>/dev/null");
    shell.play(&to_run(OPERATIONS, "run: sqlite"));
}
