//! Who types what on the page, on what Terraform made of an emulator that enforces IAM: an administrator, an operator with
//! the policy of the module's output and no other, and the daemon on its instance with its role.

use std::sync::OnceLock;

use serde_json::json;

use super::shell::Shell;
use crate::skip::Because;
use crate::strict::{Caller, Instance, REGION, Strict};
use crate::support::tools;
use crate::terraform::{self, Outputs};

/// The markers of blocks of the story. What stands after the semicolon has happened before ([`harm`]).
pub(super) const MARKERS: [&str; 6] = [
    "run: story, operator",
    "run: story, daemon",
    "run: story, administrator",
    "run: story, administrator; in a new shell",
    "run: story, administrator; a row was removed",
    "run: story, administrator; the states table was deleted",
];

/// The bash function that begins the calls of a block's person.
pub(super) fn who(marker: &str) -> &str {
    marker.trim_start_matches("run: story, ").split(';').next().unwrap_or_default()
}

/// What takes back what the page exports.
pub(super) const NEW_SHELL: &str = "unset AWS_REGION AWS_DEFAULT_REGION DDB_CONFIG_TABLE DDB_STATE_TABLE\n";

/// What happens before a block.
pub(super) fn harm(marker: &str) -> &'static str {
    match marker.split("; ").nth(1) {
        None => "",
        Some("in a new shell") => NEW_SHELL,
        Some("a row was removed") => {
            "aws dynamodb scan --table-name api_health_configs --output json > $HOME/before.json\napi-health apis rm blog >/dev/null\n"
        }
        // The emulator makes no backup of a table that is deleted: one made by hand stands for it.
        Some("the states table was deleted") => {
            "aws dynamodb create-backup --table-name api_health_states --backup-name deleted >/dev/null\n\
             aws dynamodb delete-table --table-name api_health_states >/dev/null\n"
        }
        Some(what) => panic!("what happens when {what}?"),
    }
}

/// In place of the AWS CLI: the emulator restores what a table holds now, whatever the time, and this puts in what it held.
const AWS: &str = r#"#!/bin/bash
set -e
REAL "$@"
if [ "$1 $2" = "dynamodb restore-table-to-point-in-time" ] && [[ "$*" == *_configs_restored* ]]; then
  PYTHON - <<'PUT'
import boto3, json, os
table = boto3.client('dynamodb', region_name='eu-central-1')
for item in json.load(open(os.environ['HOME'] + '/before.json'))['Items']:
    table.put_item(TableName='api_health_configs_restored', Item=item)
PUT
fi
"#;

/// A queue that shows what the topic is given.
const QUEUE: &str = "
import boto3, sys
sns, sqs = boto3.client('sns'), boto3.client('sqs')
queue = sqs.create_queue(QueueName='alerts')['QueueUrl']
arn = sqs.get_queue_attributes(QueueUrl=queue, AttributeNames=['QueueArn'])['Attributes']['QueueArn']
sns.subscribe(TopicArn=sys.argv[1], Protocol='sqs', Endpoint=arn)
";

/// What Terraform made, and the people around it.
pub(super) struct People {
    /// An administrator's shell, with a function for each of them.
    pub(super) shell: Shell,
    pub(super) instance: Instance,
    functions: String,
    _outputs: Outputs,
}

impl People {
    pub(super) fn new() -> Result<Self, Because> {
        static STRICT: OnceLock<Strict> = OnceLock::new();
        if std::process::Command::new("jq").arg("--version").output().is_err() {
            return Err(Because::Missing("jq is not installed".into()));
        }
        let strict = STRICT.get_or_init(Strict::start);
        let administrator = strict.administrator();
        let shell = Shell::within(administrator.clone())?;
        let outputs = terraform::applied(&strict.endpoint)?;
        assert_eq!(shell.python(QUEUE, outputs.text("topic_arn")), "");

        let admin = Caller::with(&administrator);
        admin.call("iam", "create_user", &json!({ "UserName": "operator" }));
        let policy = outputs.text("operator_policy_json");
        let put = json!({ "UserName": "operator", "PolicyName": "operator", "PolicyDocument": policy });
        admin.call("iam", "put_user_policy", &put);
        let key = admin.call("iam", "create_access_key", &json!({ "UserName": "operator" }))["AccessKey"].take();
        let text = |name: &str| key[name].as_str().unwrap().to_owned();
        let profile = outputs.text("instance_profile_name");
        let instance = strict.instance(&json!({ "profile": profile, "listening": true }));

        shell.write("bin/aws", &AWS.replace("REAL", &path("aws")).replace("PYTHON", &path("python")));
        let topic = outputs.text("topic_arn");
        shell.write("bin/terraform", &format!("#!/bin/bash\n[ \"$*\" = 'output -raw topic_arn' ] && echo {topic}\n"));
        let unset = "unset AWS_ACCESS_KEY_ID AWS_SECRET_ACCESS_KEY AWS_EC2_METADATA_DISABLED";
        let functions = format!(
            "{NEW_SHELL}administrator() {{ export AWS_ACCESS_KEY_ID=test AWS_SECRET_ACCESS_KEY=test; }}\n\
             operator() {{ export AWS_ACCESS_KEY_ID={} AWS_SECRET_ACCESS_KEY={}; }}\n\
             as_daemon() {{ (\n\
               {unset}\n\
               export AWS_EC2_METADATA_SERVICE_ENDPOINT={} AWS_REGION={REGION} SNS_TOPIC_ARN={topic}\n\
               export DDB_CONFIG_TABLE=api_health_configs DDB_STATE_TABLE=api_health_states\n\
               echo $BASHPID > $HOME/as_daemon.pid\n\
               exec api-health \"$@\"\n\
             ) }}\n\
             daemon() {{ export AWS_ACCESS_KEY_ID=nobody AWS_SECRET_ACCESS_KEY=nobody; }}\n",
            text("AccessKeyId"),
            text("SecretAccessKey"),
            instance.metadata(),
        );
        Ok(Self { shell, instance, functions, _outputs: outputs })
    }

    /// The functions: `administrator`, `operator` and `daemon` choose credentials; `as_daemon` is the page's own.
    pub(super) fn functions(&self) -> &str {
        &self.functions
    }
}

fn path(program: &str) -> String {
    tools::path(&format!("venv/bin/{program}")).display().to_string()
}
