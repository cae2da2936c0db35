//! A body made from a template: what is put in stands there as JSON, and neither time nor size is without a bound. Pure.

use std::io::{self, Write};

use minijinja::value::Serde;
use minijinja::{Environment, UndefinedBehavior};
use serde::de::IgnoredAny;

use super::words::Words;

/// The longest template, in bytes.
pub const TEMPLATE_BYTES_MAX: usize = 16 * 1024;
/// The longest body that one may make, in bytes.
pub(super) const BODY_BYTES_MAX: usize = 64 * 1024;
/// Bounds the steps of one rendering, and by that its memory: 64 bytes for each.
const FUEL: u64 = 100_000;

/// What the body is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Form {
    /// JSON: each value that is put in becomes one, text with its quotes.
    Json,
    /// Another one, as a header of the settings says: values are put in as they are.
    Text,
}

/// The body that `source` makes of `words`, or what is wrong with it.
pub(super) fn render(source: &str, form: Form, words: &Words) -> Result<String, String> {
    let name = match form {
        Form::Json => "template.json",
        Form::Text => "template.txt",
    };
    let mut environment = Environment::new();
    environment.set_undefined_behavior(UndefinedBehavior::Strict);
    environment.set_fuel(Some(FUEL));
    let template = environment.template_from_named_str(name, source).map_err(|error| text(&error))?;
    if let Some(unknown) = unknown(&template.undeclared_variables(false), words) {
        return Err(format!("{unknown} is a name that no alert has"));
    }
    let mut body = Bounded { bytes: Vec::new(), is_full: false };
    let rendered = template.render_captured_to(Serde(words), &mut body);
    if body.is_full {
        return Err(format!("it makes more than {BODY_BYTES_MAX} bytes"));
    }
    rendered.map_err(|error| text(&error))?;
    let body = String::from_utf8(body.bytes).map_err(|_| "it makes no UTF-8".to_owned())?;
    let body = body.trim();
    match form {
        Form::Json => serde_json::from_str::<IgnoredAny>(body)
            .map_err(|error| {
                format!(
                    "it makes no valid JSON ({error}); a value brings its own quotes: {{\"text\": {{{{ title }}}}}}"
                )
            })
            .map(|_| body.to_owned()),
        Form::Text if body.is_empty() => Err("it makes nothing".into()),
        Form::Text => Ok(body.to_owned()),
    }
}

/// A name that is used and not known, the first by the alphabet.
fn unknown(used: &std::collections::HashSet<String>, words: &Words) -> Option<String> {
    let functions = ["range", "dict", "namespace", "debug"];
    used.iter().filter(|name| !words.contains_key(*name) && !functions.contains(&name.as_str())).min().cloned()
}

fn text(error: &minijinja::Error) -> String {
    let what = match error.detail() {
        Some(detail) => format!("{}: {detail}", error.kind()),
        None => error.kind().to_string(),
    };
    match error.line() {
        Some(line) => format!("{what} (line {line} of the template)"),
        None => what,
    }
}

/// Takes so much and no more.
struct Bounded {
    bytes: Vec<u8>,
    is_full: bool,
}

impl Write for Bounded {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.is_full |= self.bytes.len() + bytes.len() > BODY_BYTES_MAX;
        if self.is_full {
            return Err(io::ErrorKind::FileTooLarge.into());
        }
        self.bytes.extend_from_slice(bytes);
        Ok(bytes.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}
