//! What was probably meant by a misspelt word.

/// Below this likeness (0 to 1, Jaro-Winkler) a word is no suggestion: found by trying misspellings of every field.
const LIKENESS_MIN: f64 = 0.82;

/// A longer word is not compared: it is no misspelling, and this bounds the work.
const COMPARED_BYTES_MAX: usize = 64;

/// The one of `known` that is most like `word`, if any is like it at all.
pub fn nearest_of<'a>(word: &str, known: impl IntoIterator<Item = &'a str>) -> Option<&'a str> {
    nearest(word, known.into_iter().map(|name| (name, &[][..])))
}

/// The same of names that people call otherwise, too: each with its other names.
pub fn nearest<'a>(word: &str, known: impl IntoIterator<Item = (&'a str, &'a [&'a str])>) -> Option<&'a str> {
    let word = word.trim().to_ascii_lowercase().replace(['-', ' '], "_");
    if word.len() > COMPARED_BYTES_MAX {
        return None;
    }
    let likeness = |(name, also): (&'a str, &[&str])| match also.contains(&word.as_str()) {
        true => (1.0, name),
        false => (strsim::jaro_winkler(&word, name), name),
    };
    let by_likeness = known.into_iter().map(likeness).filter(|(likeness, _)| *likeness >= LIKENESS_MIN);
    by_likeness.max_by(|a, b| a.0.total_cmp(&b.0)).map(|(_, name)| name)
}
