//! The pages, cut into their fenced blocks.

pub(super) const OPERATIONS: &str = include_str!("../../../docs/operations.md");
pub(super) const CRON: &str = include_str!("../../../docs/cron.md");

/// A fenced block.
#[derive(Clone, Debug)]
pub(super) struct Block {
    /// What the comment above it says; empty if there is none.
    pub(super) marker: String,
    /// What stands between the fences.
    pub(super) text: String,
}

/// Every block of a page, in its order.
pub(super) fn blocks(page: &str) -> Vec<Block> {
    let mut blocks = Vec::new();
    let mut lines = page.lines();
    let mut before = "";
    while let Some(line) = lines.next() {
        if line.starts_with("```") {
            let text: Vec<&str> = lines.by_ref().take_while(|line| *line != "```").collect();
            let marker = before.strip_prefix("<!-- ").and_then(|rest| rest.strip_suffix(" -->")).unwrap_or_default();
            blocks.push(Block { marker: marker.to_owned(), text: text.join("\n") + "\n" });
        }
        before = line;
    }
    blocks
}

/// The blocks with that marker, each with the lines that it must print.
pub(super) fn to_run(page: &str, marker: &str) -> Vec<(String, Vec<String>)> {
    let found: Vec<_> = expected(page).into_iter().filter(|(block, _)| block.marker == marker).collect();
    assert!(!found.is_empty(), "no block is marked {marker:?}");
    found.into_iter().map(|(block, lines)| (block.text, lines)).collect()
}

/// Every block, each with the lines that it must print.
pub(super) fn expected(page: &str) -> Vec<(Block, Vec<String>)> {
    let blocks = blocks(page);
    let next = |index: usize| blocks.get(index + 1).filter(|next| next.marker == "prints");
    blocks
        .iter()
        .enumerate()
        .map(|(index, block)| {
            let lines = next(index).map(|next| next.text.lines().map(str::to_owned).collect());
            (block.clone(), lines.unwrap_or_default())
        })
        .collect()
}

/// The texts of the blocks with that marker.
pub(super) fn marked(page: &str, marker: &str) -> Vec<String> {
    let found: Vec<_> = blocks(page).into_iter().filter(|block| block.marker == marker).map(|b| b.text).collect();
    assert!(!found.is_empty(), "no block is marked {marker:?}");
    found
}

/// Whether `line` is what `pattern` says, in which `…` stands for anything.
pub(super) fn is_like(pattern: &str, line: &str) -> bool {
    let parts: Vec<&str> = pattern.split('…').collect();
    let [first, middle @ .., last] = &parts[..] else { return pattern == line };
    let Some(mut rest) = line.strip_prefix(first) else { return false };
    for part in middle {
        match rest.split_once(part) {
            Some((_, after)) => rest = after,
            None => return false,
        }
    }
    rest.ends_with(last)
}

/// Every line of `expected` must be in `printed`, in that order.
pub(super) fn compare(expected: &[String], printed: &str) -> Result<(), String> {
    let mut lines = printed.lines().map(str::trim_end);
    for line in expected {
        if !lines.any(|printed| is_like(line.trim_end(), printed)) {
            return Err(format!("the page says that {line:?} is printed, and it was:\n{printed}"));
        }
    }
    Ok(())
}

#[test]
fn every_block_says_what_becomes_of_it() {
    for (name, page) in [("operations.md", OPERATIONS), ("cron.md", CRON)] {
        let blocks = blocks(page);
        assert!(blocks.len() > 5, "{name}");
        for Block { marker, text } in blocks {
            let known = ["run: look", "run: sqlite", "run: systemd", "prints", "mail", "crontab", "tfvars"];
            let known = known.into_iter().chain(super::people::MARKERS).collect::<Vec<_>>();
            let is_excused = marker.strip_prefix("not run: ").is_some_and(|reason| reason.len() > 10);
            assert!(known.contains(&marker.as_str()) || is_excused, "docs/{name}: {marker:?} stands above\n{text}");
        }
    }
}

#[test]
fn the_comparison_finds_what_is_not_so() {
    let lines = |text: &str| text.lines().map(str::to_owned).collect::<Vec<_>>();
    assert_eq!(compare(&lines("a …\nc"), "a b\nb\nc\n"), Ok(()));
    for (expected, printed) in
        [("a\nb", "b\na"), ("a", "ab"), ("a … c", "a b"), ("exit code 0", "exit code 69"), ("a…b", "b")]
    {
        assert!(compare(&lines(expected), printed).is_err(), "{expected:?} in {printed:?}");
    }
}
