//! `${env:NAME}`, `${file:PATH}` and `${credential:NAME}` inside a text: filled in when the text is loaded, and never shown
//! afterwards.
//!
//! A credential is a file that systemd hands to the service alone (`LoadCredential=`, systemd.exec(5)); where a folder is
//! handed over, as by our unit, systemd puts the folder's id before the name. `$${` stands for a `${` that is meant as it is. A path is absolute, so that a row means the same in a file, in a
//! table and after an import. A fault names the reference, which the person wrote, and never what it stands for.

use std::cell::RefCell;
use std::collections::BTreeSet;
use std::fs::File;
use std::io::{ErrorKind, Read};
use std::path::{Path, PathBuf};
use std::string::FromUtf8Error;

use super::values::ValueFault;
use crate::der::of_der;
use crate::environment;

/// The longest secret file.
pub const FILE_BYTES_MAX: u64 = 64 * 1024;

/// How much of a name or path inside `${…}` is looked at: the longest path on Linux.
const REFERENCE_BYTES_MAX: usize = 4096;

/// What our unit's `LoadCredential=secrets:/etc/api-health/credentials` puts before the name of each file of that folder.
pub const CREDENTIALS_PREFIX: &str = "secrets_";

/// The longest name of a credential: the longest file name on Linux, with [`CREDENTIALS_PREFIX`].
const CREDENTIAL_BYTES_MAX: usize = 255 - CREDENTIALS_PREFIX.len();

/// The most faults that are reported of one text.
const FAULTS_MAX: usize = 10;

/// How much of a name or path is quoted.
const SHOWN_CHARS_MAX: usize = 200;

/// What references are filled in from.
pub trait SecretSource {
    /// An environment variable.
    ///
    /// # Errors
    /// Says in plain words why not.
    fn env(&self, name: &str) -> Result<String, String>;

    /// The content of a file.
    ///
    /// # Errors
    /// Says in plain words why not.
    fn file(&self, path: &Path) -> Result<String, String> {
        read_file(path)
    }

    /// Whether this text stands for a secret that nobody looked for, so that nothing can be wrong with it.
    fn is_stand_in(&self, _: &str) -> bool {
        false
    }

    /// A credential that systemd handed to this process, under its own name or with [`CREDENTIALS_PREFIX`] before it.
    ///
    /// # Errors
    /// Says in plain words why not.
    fn credential(&self, name: &str) -> Result<String, String> {
        let Some(folder) = self.env("CREDENTIALS_DIRECTORY").ok().filter(|folder| !folder.is_empty()) else {
            return Err(
                "cannot be read: systemd handed no credentials to this process (no CREDENTIALS_DIRECTORY)".into()
            );
        };
        let folder = Path::new(&folder);
        let prefixed = format!("{CREDENTIALS_PREFIX}{name}");
        self.file(&folder.join(name)).or_else(|why| {
            let said = |_| format!("{why} in CREDENTIALS_DIRECTORY, nor can {prefixed} be read there");
            self.file(&folder.join(&prefixed)).map_err(said)
        })
    }
}

/// The environment and the files of this process.
#[derive(Clone, Copy, Debug, Default)]
pub struct SystemSecrets;

impl SecretSource for SystemSecrets {
    fn env(&self, name: &str) -> Result<String, String> {
        environment::referred(name)
    }
}

/// Another source that notes which files were asked for: when one of them changes, so do the rows.
pub(super) struct Noting<'a> {
    source: &'a dyn SecretSource,
    asked: RefCell<BTreeSet<PathBuf>>,
}

impl<'a> Noting<'a> {
    pub(super) fn new(source: &'a dyn SecretSource) -> Self {
        Self { source, asked: RefCell::default() }
    }

    pub(super) fn asked(self) -> BTreeSet<PathBuf> {
        self.asked.into_inner()
    }
}

impl SecretSource for Noting<'_> {
    fn env(&self, name: &str) -> Result<String, String> {
        self.source.env(name)
    }

    fn is_stand_in(&self, text: &str) -> bool {
        self.source.is_stand_in(text)
    }

    fn file(&self, path: &Path) -> Result<String, String> {
        self.asked.borrow_mut().insert(path.to_owned());
        self.source.file(path)
    }

    fn credential(&self, name: &str) -> Result<String, String> {
        if let Ok(folder) = self.env("CREDENTIALS_DIRECTORY") {
            let names = [name.to_owned(), format!("{CREDENTIALS_PREFIX}{name}")];
            self.asked.borrow_mut().extend(names.map(|name| Path::new(&folder).join(name)));
        }
        self.source.credential(name)
    }
}

/// `text` with its references filled in, at most `bytes_max` bytes: a short text may refer to a long file a thousand times.
///
/// # Errors
/// The first [`FAULTS_MAX`] references that cannot be filled in, or that it becomes too long.
pub fn resolve(text: &str, source: &dyn SecretSource, bytes_max: usize) -> Result<String, Vec<ValueFault>> {
    let mut resolved = String::with_capacity(text.len());
    let mut faults = Vec::new();
    let mut rest = text;
    while let Some(at) = rest.find("${") {
        if resolved.len() > bytes_max || faults.len() == FAULTS_MAX {
            break;
        }
        if rest[..at].ends_with('$') {
            resolved.push_str(&rest[..at - 1]);
            resolved.push_str("${");
            rest = &rest[at + 2..];
            continue;
        }
        resolved.push_str(&rest[..at]);
        let inside = &rest[at + 2..];
        let Some(end) = inside.bytes().take(REFERENCE_BYTES_MAX + 1).position(|b| b == b'}') else {
            faults.push(ValueFault::new("a \"${\"", "has no \"}\" after it", GRAMMAR));
            rest = inside;
            continue;
        };
        match fill_in(&inside[..end], source) {
            Ok(secret) => resolved.push_str(&secret),
            Err(fault) => faults.push(fault),
        }
        rest = &inside[end + 1..];
    }
    if !faults.is_empty() {
        return Err(faults);
    }
    if resolved.len().saturating_add(rest.len()) > bytes_max {
        let why = format!("has more than {bytes_max} bytes when its references are filled in");
        return Err(vec![ValueFault::new("the text", why, "a shorter one")]);
    }
    resolved.push_str(rest);
    Ok(resolved)
}

/// Whether there is anything to fill in.
pub fn has_reference(text: &str) -> bool {
    text.contains("${")
}

/// Whether some of it stands in a file, which may get another content while the program runs.
pub fn has_file_reference(text: &str) -> bool {
    text.contains("${file:") || text.contains("${credential:")
}

const GRAMMAR: &str = "${env:NAME}, ${file:PATH} or ${credential:NAME}, or $${ for a \"${\" that is meant as it is";

/// What to write where a variable or a file cannot be read.
const READABLE: &str = "a variable or file that api-health can read when it starts";

fn shown(kind: &str, name: &str) -> String {
    match name.char_indices().nth(SHOWN_CHARS_MAX) {
        Some((cut, _)) => format!("${{{kind}:{}…}}", name[..cut].escape_debug()),
        None => format!("${{{kind}:{}}}", name.escape_debug()),
    }
}

fn fill_in(reference: &str, source: &dyn SecretSource) -> Result<String, ValueFault> {
    let (found, shown, remedy) = match reference.split_once(':') {
        Some(("env", name)) => {
            let shown = shown("env", name);
            if !is_variable_name(name) {
                let why = "is not the name of an environment variable (letters, digits and _)";
                return Err(ValueFault::new(shown, why, GRAMMAR));
            }
            (source.env(name), shown, READABLE)
        }
        Some(("file", path)) => {
            let shown = shown("file", path);
            if !Path::new(path).is_absolute() {
                return Err(ValueFault::new(shown, "is not an absolute path", "the whole path, from / on"));
            }
            (source.file(Path::new(path)), shown, READABLE)
        }
        Some(("credential", name)) => {
            let shown = shown("credential", name);
            if !is_credential_name(name) {
                let why = "is not the name of a credential (a file name of printable ASCII without / and :)";
                return Err(ValueFault::new(shown, why, "the name alone, as in /etc/api-health/credentials"));
            }
            (source.credential(name), shown, "a credential that the unit loads (LoadCredential=), and start it again")
        }
        // What stands there may be part of a secret: it is not shown.
        _ => return Err(ValueFault::new("a \"${\"", "begins none of ${env:, ${file: and ${credential:", GRAMMAR)),
    };
    match found {
        Ok(secret) if secret.is_empty() => {
            Err(ValueFault::new(shown, "is empty", "a reference to something that is not empty"))
        }
        Ok(secret) => Ok(secret),
        Err(why) => Err(ValueFault::new(shown, why, remedy)),
    }
}

/// By the rules of shells and of systemd for the names of variables.
pub(crate) fn is_variable_name(name: &str) -> bool {
    name.bytes().all(|b| b.is_ascii_alphanumeric() || b == b'_')
        && name.bytes().next().is_some_and(|b| !b.is_ascii_digit())
}

/// By systemd's rules for the names of credentials.
fn is_credential_name(name: &str) -> bool {
    let plain = |b: u8| (b.is_ascii_graphic() || b == b' ') && b != b'/' && b != b':';
    !matches!(name, "" | "." | "..") && name.len() <= CREDENTIAL_BYTES_MAX && name.bytes().all(plain)
}

fn read_file(path: &Path) -> Result<String, String> {
    let in_words = |error: std::io::Error| match error.kind() {
        ErrorKind::NotFound => "is not there".to_owned(),
        ErrorKind::PermissionDenied => "may not be read by this user".to_owned(),
        _ => format!("cannot be read: {error}"),
    };
    // Asked first, since opening a pipe could wait for ever.
    if !std::fs::metadata(path).map_err(in_words)?.is_file() {
        return Err("is not a file".into());
    }
    let mut bytes = Vec::new();
    File::open(path).map_err(in_words)?.take(FILE_BYTES_MAX + 1).read_to_end(&mut bytes).map_err(in_words)?;
    if bytes.len() as u64 > FILE_BYTES_MAX {
        return Err(format!("has more than {FILE_BYTES_MAX} bytes"));
    }
    let not_text = |error: FromUtf8Error| of_der(path, error.as_bytes()).unwrap_or_else(|| "is not UTF-8 text".into());
    let mut text = String::from_utf8(bytes).map_err(not_text)?;
    if text.ends_with('\n') {
        text.pop();
        if text.ends_with('\r') {
            text.pop();
        }
    }
    Ok(text)
}

#[cfg(test)]
pub(crate) mod tests {
    use super::*;
    use proptest::prelude::*;
    use std::io::Write;

    /// A source of known values, for tests: `TOKEN` is `hunter2`, `EMPTY` is empty.
    pub(crate) struct Known;

    impl SecretSource for Known {
        fn env(&self, name: &str) -> Result<String, String> {
            match name {
                "TOKEN" => Ok("hunter2".into()),
                "EMPTY" => Ok(String::new()),
                "TWO_LINES" => Ok("hunter2\r\nX-Evil: 1".into()),
                _ => Err(environment::why_missing(name)),
            }
        }
    }

    fn faults(text: &str) -> Vec<String> {
        resolve(text, &Known, 100_000).unwrap_err().into_iter().map(|f| format!("{} {}", f.what, f.why)).collect()
    }

    #[test]
    fn references_are_filled_in_and_dollars_escaped() {
        assert_eq!(resolve("Bearer ${env:TOKEN}!", &Known, 100_000).unwrap(), "Bearer hunter2!");
        assert_eq!(resolve("$${env:TOKEN} $5 {} $", &Known, 100_000).unwrap(), "${env:TOKEN} $5 {} $");
        assert_eq!(resolve("${env:TOKEN}${env:TOKEN}", &Known, 100_000).unwrap(), "hunter2hunter2");
    }

    #[test]
    fn a_file_is_read_without_its_last_newline() {
        let mut file = tempfile::NamedTempFile::new().unwrap();
        write!(file, "hun\nter2\r\n").unwrap();
        let text = format!("${{file:{}}}", file.path().display());
        assert_eq!(resolve(&text, &Known, 100_000).unwrap(), "hun\nter2");
        file.write_all(&vec![b'x'; 64 * 1024]).unwrap();
        assert!(faults(&text)[0].ends_with("has more than 65536 bytes"));
    }

    #[test]
    fn every_fault_is_named_and_no_value_is() {
        assert_eq!(
            faults("${env:TOKEN} ${env:NONE} ${file:/no/such} ${file:here} ${hunter2} ${env:A B} ${env:EMPTY} ${"),
            [
                "${env:NONE} is not set in the environment of api-health",
                "${file:/no/such} is not there",
                "${file:here} is not an absolute path",
                "a \"${\" begins none of ${env:, ${file: and ${credential:",
                "${env:A B} is not the name of an environment variable (letters, digits and _)",
                "${env:EMPTY} is empty",
                "a \"${\" has no \"}\" after it",
            ]
        );
        assert_eq!(faults("${file:/dev/null}"), ["${file:/dev/null} is not a file"]);
    }

    /// As systemd would hand over this folder.
    struct Handed(String);

    impl SecretSource for Handed {
        fn env(&self, name: &str) -> Result<String, String> {
            (name == "CREDENTIALS_DIRECTORY").then(|| self.0.clone()).ok_or_else(|| environment::why_missing(name))
        }
    }

    #[test]
    fn a_credential_is_read_by_its_name_or_that_of_the_folder_before_it() {
        let folder = tempfile::tempdir().unwrap();
        let write = |name: &str, text: &str| std::fs::write(folder.path().join(name), text).unwrap();
        write("webhook", "hunter2\n");
        write("secrets_token", "hunter3");
        write("empty", "");
        write("long", &"x".repeat(usize::try_from(FILE_BYTES_MAX).unwrap() + 1));
        std::fs::create_dir(folder.path().join("folder")).unwrap();
        let handed = Handed(folder.path().display().to_string());
        let read = |text: &str| {
            resolve(text, &handed, 100_000)
                .map_err(|faults| faults.iter().map(|f| format!("{} {}", f.what, f.why)).collect::<Vec<_>>().join("; "))
        };
        assert_eq!(read("${credential:webhook} ${credential:token}"), Ok("hunter2 hunter3".into()));
        let nor = |name: &str| format!("in CREDENTIALS_DIRECTORY, nor can secrets_{name} be read there");
        for (name, why) in [
            ("none", format!("is not there {}", nor("none"))),
            ("long", format!("has more than 65536 bytes {}", nor("long"))),
            ("folder", format!("is not a file {}", nor("folder"))),
            ("empty", "is empty".to_owned()),
        ] {
            assert_eq!(read(&format!("${{credential:{name}}}")), Err(format!("${{credential:{name}}} {why}")));
        }
        for name in ["", ".", "..", "../shadow", "/etc/shadow", "a:b", "ü", &"n".repeat(CREDENTIAL_BYTES_MAX + 1)] {
            let fault = read(&format!("${{credential:{name}}}")).unwrap_err();
            assert!(fault.contains("is not the name of a credential"), "{fault}");
        }
        for nothing in [&Known as &dyn SecretSource, &Handed(String::new())] {
            let fault = resolve("${credential:webhook}", nothing, 100_000).unwrap_err().remove(0);
            assert_eq!(
                fault.why,
                "cannot be read: systemd handed no credentials to this process (no CREDENTIALS_DIRECTORY)"
            );
        }
    }

    proptest! {
        #[test]
        fn any_text_is_resolved_or_refused(text in r"([$]|[{]|[}]|env:TOKEN|file:/|credential:|ü|a){0,20}") {
            match resolve(&text, &Known, 100_000) {
                Ok(resolved) => prop_assert!(has_reference(&text) || resolved == text),
                Err(faults) => prop_assert!(faults.iter().all(|f| !f.what.contains("hunter2"))),
            }
        }
    }
}
