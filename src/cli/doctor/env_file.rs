//! `--env-file`: the doctor with the environment that systemd gives the daemon, and not with that of a shell.
//!
//! The AWS SDK reads the environment of its own process, so the program starts itself again in the place of this one.

use std::collections::BTreeMap;
use std::io::Read;
use std::os::unix::process::CommandExt;
use std::path::Path;
use std::process::Command;
use std::str::Chars;

use api_health_core::ConfigFault;

use crate::app::AppError;
use crate::configs::pipes::open_to_read;
use crate::configs::secrets::is_variable_name;

/// The longest file; the kernel itself takes about 2 MB of environment.
const FILE_BYTES_MAX: u64 = 1024 * 1024;

/// What is passed on of this shell's environment: where programs are, how a terminal is written to, and what systemd set,
/// where it started us.
const KEPT: &str =
    "PATH HOME USER LOGNAME LANG LC_ALL LC_CTYPE TERM NO_COLOR TMPDIR STATE_DIRECTORY CREDENTIALS_DIRECTORY";

/// Set where the environment is that of the file already.
const IN_FORCE: &str = "API_HEALTH_ENV_FILE_IN_FORCE";

/// Where the packages put the environment, and the unit reads it.
pub(super) const ENV_FILE: &str = "/etc/api-health/env";

/// Where the installed service keeps its state, as the unit's `StateDirectory=` has it.
pub(super) const STATE_FOLDER: &str = "/var/lib/api-health";

/// Whether this is the program that was started again.
pub(super) fn is_in_force() -> bool {
    std::env::var_os(IN_FORCE).is_some()
}

/// Becomes this very command with the environment of the file, and returns only if that fails.
///
/// # Errors
/// What is wrong with the file.
pub(super) fn start_again(file: &Path) -> AppError {
    let variables = match read(file) {
        Ok(variables) => variables,
        Err(fault) => return AppError::Configuration(vec![fault]),
    };
    let program = match std::env::current_exe() {
        Ok(program) => program,
        Err(error) => return AppError::Internal(format!("the path of this program is not known: {error}")),
    };
    let mut command = Command::new(program);
    command.args(std::env::args_os().skip(1)).env_clear();
    if Path::new(STATE_FOLDER).is_dir() {
        command.env("STATE_DIRECTORY", STATE_FOLDER);
    }
    command.envs(KEPT.split(' ').filter_map(|name| Some((name, std::env::var_os(name)?))));
    command.envs(variables).env(IN_FORCE, "1");
    AppError::Internal(format!("api-health could not be started again: {}", command.exec()))
}

/// Reads a file, or standard input for `-`, as `EnvironmentFile=` of systemd does, or one with NULs between the variables, as
/// `/proc/PID/environ` has.
pub(super) fn read(path: &Path) -> Result<BTreeMap<String, String>, ConfigFault> {
    let fault = |what: &str, why: String, remedy: &str| ConfigFault {
        location: format!("--env-file {}", path.display()),
        what: what.into(),
        why,
        remedy: remedy.into(),
    };
    let mut bytes = Vec::new();
    let read = if path == Path::new("-") {
        std::io::stdin().take(FILE_BYTES_MAX + 1).read_to_end(&mut bytes)
    } else {
        open_to_read(path).and_then(|file| file.take(FILE_BYTES_MAX + 1).read_to_end(&mut bytes))
    };
    read.map_err(|error| fault("the file", format!("cannot be read: {error}"), "a file that this user may read"))?;
    if bytes.len() as u64 > FILE_BYTES_MAX {
        return Err(fault("the file", format!("has more than {FILE_BYTES_MAX} bytes"), "a shorter one"));
    }
    let text = String::from_utf8(bytes).map_err(|_| fault("the file", "is not UTF-8".into(), "it again as UTF-8"))?;
    if text.contains('\0') {
        let pairs = text.split('\0').filter_map(|pair| pair.split_once('=')).filter(|(name, _)| is_variable_name(name));
        return Ok(pairs.map(|(name, value)| (name.to_owned(), value.to_owned())).collect());
    }
    parse(&text).map_err(|line| {
        // What stands there may be part of a secret: it is not shown.
        let remedy = "NAME=VALUE, with quotes that are closed, or a # before what is a comment";
        fault(&format!("line {line}"), "is not what systemd reads".into(), remedy)
    })
}

/// By the rules of systemd.exec(5), `EnvironmentFile=`.
///
/// # Errors
/// The number of the first line that makes no sense.
fn parse(text: &str) -> Result<BTreeMap<String, String>, usize> {
    let mut found = BTreeMap::new();
    let mut rest = text;
    loop {
        rest = rest.trim_start_matches(|c| is_blank(c) || c == '\n');
        if rest.is_empty() {
            return Ok(found);
        }
        if rest.starts_with(['#', ';']) {
            // It ends as a value does: a backslash before the end of the line carries it on.
            let mut comment = rest.chars();
            value(&mut comment);
            rest = comment.as_str();
            continue;
        }
        let line = || text[..text.len() - rest.len()].matches('\n').count() + 1;
        let (name, after) = rest.split_once('=').ok_or_else(line)?;
        let name = name.trim_end();
        let mut chars = after.chars();
        let value = value(&mut chars).filter(|_| is_variable_name(name)).ok_or_else(line)?;
        found.insert(name.to_owned(), value);
        rest = chars.as_str();
    }
}

fn is_blank(c: char) -> bool {
    matches!(c, ' ' | '\t' | '\r')
}

/// The value, with the end of its line; `None` if quotes stay open.
fn value(chars: &mut Chars<'_>) -> Option<String> {
    let mut value = String::new();
    // Blanks at the end are no part of it, unless they are quoted or escaped.
    let mut kept = 0;
    let mut quote = None;
    // Only what stands before anything without quotes is quoted.
    let mut has_begun = false;
    while let Some(c) = chars.next() {
        match (quote, c) {
            (Some(open), _) if c == open => {
                quote = None;
                kept = value.len();
            }
            (Some('"'), '\\') => match chars.next()? {
                '\n' => {}
                c @ ('"' | '\\' | '`' | '$') => value.push(c),
                c => value.extend(['\\', c]),
            },
            (Some(_), _) => value.push(c),
            (None, '\n') => break,
            (None, '\'' | '"') if !has_begun => quote = Some(c),
            (None, '\\') => {
                has_begun = true;
                if let Some(escaped) = chars.next().filter(|c| *c != '\n') {
                    value.push(escaped);
                    kept = value.len();
                }
            }
            (None, _) if is_blank(c) => value.extend(has_begun.then_some(c)),
            (None, _) => {
                has_begun = true;
                value.push(c);
                kept = value.len();
            }
        }
    }
    value.truncate(kept);
    quote.is_none().then_some(value)
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
        let fault = read(file.path()).unwrap_err().to_string();
        assert!(fault.contains("line 1 is not what systemd reads") && !fault.contains("hunter2"), "{fault}");
    }

    #[test]
    fn a_file_has_so_many_bytes_at_most() {
        let file = tempfile::NamedTempFile::new().unwrap();
        let most = usize::try_from(FILE_BYTES_MAX).unwrap();
        std::fs::write(file.path(), format!("A=b\n#{}", "x".repeat(most - 5))).unwrap();
        assert_eq!(read(file.path()).unwrap().len(), 1);
        std::fs::write(file.path(), format!("A=b\n#{}", "x".repeat(most - 4))).unwrap();
        let fault = read(file.path()).unwrap_err().to_string();
        assert!(fault.contains("more than 1048576 bytes"), "{fault}");
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
