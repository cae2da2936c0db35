//! A moto server (DynamoDB, SNS, SQS over HTTP) for the length of the test process. One serves all tests of a binary:
//! each test makes tables, topics and queues with names of its own.

use std::ops::Deref;
use std::process::Command;
use std::sync::OnceLock;

use super::emulator::Emulator;
use super::tools;

/// Ends with the test process: when that is gone, standard input ends.
///
/// moto checks the condition of a put and writes in two steps, so that now and then two of many writers win. DynamoDB
/// does it in one, and so does this, by a lock.
const LAUNCHER: &str = "
import os, sys, threading
def watch():
    sys.stdin.read()
    os._exit(0)
threading.Thread(target=watch, daemon=True).start()
from moto.dynamodb.models import DynamoDBBackend
put_item, one_at_a_time = DynamoDBBackend.put_item, threading.Lock()
def put_item_in_one_step(*args, **named):
    with one_at_a_time:
        return put_item(*args, **named)
DynamoDBBackend.put_item = put_item_in_one_step
from moto.server import main
main(sys.argv[1:])
";

/// A running server.
pub struct Moto(Emulator);

impl Moto {
    /// The one that all tests of this process share.
    pub fn shared() -> &'static Moto {
        static SHARED: OnceLock<Moto> = OnceLock::new();
        SHARED.get_or_init(Moto::start)
    }

    /// One of its own, for a test that stops it or sets it back.
    pub fn start() -> Moto {
        Self(Emulator::start("moto", |port| {
            let mut command = Command::new(tools::path("venv/bin/python"));
            command.args(["-c", LAUNCHER, "-H", "127.0.0.1", "-p", &port.to_string()]);
            command
        }))
    }

    /// The environment that points the AWS SDK at it.
    pub fn environment(&self) -> [(&'static str, String); 5] {
        [
            ("AWS_ENDPOINT_URL", self.endpoint.clone()),
            ("AWS_REGION", "eu-central-1".into()),
            ("AWS_ACCESS_KEY_ID", "test".into()),
            ("AWS_SECRET_ACCESS_KEY", "test".into()),
            ("AWS_EC2_METADATA_DISABLED", "true".into()),
        ]
    }
}

impl Deref for Moto {
    type Target = Emulator;

    fn deref(&self) -> &Emulator {
        &self.0
    }
}
