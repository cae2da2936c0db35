//! A small metadata service of EC2 on loopback, with tokens as IMDSv2 wants them, that can be slow, refuse, or know of no role.

use std::io::{BufRead, BufReader, Write};
use std::net::{TcpListener, TcpStream};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use crate::support::ports;

const TOKEN: &str = "token-of-the-metadata-service";

/// What it does.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(crate) enum Mood {
    /// No tokens for anybody.
    Refuses,
    /// There is no role.
    NoRole,
    /// Each answer takes a second and a half.
    Slow,
}

/// The service, or the port where it will be.
pub(crate) struct MetadataService {
    port: u16,
    mood: Arc<Mutex<Mood>>,
}

impl MetadataService {
    /// A port where nobody listens yet.
    pub(crate) fn absent() -> Self {
        Self { port: ports::free(), mood: Arc::new(Mutex::new(Mood::Refuses)) }
    }

    pub(crate) fn endpoint(&self) -> String {
        format!("http://127.0.0.1:{}", self.port)
    }

    /// From now on it is there.
    pub(crate) fn appears(&self, mood: Mood) {
        self.set(mood);
        let listener = TcpListener::bind(("127.0.0.1", self.port)).unwrap();
        let mood = Arc::clone(&self.mood);
        std::thread::spawn(move || {
            for stream in listener.incoming() {
                let mood = Arc::clone(&mood);
                std::thread::spawn(move || serve(&stream.unwrap(), &mood));
            }
        });
    }

    pub(crate) fn set(&self, mood: Mood) {
        *self.mood.lock().unwrap_or_else(PoisonError::into_inner) = mood;
    }
}

#[allow(clippy::disallowed_methods, reason = "a service that takes its time")]
fn serve(stream: &TcpStream, mood: &Mutex<Mood>) {
    let mut lines = BufReader::new(stream).lines().map_while(Result::ok);
    loop {
        let head: Vec<String> = lines.by_ref().take_while(|line| !line.is_empty()).collect();
        let Some((request, headers)) = head.split_first() else { return };
        let mood = *mood.lock().unwrap_or_else(PoisonError::into_inner);
        if mood == Mood::Slow {
            std::thread::sleep(Duration::from_millis(1_500));
        }
        let has_token = headers.iter().any(|line| {
            let line = line.to_ascii_lowercase();
            line.starts_with("x-aws-ec2-metadata-token:") && line.ends_with(TOKEN)
        });
        let path = request.split(' ').nth(1).unwrap_or_default();
        let (status, body) = match path {
            "/latest/api/token" if request.starts_with("PUT ") && mood == Mood::Refuses => ("403 Forbidden", ""),
            "/latest/api/token" if request.starts_with("PUT ") => ("200 OK", TOKEN),
            _ if !has_token => ("401 Unauthorized", ""),
            "/latest/meta-data/placement/region" => ("200 OK", "eu-central-1"),
            _ if mood == Mood::NoRole => ("404 Not Found", ""),
            "/latest/meta-data/iam/security-credentials/" => ("200 OK", "api-health-daemon"),
            "/latest/meta-data/iam/security-credentials/api-health-daemon" => ("200 OK", CREDENTIALS),
            _ => ("404 Not Found", ""),
        };
        let answer = format!(
            "HTTP/1.1 {status}\r\nx-aws-ec2-metadata-token-ttl-seconds: 21600\r\ncontent-length: {}\r\n\r\n{body}",
            body.len()
        );
        let mut stream = stream;
        if stream.write_all(answer.as_bytes()).is_err() {
            return;
        }
    }
}

const CREDENTIALS: &str = r#"{
    "Code": "Success", "Type": "AWS-HMAC", "LastUpdated": "2026-01-01T00:00:00Z", "Expiration": "2099-01-01T00:00:00Z",
    "AccessKeyId": "ASIATEST", "SecretAccessKey": "aws-secret-key-5b1d9c", "Token": "aws-session-token-e07f42"
}"#;
