//! What a library says of an error, without the structure that it prints: `Other(OtherError(BadEncoding))` is "bad encoding".

/// `text` in words. A text that is words already stays.
pub(super) fn words(text: &str) -> String {
    let inner = match text.find(['{', '[']) {
        // A structure: what it quotes is the message, and else its name says it.
        Some(at) => match text[at..].split('"').nth(1).filter(|quoted| !quoted.is_empty()) {
            Some(quoted) => quoted,
            None => text[..at].trim_end(),
        },
        None => text,
    };
    let mut words = String::with_capacity(inner.len());
    let parts = inner.split(' ').map(|word| match word.rsplit_once('(') {
        Some((before, inside)) if before.ends_with(|c: char| c.is_alphanumeric()) => inside.trim_end_matches(')'),
        _ => word,
    });
    for part in parts {
        if !words.is_empty() {
            words.push(' ');
        }
        split_name(part, &mut words);
    }
    words
}

/// What the system says of an error, without its number.
pub(super) fn of_system(error: &std::io::Error) -> String {
    let text = error.to_string();
    words(text.split(" (os error").next().unwrap_or(&text))
}

/// `NoCipherSuites` is `no cipher suites`; anything that has no capital after a small letter stays.
fn split_name(word: &str, words: &mut String) {
    let is_name = word.as_bytes().windows(2).any(|pair| pair[0].is_ascii_lowercase() && pair[1].is_ascii_uppercase());
    let is_plain = word.bytes().all(|byte| byte.is_ascii_alphanumeric() || matches!(byte, b',' | b';' | b':'));
    if !(is_name && is_plain) {
        words.push_str(word);
        return;
    }
    let mut before = ' ';
    for c in word.chars() {
        if before.is_ascii_lowercase() && c.is_ascii_uppercase() {
            words.push(' ');
        }
        words.push(c.to_ascii_lowercase());
        before = c;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn structures_become_words_and_words_stay() {
        for (text, shown) in [
            ("Other(OtherError(UnsupportedCertVersion))", "unsupported cert version"),
            ("peer is incompatible: NoCipherSuitesInCommon", "peer is incompatible: no cipher suites in common"),
            ("UnsupportedThing { id: [6, 9, 42], all: [] }", "unsupported thing"),
            (
                "payload reached EOF before completing: Some(Custom { kind: InvalidInput, error: \"Invalid size\" })",
                "Invalid size",
            ),
            ("received fatal alert: HandshakeFailure", "received fatal alert: handshake failure"),
            ("what answers (on this port) does not speak TLS", "what answers (on this port) does not speak TLS"),
            ("a.testHost/aB is not it", "a.testHost/aB is not it"),
        ] {
            assert_eq!(words(text), shown);
        }
    }
}
