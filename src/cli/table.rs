//! Tables: columns aligned by what a terminal shows, and made to fit its width; in a pipe nothing is cut.
//!
//! Where the terminal is too narrow for all columns, those that are marked as spare go, and then the last column moves to lines of
//! its own below each row: it says what is wrong, and is to be read.

use anstyle::Style;
use unicode_width::{UnicodeWidthChar, UnicodeWidthStr};

use super::out::{DIM, Out, PLAIN};
use super::text;

/// Between two columns.
const GAP: usize = 2;
/// A column is cut to no less than this while something else can give way.
const COLUMN_MIN: usize = 12;
/// The same of the last one, which holds sentences.
const LAST_MIN: usize = 24;
/// What stands below a row is set in by this.
const INDENT: usize = 2;

#[derive(Clone, Debug)]
pub(super) struct Cell {
    text: String,
    style: Style,
}

impl Cell {
    /// Text in a style, wherever it came from: it becomes one line in which nothing steers.
    pub(super) fn styled(text: impl AsRef<str>, style: Style) -> Self {
        Self { text: text::line(text.as_ref()), style }
    }
}

impl<T: AsRef<str>> From<T> for Cell {
    fn from(text: T) -> Self {
        Self::styled(text, PLAIN)
    }
}

/// Rows below titles. A title that begins with `>` has its column aligned to the right; one that begins with `?`, before that, is
/// spare.
pub(super) struct Table {
    titles: Vec<&'static str>,
    rows: Vec<Row>,
}

struct Row {
    cells: Vec<Cell>,
    /// Lines below it.
    below: Vec<String>,
}

impl Table {
    /// A table without rows.
    pub(super) fn new(titles: &[&'static str]) -> Self {
        Self { titles: titles.to_vec(), rows: Vec::new() }
    }

    /// Adds a row; it has as many cells as there are titles.
    pub(super) fn push(&mut self, cells: Vec<Cell>) {
        self.rows.push(Row { cells, below: Vec::new() });
    }

    /// Adds a line below the last row.
    pub(super) fn below(&mut self, line: &str) {
        if let Some(row) = self.rows.last_mut() {
            row.below.push(format!("{}{line}", " ".repeat(INDENT)));
        }
    }

    /// The whole table, each line with its newline. The last column is not filled up.
    pub(super) fn render(&self, out: &Out) -> String {
        let titles: Vec<Cell> =
            self.titles.iter().map(|title| Cell::styled(title.trim_start_matches(['?', '>']), DIM)).collect();
        let layout = Layout::of(&self.natural_widths(&titles), &self.titles, out.columns);
        let mut text = self.line(&titles, &layout, out);
        for row in &self.rows {
            text.push_str(&self.line(&row.cells, &layout, out));
            let last = row.cells.last().filter(|cell| layout.last_below && !matches!(cell.text.as_str(), "" | "-"));
            if let (Some(cell), Some(columns)) = (last, out.columns) {
                for part in broken(&cell.text, columns.saturating_sub(INDENT)) {
                    text.push_str(&format!("{}{}\n", " ".repeat(INDENT), out.paint(cell.style, &part)));
                }
            }
            text.extend(row.below.iter().map(|line| format!("{line}\n")));
        }
        text
    }

    fn natural_widths(&self, titles: &[Cell]) -> Vec<usize> {
        let rows = || std::iter::once(titles).chain(self.rows.iter().map(|row| row.cells.as_slice()));
        let width = |index| rows().filter_map(|cells| cells.get(index)).map(|cell: &Cell| cell.text.width()).max();
        (0..titles.len()).map(|index| width(index).unwrap_or(0)).collect()
    }

    fn line(&self, cells: &[Cell], layout: &Layout, out: &Out) -> String {
        let mut line = String::new();
        for (nth, (index, width)) in layout.columns.iter().enumerate() {
            let Some(cell) = cells.get(*index) else { continue };
            let shown = cut(&cell.text, *width, out.ellipsis());
            let padding = " ".repeat(width - shown.width().min(*width));
            let painted = out.paint(cell.style, &shown);
            let is_right = self.titles.get(*index).is_some_and(|title| title.contains('>'));
            let is_last = nth + 1 == layout.columns.len();
            line.push_str(&match (is_right, is_last) {
                (true, _) => format!("{padding}{painted}"),
                (false, true) => painted,
                (false, false) => format!("{painted}{padding}"),
            });
            if !is_last {
                line.push_str(&" ".repeat(GAP));
            }
        }
        format!("{}\n", line.trim_end())
    }
}

/// Which columns stand beside each other, and how wide.
#[derive(Debug, PartialEq, Eq)]
struct Layout {
    columns: Vec<(usize, usize)>,
    last_below: bool,
}

impl Layout {
    /// The first that fits: all columns; without the spare ones, the last of which goes first; the last column below.
    fn of(natural: &[usize], titles: &[&str], room: Option<usize>) -> Self {
        let all: Vec<(usize, usize)> = natural.iter().copied().enumerate().collect();
        let Some(room) = room else { return Self { columns: all, last_below: false } };
        let last = natural.len().saturating_sub(1);
        for last_below in [false, true] {
            let mut columns = all.clone();
            columns.truncate(if last_below { last } else { natural.len() });
            loop {
                let least = |index| if index == last { LAST_MIN } else { COLUMN_MIN };
                if let Some(columns) = fitted(columns.clone(), room, least) {
                    return Self { columns, last_below };
                }
                match columns.iter().rposition(|(index, _)| titles.get(*index).is_some_and(|t| t.starts_with('?'))) {
                    Some(spare) => drop(columns.remove(spare)),
                    None => break,
                }
            }
        }
        // Narrower than anybody's terminal: what fits of the first columns.
        let mut columns = all;
        columns.truncate(last.max(1));
        loop {
            if let Some(columns) = fitted(columns.clone(), room, |_| 1) {
                return Self { columns, last_below: last > 0 };
            }
            columns.pop();
        }
    }
}

/// Takes from the widest column that is wider than its least until the row fits.
fn fitted(
    mut columns: Vec<(usize, usize)>,
    room: usize,
    least: impl Fn(usize) -> usize,
) -> Option<Vec<(usize, usize)>> {
    let gaps = GAP * columns.len().saturating_sub(1);
    while columns.iter().map(|(_, width)| width).sum::<usize>() + gaps > room {
        let can_give = columns.iter_mut().filter(|(index, width)| *width > least(*index));
        can_give.max_by_key(|(_, width)| *width)?.1 -= 1;
    }
    Some(columns)
}

/// `text` in parts of at most `room` columns, broken between words, and inside those that are wider.
fn broken(text: &str, room: usize) -> Vec<String> {
    let mut parts = vec![String::new()];
    for word in text.split(' ') {
        let Some(part) = parts.last_mut() else { continue };
        if !part.is_empty() && part.width() + 1 + word.width() <= room {
            part.push(' ');
        } else if !part.is_empty() {
            parts.push(String::new());
        }
        for c in word.chars() {
            let is_full = parts.last().is_some_and(|part| part.width() + c.width().unwrap_or(0) > room.max(2));
            if is_full {
                parts.push(String::new());
            }
            if let Some(part) = parts.last_mut() {
                part.push(c);
            }
        }
    }
    parts
}

/// `text` in at most `width` columns.
pub(super) fn cut(text: &str, width: usize, ellipsis: &str) -> String {
    if text.width() <= width {
        return text.to_owned();
    }
    if width < ellipsis.width() {
        return ellipsis.chars().take(width).collect();
    }
    let room = width - ellipsis.width();
    let mut used = 0;
    let mut kept = String::new();
    for c in text.chars() {
        used += c.width().unwrap_or(0);
        if used > room {
            break;
        }
        kept.push(c);
    }
    kept + ellipsis
}

#[cfg(test)]
mod tests {
    use super::*;

    const TITLES: [&str; 5] = ["API", "STATUS", "?LAST PROBE", "?>LATENCY", "WHAT"];

    /// Indices and widths; whether the last column is below.
    fn layout(natural: [usize; 5], room: usize) -> (Vec<(usize, usize)>, bool) {
        let layout = Layout::of(&natural, &TITLES, Some(room));
        (layout.columns, layout.last_below)
    }

    #[test]
    fn a_row_is_made_to_fit_by_its_widest_column_then_without_the_spare_ones_then_on_two_lines() {
        let natural = [9, 6, 10, 7, 40];
        assert_eq!(layout(natural, 80), (vec![(0, 9), (1, 6), (2, 10), (3, 7), (4, 40)], false));
        assert_eq!(layout(natural, 64), (vec![(0, 9), (1, 6), (2, 10), (3, 7), (4, 24)], false));
        assert_eq!(layout(natural, 60), (vec![(0, 9), (1, 6), (2, 10), (4, 29)], false));
        assert_eq!(layout(natural, 45), (vec![(0, 9), (1, 6), (4, 26)], false));
        assert_eq!(layout(natural, 40), (vec![(0, 9), (1, 6), (2, 10), (3, 7)], true));
        assert_eq!(layout(natural, 20), (vec![(0, 9), (1, 6)], true));
        assert_eq!(layout([80, 6, 10, 7, 40], 24), (vec![(0, 16), (1, 6)], true));
        assert_eq!(layout([80, 6, 10, 7, 40], 4).0.iter().map(|(_, width)| width + 2).sum::<usize>(), 6);
        assert_eq!(Layout::of(&[4, 300], &["A", "B"], None).columns, [(0, 4), (1, 300)], "a pipe has all");
    }

    #[test]
    fn what_stands_below_is_broken_between_words_and_a_long_word_inside() {
        assert_eq!(broken("connection to 127.0.0.1:9 refused", 24), ["connection to", "127.0.0.1:9 refused"]);
        assert_eq!(broken("a abcdefghij b", 4), ["a", "abcd", "efgh", "ij b"]);
        assert_eq!(broken("北京北京", 5), ["北京", "北京"]);
        assert_eq!(broken("", 4), [""]);
    }

    #[test]
    fn a_cut_counts_columns_not_characters() {
        assert_eq!(cut("abcdef", 6, "…"), "abcdef");
        assert_eq!(cut("abcdefg", 6, "…"), "abcde…");
        assert_eq!(cut("北京北京", 6, "…"), "北京…");
        assert_eq!(cut("abcdefg", 6, "..."), "abc...");
        assert_eq!(cut("abcdefg", 2, "..."), "..");
    }
}
