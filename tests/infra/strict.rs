//! An emulator of AWS that enforces IAM by resource, and hands out a role's credentials as EC2 does.
//!
//! The emulator is tests/infra/strict/strict.py. One serves all tests of this process; each test has an EC2 instance of
//! its own ([`Instance`]), whose id stands in the name of every session, so that decisions can be told apart.

use std::io::{BufRead, BufReader, Read, Write};
use std::net::TcpStream;
use std::ops::Deref;
use std::path::PathBuf;
use std::process::{Child, ChildStdin, ChildStdout, Command, Stdio};
use std::sync::{Mutex, OnceLock};

use serde::Deserialize;
use serde_json::{Value, json};

use crate::support::emulator::Emulator;
use crate::support::tools;

/// Where everything is that is set up here.
pub(crate) const REGION: &str = "eu-central-1";

/// Where its programs are.
fn script(name: &str) -> PathBuf {
    PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("tests/infra/strict").join(name)
}

/// A running emulator.
pub(crate) struct Strict(Emulator);

impl Strict {
    /// The one that all tests of this process share. It ends with the process.
    pub(crate) fn shared() -> &'static Strict {
        static SHARED: OnceLock<Strict> = OnceLock::new();
        SHARED.get_or_init(Strict::start)
    }

    /// One of its own.
    pub(crate) fn start() -> Strict {
        Self(Emulator::start("the strict emulator", |port| {
            let mut command = Command::new(tools::path("venv/bin/python"));
            command.arg(script("strict.py")).args(["--until-stdin-ends", "-p", &port.to_string()]);
            command
        }))
    }

    /// The environment of somebody who may do everything.
    pub(crate) fn administrator(&self) -> Vec<(&'static str, String)> {
        self.user("test", "test")
    }

    /// The environment of somebody with a key.
    pub(crate) fn user(&self, key: &str, secret: &str) -> Vec<(&'static str, String)> {
        vec![
            ("AWS_ENDPOINT_URL", self.endpoint.clone()),
            ("AWS_REGION", REGION.into()),
            ("AWS_ACCESS_KEY_ID", key.into()),
            ("AWS_SECRET_ACCESS_KEY", secret.into()),
            ("AWS_EC2_METADATA_DISABLED", "true".into()),
        ]
    }

    /// A new EC2 instance. imds.py says what `settings` may be.
    pub(crate) fn instance(&'static self, settings: &Value) -> Instance {
        let port = tools::free_port();
        let mut instance = Instance { strict: self, port, id: String::new() };
        instance.id = instance.change(settings)["instance_id"].as_str().unwrap().to_owned();
        instance
    }

    /// What was decided on every call of a principal, a part of whose ARN this is; in order.
    pub(crate) fn decisions(&self, who: &str) -> Vec<Decision> {
        serde_json::from_value(self.ask("GET", &format!("/strict/decisions/{who}"), &Value::Null)).unwrap()
    }

    fn ask(&self, method: &str, path: &str, body: &Value) -> Value {
        let body = if body.is_null() { String::new() } else { body.to_string() };
        let mut stream = TcpStream::connect(("127.0.0.1", self.port)).unwrap();
        let length = body.len();
        write!(stream, "{method} {path} HTTP/1.0\r\nHost: strict\r\nContent-Length: {length}\r\n\r\n{body}").unwrap();
        let mut answer = String::new();
        stream.read_to_string(&mut answer).unwrap();
        let (head, body) = answer.split_once("\r\n\r\n").unwrap();
        assert!(head.contains(" 200 "), "{path}: {answer}");
        serde_json::from_str(body).unwrap()
    }
}

impl Deref for Strict {
    type Target = Emulator;

    fn deref(&self) -> &Emulator {
        &self.0
    }
}

/// What was decided on one call, or on one part of a transaction.
#[derive(Clone, Debug, Deserialize)]
pub(crate) struct Decision {
    /// When, in seconds since 1970.
    pub(crate) at: f64,
    pub(crate) allowed: bool,
    /// Why not: `denied`, `expired`, `signature`, `unknown key`.
    pub(crate) why: String,
    /// The access key that it was signed with.
    pub(crate) key: String,
    pub(crate) action: String,
    pub(crate) resource: String,
}

/// An EC2 instance, as far as a process on it sees: its metadata service.
pub(crate) struct Instance {
    strict: &'static Strict,
    port: u16,
    /// The name of its role's sessions.
    pub(crate) id: String,
}

impl Instance {
    /// Changes the settings of its metadata service; `listening` says whether it is there at all. Gives what it was asked.
    pub(crate) fn change(&self, settings: &Value) -> Value {
        self.strict.ask("POST", &format!("/strict/imds/{}", self.port), settings)
    }

    /// Where its metadata service is, or would be.
    pub(crate) fn metadata(&self) -> String {
        format!("http://127.0.0.1:{}", self.port)
    }

    /// The environment of a process on it: the only way to credentials is the metadata service, and so is that to the
    /// region.
    pub(crate) fn environment_without_region(&self) -> Vec<(&'static str, String)> {
        vec![
            ("AWS_ENDPOINT_URL", self.strict.endpoint.clone()),
            ("AWS_EC2_METADATA_SERVICE_ENDPOINT", self.metadata()),
            ("HOME", "/nonexistent".into()),
        ]
    }

    /// The same with the region.
    pub(crate) fn environment(&self) -> Vec<(&'static str, String)> {
        let mut environment = self.environment_without_region();
        environment.push(("AWS_REGION", REGION.into()));
        environment
    }

    /// What was decided on the calls of its role.
    pub(crate) fn decisions(&self) -> Vec<Decision> {
        self.strict.decisions(&self.id)
    }

    /// Those that were refused, in words.
    pub(crate) fn refused(&self) -> Vec<String> {
        let refused = self.decisions().into_iter().filter(|decision| !decision.allowed);
        refused.map(|d| format!("{}: {} on {}", d.why, d.action, d.resource)).collect()
    }

    /// What its metadata service was asked: method, path, status.
    pub(crate) fn requests(&self) -> Vec<(String, String, u64)> {
        let asked = self.change(&json!({}));
        let text = |value: &Value| value.as_str().unwrap().to_owned();
        let of = |r: &Value| (text(&r["method"]), text(&r["path"]), r["status"].as_u64().unwrap());
        asked["requests"].as_array().unwrap().iter().map(of).collect()
    }
}

/// Somebody who calls AWS, by boto3.
pub(crate) struct Caller {
    process: Child,
    pipes: Mutex<(ChildStdin, BufReader<ChildStdout>)>,
}

/// An error of AWS.
#[derive(Clone, Debug, Deserialize)]
pub(crate) struct Refusal {
    pub(crate) code: String,
    #[allow(dead_code, reason = "shown where a test fails")]
    pub(crate) message: String,
}

impl Caller {
    /// With the credentials of an environment.
    pub(crate) fn with(environment: &[(&'static str, String)]) -> Self {
        let mut process = Command::new(tools::path("venv/bin/python"))
            .arg(script("calls.py"))
            .env_clear()
            .envs(environment.iter().map(|(name, value)| (*name, value)))
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .spawn()
            .unwrap();
        let pipes = (process.stdin.take().unwrap(), BufReader::new(process.stdout.take().unwrap()));
        Self { process, pipes: Mutex::new(pipes) }
    }

    /// One call: `try_call("sns", "publish", json!({"TopicArn": …}))`.
    pub(crate) fn try_call(&self, service: &str, operation: &str, parameters: &Value) -> Result<Value, Refusal> {
        let mut pipes = self.pipes.lock().unwrap();
        writeln!(pipes.0, "{}", json!([service, operation, parameters])).unwrap();
        let mut line = String::new();
        pipes.1.read_line(&mut line).unwrap();
        let mut told: Value = serde_json::from_str(&line).unwrap();
        if told["ok"].is_null() { Err(serde_json::from_value(told).unwrap()) } else { Ok(told["ok"].take()) }
    }

    /// One call that must succeed.
    pub(crate) fn call(&self, service: &str, operation: &str, parameters: &Value) -> Value {
        let told = self.try_call(service, operation, parameters);
        told.unwrap_or_else(|refusal| panic!("{service} {operation} {parameters}: {refusal:?}"))
    }
}

impl Drop for Caller {
    fn drop(&mut self) {
        let _ = self.process.kill();
        let _ = self.process.wait();
    }
}
