//! A folder, an environment and a bash in which an operator's commands work: `api-health` and `aws` are in the path, and
//! AWS is an emulator of their own.

use std::os::unix::fs::symlink;
use std::path::Path;
use std::process::{Command, Stdio};

use crate::skip::Because;
use crate::support::http::{Answer, Server};
use crate::support::moto::Moto;
use crate::support::tools;

/// What the pages call the API that is watched, and what is asked in its place.
const EXAMPLE: &str = "https://example.com/";

/// Where nothing listens.
const NOBODY: &str = "http://127.0.0.1:1";

/// What makes an emulator into what Terraform leaves behind: three tables, a topic, a subscription that is confirmed; and a
/// queue that shows what the topic was given.
const AS_TERRAFORM_LEAVES_IT: &str = "
import boto3, sys
dynamodb, sns, sqs = (boto3.client(name) for name in ('dynamodb', 'sns', 'sqs'))
for table, keys in ('configs', ['api_id']), ('states', ['api_id']), ('history', ['api_id', 'slot']):
    table = 'api_health_' + table
    dynamodb.create_table(
        TableName=table,
        AttributeDefinitions=[{'AttributeName': key, 'AttributeType': 'S'} for key in keys],
        KeySchema=[{'AttributeName': key, 'KeyType': kind} for key, kind in zip(keys, ['HASH', 'RANGE'])],
        BillingMode='PAY_PER_REQUEST',
    )
    recovery = {'PointInTimeRecoveryEnabled': True}
    dynamodb.update_continuous_backups(TableName=table, PointInTimeRecoverySpecification=recovery)
expiry = {'Enabled': True, 'AttributeName': 'expires_at'}
dynamodb.update_time_to_live(TableName='api_health_history', TimeToLiveSpecification=expiry)
topic = sns.create_topic(Name=sys.argv[1])['TopicArn']
sns.subscribe(TopicArn=topic, Protocol='email', Endpoint='ops@example.com')
queue = sqs.create_queue(QueueName='alerts')['QueueUrl']
arn = sqs.get_queue_attributes(QueueUrl=queue, AttributeNames=['QueueArn'])['Attributes']['QueueArn']
sns.subscribe(TopicArn=topic, Protocol='sqs', Endpoint=arn)
";

/// Prints the subject of each message of the queue, and takes it out.
const SUBJECTS: &str = "
import boto3, json
sqs = boto3.client('sqs')
queue = sqs.get_queue_url(QueueName='alerts')['QueueUrl']
while messages := sqs.receive_message(QueueUrl=queue, MaxNumberOfMessages=10).get('Messages'):
    for message in messages:
        print(json.loads(message['Body'])['Subject'])
        sqs.delete_message(QueueUrl=queue, ReceiptHandle=message['ReceiptHandle'])
";

/// See the module.
pub(super) struct Shell {
    pub(super) server: Server,
    folder: tempfile::TempDir,
    environment: Vec<(&'static str, String)>,
    _moto: Option<Moto>,
}

impl Shell {
    /// One with an emulator as Terraform leaves the real thing, in which everybody may do everything.
    pub(super) fn new(topic_name: &str) -> Result<Self, Because> {
        let moto = Moto::start();
        let environment = moto.environment().into_iter().filter(|(name, _)| *name != "AWS_REGION").collect();
        let shell = Self { _moto: Some(moto), ..Self::within(environment)? };
        assert_eq!(shell.python(AS_TERRAFORM_LEAVES_IT, topic_name), "");
        Ok(shell)
    }

    /// One in which AWS is where `environment` says.
    pub(super) fn within(environment: Vec<(&'static str, String)>) -> Result<Self, Because> {
        if !tools::folder().join("venv/bin/aws").exists() {
            return Err(Because::Missing("the AWS CLI is not there; write: tests/setup/install".into()));
        }
        let folder = tempfile::tempdir().unwrap();
        let bin = folder.path().join("bin");
        std::fs::create_dir(&bin).unwrap();
        symlink(env!("CARGO_BIN_EXE_api-health"), bin.join("api-health")).unwrap();
        symlink(tools::path("venv/bin/aws"), bin.join("aws")).unwrap();
        let server = Server::start();
        server.set("/no-such-page", Answer::Status(404));
        Ok(Self { server, folder, environment, _moto: None })
    }

    /// Where files are.
    pub(super) fn folder(&self) -> &Path {
        self.folder.path()
    }

    /// A program in the folder.
    pub(super) fn write(&self, name: &str, program: &str) {
        use std::os::unix::fs::PermissionsExt as _;
        let path = self.folder().join(name);
        let _ = std::fs::remove_file(&path); // it may be a link to the real one
        std::fs::write(&path, program).unwrap();
        std::fs::set_permissions(&path, std::fs::Permissions::from_mode(0o755)).unwrap();
    }

    /// The part of the environment that stands for a real instance's role and a real AWS.
    pub(super) fn role(&self) -> Vec<(&'static str, String)> {
        self.environment.clone()
    }

    /// What `script` prints, errors included; it must succeed.
    pub(super) fn run(&self, script: &str) -> String {
        let server = self.server.url("/");
        let script = format!("exec 2>&1\nset -eu -o pipefail\n{}", script.replace(EXAMPLE, &server));
        let path = format!("{}:{}", self.folder().join("bin").display(), std::env::var("PATH").unwrap_or_default());
        let ended = Command::new("bash")
            .args(["-c", &script])
            .current_dir(self.folder())
            .env_clear()
            .envs(self.role())
            .env("AWS_DEFAULT_REGION", "eu-central-1")
            .env("PATH", path)
            // The AWS CLI asks the real SQS wherever it is told to go; nothing but the emulator may be reached from here.
            .env("HTTPS_PROXY", NOBODY)
            .env("HOME", self.folder())
            .stdin(Stdio::null())
            .output()
            .unwrap();
        let printed = String::from_utf8(ended.stdout).unwrap().replace(&server, EXAMPLE);
        assert!(ended.status.success(), "{:?}: {printed}{}", ended.status, String::from_utf8_lossy(&ended.stderr));
        printed
    }

    /// Runs blocks in one shell, and compares what each prints.
    pub(super) fn play(&self, blocks: &[(String, Vec<String>)]) {
        self.play_as("", blocks, |_| String::new());
    }

    /// The same after `first`, each block after what `before` says of its number.
    pub(super) fn play_as(&self, first: &str, blocks: &[(String, Vec<String>)], before: impl Fn(usize) -> String) {
        let block = |(n, (text, _)): (usize, &(String, Vec<String>))| format!("{}echo '@@ {n}'\n{text}", before(n));
        let script: String = blocks.iter().enumerate().map(block).collect();
        let printed = self.run(&format!("{first}{script}"));
        for (n, (text, expected)) in blocks.iter().enumerate() {
            let (_, after) = printed.split_once(&format!("@@ {n}\n")).unwrap_or_else(|| panic!("{printed}"));
            let own = after.split("@@ ").next().unwrap_or_default();
            if let Err(why) = super::page::compare(expected, own) {
                panic!("{text}\n{why}");
            }
        }
    }

    /// The subjects of what the topic was given since this was asked last, oldest first as far as SQS keeps an order.
    pub(super) fn subjects(&self) -> Vec<String> {
        self.python(SUBJECTS, "").lines().map(str::to_owned).collect()
    }

    /// What a script that talks to the emulator prints.
    pub(super) fn python(&self, script: &str, argument: &str) -> String {
        std::fs::write(self.folder().join("script.py"), script).unwrap();
        let python = tools::path("venv/bin/python");
        self.run(&format!("{} script.py {argument}", python.display()))
    }
}
