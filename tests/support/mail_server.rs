//! A mail server of Python's (aiosmtpd), with mailboxes that misbehave by their names: `mail_server.py` has them.

use std::path::{Path, PathBuf};
use std::process::Command;

use super::emulator::Emulator;
use super::tools;

/// How it is spoken to.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Speaks {
    Plain,
    Starttls,
    Tls,
}

/// A running one.
pub struct MailServer {
    server: Emulator,
    folder: tempfile::TempDir,
    /// The certificate to trust: it is for `localhost`.
    pub root_pem: String,
}

impl MailServer {
    pub fn start(speaks: Speaks) -> Self {
        Self::with(speaks, &[])
    }

    pub fn with(speaks: Speaks, arguments: &[&str]) -> Self {
        let folder = tempfile::tempdir().unwrap();
        let key = rcgen::KeyPair::generate().unwrap();
        let params = rcgen::CertificateParams::new(vec!["localhost".to_owned()]).unwrap();
        let certificate = params.self_signed(&key).unwrap();
        let pem = folder.path().join("certificate.pem");
        std::fs::write(&pem, certificate.pem() + &key.serialize_pem()).unwrap();
        let server = Emulator::start("the mail server", |port| {
            let script = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/support/mail_server.py");
            let mut command = Command::new(tools::path("venv/bin/python"));
            command.arg(script).arg(port.to_string()).arg(folder.path()).args(arguments);
            if speaks != Speaks::Plain {
                command.arg("--certificate").arg(&pem);
            }
            if speaks == Speaks::Tls {
                command.arg("--at-once");
            }
            command
        });
        Self { server, folder, root_pem: certificate.pem() }
    }

    pub fn port(&self) -> u16 {
        self.server.port
    }

    /// The mails that it has taken, oldest first.
    pub fn mails(&self) -> Vec<String> {
        let found = std::fs::read_dir(self.folder.path()).unwrap().map(|entry| entry.unwrap().path());
        let mut paths: Vec<PathBuf> = found.filter(|path| path.extension().is_some_and(|e| e == "eml")).collect();
        paths.sort();
        paths.iter().map(|path| std::fs::read_to_string(path).unwrap()).collect()
    }
}

/// The value of a header, its lines put together.
pub fn header(mail: &str, name: &str) -> Option<String> {
    let head = mail.split("\r\n\r\n").next()?.replace("\r\n ", " ");
    let value = head.split("\r\n").find_map(|line| line.strip_prefix(name)?.strip_prefix(": "));
    value.map(str::to_owned)
}
