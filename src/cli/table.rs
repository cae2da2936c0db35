//! Tables: columns aligned by what a terminal shows, cut to its width on a terminal and never in a pipe.

use anstyle::Style;
use unicode_width::{UnicodeWidthChar, UnicodeWidthStr};

use super::out::{DIM, Out, PLAIN};

/// Between two columns.
const GAP: usize = 2;
/// A column is never cut to less than this.
const COLUMN_MIN: usize = 6;

/// One cell.
#[derive(Clone, Debug)]
pub(super) struct Cell {
    text: String,
    style: Style,
}

impl Cell {
    /// Text in a style.
    pub(super) fn styled(text: impl Into<String>, style: Style) -> Self {
        Self { text: text.into(), style }
    }
}

impl<T: Into<String>> From<T> for Cell {
    fn from(text: T) -> Self {
        Self::styled(text, PLAIN)
    }
}

/// Rows below titles. A title that begins with `>` has its column aligned to the right.
pub(super) struct Table {
    titles: Vec<&'static str>,
    rows: Vec<Vec<Cell>>,
}

impl Table {
    /// A table without rows.
    pub(super) fn new(titles: &[&'static str]) -> Self {
        Self { titles: titles.to_vec(), rows: Vec::new() }
    }

    /// Adds a row; it has as many cells as there are titles.
    pub(super) fn push(&mut self, row: Vec<Cell>) {
        self.rows.push(row);
    }

    /// The whole table, each line with its newline. The last column is not filled up.
    pub(super) fn render(&self, out: &Out) -> String {
        let titles = self.titles.iter().map(|title| Cell::styled(title.trim_start_matches('>'), DIM)).collect();
        let lines: Vec<&Vec<Cell>> = std::iter::once(&titles).chain(&self.rows).collect();
        let widths = fit(natural_widths(&lines, self.titles.len()), out.columns);
        let mut text = String::new();
        for line in lines {
            let mut row = String::new();
            for ((index, cell), width) in line.iter().enumerate().zip(&widths) {
                let shown = cut(&cell.text, *width, out.ellipsis());
                let padding = " ".repeat(width - shown.width().min(*width));
                let painted = out.paint(cell.style, &shown);
                let right = self.titles.get(index).is_some_and(|title| title.starts_with('>'));
                let last = index + 1 == line.len();
                row.push_str(&match (right, last) {
                    (true, _) => format!("{padding}{painted}"),
                    (false, true) => painted,
                    (false, false) => format!("{painted}{padding}"),
                });
                if !last {
                    row.push_str(&" ".repeat(GAP));
                }
            }
            text.push_str(row.trim_end());
            text.push('\n');
        }
        text
    }
}

fn natural_widths(lines: &[&Vec<Cell>], columns: usize) -> Vec<usize> {
    (0..columns)
        .map(|index| lines.iter().filter_map(|line| line.get(index)).map(|cell| cell.text.width()).max().unwrap_or(0))
        .collect()
}

/// Takes from the widest column until the row fits, as long as there is something to take.
fn fit(mut widths: Vec<usize>, columns: Option<usize>) -> Vec<usize> {
    let Some(columns) = columns else { return widths };
    let gaps = GAP * widths.len().saturating_sub(1);
    while widths.iter().sum::<usize>() + gaps > columns {
        match widths.iter_mut().max() {
            Some(widest) if *widest > COLUMN_MIN => *widest -= 1,
            _ => break,
        }
    }
    widths
}

/// `text` in at most `width` columns.
pub(super) fn cut(text: &str, width: usize, ellipsis: &str) -> String {
    if text.width() <= width {
        return text.to_owned();
    }
    let room = width.saturating_sub(ellipsis.width());
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

    #[test]
    fn a_row_is_made_to_fit_by_its_widest_column() {
        assert_eq!(fit(vec![4, 30, 10], Some(30)), [4, 12, 10]);
        assert_eq!(fit(vec![4, 30, 10], None), [4, 30, 10]);
        assert_eq!(fit(vec![4, 30, 30], Some(10)), [4, 6, 6], "never below the least");
    }

    #[test]
    fn a_cut_counts_columns_not_characters() {
        assert_eq!(cut("abcdef", 6, "…"), "abcdef");
        assert_eq!(cut("abcdefg", 6, "…"), "abcde…");
        assert_eq!(cut("北京北京", 6, "…"), "北京…");
        assert_eq!(cut("abcdefg", 6, "..."), "abc...");
    }
}
