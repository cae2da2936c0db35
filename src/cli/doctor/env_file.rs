//! `--env-file`: the doctor with the environment that systemd gives the daemon, and not with that of a shell.
//!
//! The AWS SDK reads the environment of its own process, so the program starts itself again in the place of this one.

use std::collections::BTreeMap;
use std::fs::File;
use std::io::Read;
use std::os::unix::process::CommandExt;
use std::path::Path;
use std::process::Command;

use api_health_core::ConfigIssue;

use crate::app::AppError;
use crate::cli::args::{Cli, DoctorArgs};
use crate::cli::out::When;

/// The longest file; the kernel itself takes about 2 MB of environment.
const FILE_BYTES_MAX: u64 = 1024 * 1024;

/// What is passed on of this shell's environment: where programs are, how a terminal is written to, and what systemd set,
/// where it started us.
const KEPT: [&str; 12] = [
    "PATH",
    "HOME",
    "USER",
    "LOGNAME",
    "LANG",
    "LC_ALL",
    "LC_CTYPE",
    "TERM",
    "NO_COLOR",
    "TMPDIR",
    "STATE_DIRECTORY",
    "CREDENTIALS_DIRECTORY",
];

/// Where the installed service keeps its state, as the unit's `StateDirectory=` has it.
pub(super) const STATE_FOLDER: &str = "/var/lib/api-health";

/// Becomes `api-health doctor` with the environment of the file, and returns only if that fails.
///
/// # Errors
/// What is wrong with the file.
pub(super) fn start_again(cli: &Cli, args: &DoctorArgs, file: &Path) -> AppError {
    let variables = match read(file) {
        Ok(variables) => variables,
        Err(issue) => return AppError::Configuration(vec![issue]),
    };
    let program = match std::env::current_exe() {
        Ok(program) => program,
        Err(error) => return AppError::Internal(format!("the path of this program is not known: {error}")),
    };
    let mut command = Command::new(program);
    if let Some(settings) = &cli.settings {
        command.arg("--settings").arg(settings);
    }
    match cli.color {
        When::Auto => {}
        When::Always => drop(command.args(["--color", "always"])),
        When::Never => drop(command.args(["--color", "never"])),
    }
    command.args(["doctor", "--env-is-from"]).arg(file);
    if args.json {
        command.arg("--json");
    }
    if args.send_test_message {
        command.arg("--send-test-message");
    }
    command.env_clear();
    command.envs(KEPT.iter().filter_map(|name| Some((*name, std::env::var_os(name)?))));
    if std::env::var_os("STATE_DIRECTORY").is_none() && Path::new(STATE_FOLDER).is_dir() {
        command.env("STATE_DIRECTORY", STATE_FOLDER);
    }
    command.envs(variables);
    AppError::Internal(format!("api-health could not be started again: {}", command.exec()))
}

/// Reads a file, or standard input for `-`, as `EnvironmentFile=` of systemd does, or one with NULs between the variables, as `/proc/PID/environ` has.
pub(super) fn read(path: &Path) -> Result<BTreeMap<String, String>, ConfigIssue> {
    let issue = |what: &str, why: String, remedy: &str| ConfigIssue {
        location: format!("--env-file {}", path.display()),
        what: what.into(),
        why,
        remedy: remedy.into(),
    };
    let mut bytes = Vec::new();
    let read = if path == Path::new("-") {
        std::io::stdin().take(FILE_BYTES_MAX + 1).read_to_end(&mut bytes)
    } else {
        File::open(path).and_then(|file| file.take(FILE_BYTES_MAX + 1).read_to_end(&mut bytes))
    };
    read.map_err(|error| issue("the file", format!("cannot be read: {error}"), "a file that this user may read"))?;
    if bytes.len() as u64 > FILE_BYTES_MAX {
        return Err(issue("the file", format!("has more than {FILE_BYTES_MAX} bytes"), "a shorter one"));
    }
    let text = String::from_utf8(bytes).map_err(|_| issue("the file", "is not UTF-8".into(), "it again as UTF-8"))?;
    if text.contains('\0') {
        let pairs = text.split('\0').filter_map(|pair| pair.split_once('=')).filter(|(name, _)| is_name(name));
        return Ok(pairs.map(|(name, value)| (name.to_owned(), value.to_owned())).collect());
    }
    parse(&text).map_err(|line| {
        // What stands there may be part of a secret: it is not shown.
        let remedy = "NAME=VALUE, with quotes that are closed, or a # before what is a comment";
        issue(&format!("line {line}"), "is not what systemd reads".into(), remedy)
    })
}

fn is_name(name: &str) -> bool {
    name.bytes().all(|b| b.is_ascii_alphanumeric() || b == b'_')
        && name.bytes().next().is_some_and(|b| !b.is_ascii_digit())
}

/// By the rules of systemd.exec(5), `EnvironmentFile=`.
///
/// # Errors
/// The number of the first line that makes no sense.
fn parse(text: &str) -> Result<BTreeMap<String, String>, usize> {
    let mut found = BTreeMap::new();
    let mut rest = Rest { chars: text.chars().peekable(), line: 1 };
    loop {
        rest.skip_blank();
        let line = rest.line;
        match rest.peek() {
            None => return Ok(found),
            Some('\n') => drop(rest.next()),
            Some('#' | ';') => rest.skip_line(),
            Some(_) => {
                let name = rest.name().ok_or(line)?;
                let value = rest.value().ok_or(line)?;
                found.insert(name, value);
            }
        }
    }
}

struct Rest<'t> {
    chars: std::iter::Peekable<std::str::Chars<'t>>,
    line: usize,
}

impl Rest<'_> {
    fn peek(&mut self) -> Option<char> {
        self.chars.peek().copied()
    }

    fn next(&mut self) -> Option<char> {
        let next = self.chars.next();
        self.line += usize::from(next == Some('\n'));
        next
    }

    fn skip_blank(&mut self) {
        while self.peek().is_some_and(|c| matches!(c, ' ' | '\t' | '\r')) {
            self.next();
        }
    }

    /// To the end of the line. A backslash before that carries a comment on.
    fn skip_line(&mut self) {
        while let Some(c) = self.next() {
            match c {
                '\\' => drop(self.next()),
                '\n' => return,
                _ => {}
            }
        }
    }

    /// What stands before `=`.
    fn name(&mut self) -> Option<String> {
        let mut name = String::new();
        loop {
            match self.next()? {
                '=' => break,
                '\n' => return None,
                c => name.push(c),
            }
        }
        let name = name.trim_end();
        is_name(name).then(|| name.to_owned())
    }

    /// What stands after it, with the end of its line; `None` if quotes stay open.
    fn value(&mut self) -> Option<String> {
        let mut value = String::new();
        // Blanks at the end are no part of it, unless they are quoted or escaped.
        let mut kept = 0;
        let mut begun = false;
        self.skip_blank();
        while let Some(c) = self.next() {
            match c {
                '\n' => break,
                '\'' | '"' if !begun => {
                    self.quoted(c, &mut value)?;
                    kept = value.len();
                    self.skip_blank();
                }
                '\\' => {
                    begun = true;
                    if let Some(escaped) = self.next().filter(|c| *c != '\n') {
                        value.push(escaped);
                        kept = value.len();
                    }
                }
                c => {
                    begun = true;
                    value.push(c);
                    if !matches!(c, ' ' | '\t' | '\r') {
                        kept = value.len();
                    }
                }
            }
        }
        value.truncate(kept);
        Some(value)
    }

    fn quoted(&mut self, quote: char, value: &mut String) -> Option<()> {
        loop {
            match self.next()? {
                c if c == quote => return Some(()),
                '\\' if quote == '"' => match self.next()? {
                    '\n' => {}
                    c @ ('"' | '\\' | '`' | '$') => value.push(c),
                    c => value.extend(['\\', c]),
                },
                c => value.push(c),
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn one(text: &str) -> String {
        let mut found = parse(text).unwrap();
        assert_eq!(found.len(), 1, "{found:?}");
        found.remove("A").unwrap()
    }

    #[test]
    fn values_are_read_as_systemd_reads_them() {
        for (text, value) in [
            ("A=b", "b"),
            ("  A = b c \t\n", "b c"),
            ("A=", ""),
            ("A='b # c'", "b # c"),
            ("A=\"b \\\"c\\\" \\$d \\n\"", "b \"c\" $d \\n"),
            ("A='it''s'", "its"),
            ("A=\"b\" 'c'", "bc"),
            ("A=b'c", "b'c"),
            ("A=b\\\nc", "bc"),
            ("A=b\\ ", "b "),
            ("A=b=c#d", "b=c#d"),
            ("A='b\nc'", "b\nc"),
            ("# A=x\n; A=y\n\nA=z\r\n", "z"),
            ("# on \\\nA=x\nA=y", "y"),
            ("A=x\nA=y", "y"),
        ] {
            assert_eq!(one(text), value, "{text:?}");
        }
    }

    #[test]
    fn what_makes_no_sense_is_named_by_its_line_alone() {
        assert_eq!(parse("A=b\nhunter2"), Err(2));
        assert_eq!(parse("A=b\n\nexport B=c\n"), Err(3));
        assert_eq!(parse("1A=b"), Err(1));
        assert_eq!(parse("A=b\nB='c\nd"), Err(2));
        let file = tempfile::NamedTempFile::new().unwrap();
        std::fs::write(file.path(), "hunter2").unwrap();
        let issue = read(file.path()).unwrap_err().to_string();
        assert!(issue.contains("line 1 is not what systemd reads") && !issue.contains("hunter2"), "{issue}");
    }

    #[test]
    fn a_file_has_so_many_bytes_at_most() {
        let file = tempfile::NamedTempFile::new().unwrap();
        let most = usize::try_from(FILE_BYTES_MAX).unwrap();
        std::fs::write(file.path(), format!("A=b\n#{}", "x".repeat(most - 5))).unwrap();
        assert_eq!(read(file.path()).unwrap().len(), 1);
        std::fs::write(file.path(), format!("A=b\n#{}", "x".repeat(most - 4))).unwrap();
        let issue = read(file.path()).unwrap_err().to_string();
        assert!(issue.contains("more than 1048576 bytes"), "{issue}");
    }

    #[test]
    fn the_environment_of_a_process_is_read_too() {
        let file = tempfile::NamedTempFile::new().unwrap();
        std::fs::write(file.path(), "A=b c\nd\0EMPTY=\0odd\0X=1=2\0").unwrap();
        let found: Vec<_> = read(file.path()).unwrap().into_iter().collect();
        let of = |name: &str, value: &str| (name.to_owned(), value.to_owned());
        assert_eq!(found, [of("A", "b c\nd"), of("EMPTY", ""), of("X", "1=2")]);
    }
}
