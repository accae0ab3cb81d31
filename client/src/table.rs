//! Columns below each other.

use crate::output::Page;

/// A table whose cells are plain, already escaped text.
#[derive(Debug)]
pub(crate) struct Table {
    rows: Vec<Vec<String>>,
}

impl Table {
    pub(crate) fn new(header: &[&str]) -> Self {
        let header = header.iter().map(|cell| (*cell).to_owned()).collect();
        Self { rows: vec![header] }
    }

    /// Adds a row with as many cells as the header has.
    pub(crate) fn row(&mut self, cells: Vec<String>) {
        self.rows.push(cells);
    }

    /// Writes the table: the header dimmed, two spaces between columns. A column that is empty in
    /// every row is left out, and cells are cut where a terminal is too narrow for them.
    pub(crate) fn write(&self, page: &mut Page) {
        let mut widths = self.widths();
        if let Some(columns) = page.columns() {
            shrink(&mut widths, columns);
        }
        for (index, row) in self.rows.iter().enumerate() {
            let mut line = String::new();
            for (cell, width) in row.iter().zip(&widths) {
                if let Some(width) = *width {
                    let cell = cut(cell, width);
                    let padding = width - cell.chars().count();
                    line.push_str(&cell);
                    line.extend(std::iter::repeat_n(' ', padding + 2));
                }
            }
            let line = line.trim_end();
            if index == 0 {
                page.line(&page.dim(line));
            } else {
                page.line(line);
            }
        }
    }

    /// The width of each column in characters; `None` for one that has only its header.
    fn widths(&self) -> Vec<Option<usize>> {
        let columns = self.rows.first().map_or(0, Vec::len);
        let width = |column: usize| {
            let mut cells = self.rows.iter().filter_map(|row| row.get(column));
            let header = cells.next()?.chars().count();
            let widest = cells.map(|cell| cell.chars().count()).max()?;
            (widest > 0).then_some(widest.max(header))
        };
        (0..columns).map(width).collect()
    }
}

/// What a cell is cut to at most: less of a name tells nothing.
const LEAST: usize = 8;

/// Takes from the widest columns until the table fits, or nothing more can be taken.
fn shrink(widths: &mut [Option<usize>], columns: usize) {
    let whole = |widths: &[Option<usize>]| {
        let shown = widths.iter().flatten();
        shown
            .map(|width| width + 2)
            .sum::<usize>()
            .saturating_sub(2)
    };
    while whole(widths) > columns {
        let widest = widths.iter_mut().flatten().max_by_key(|width| **width);
        match widest {
            Some(width) if *width > LEAST => *width -= 1,
            _ => return,
        }
    }
}

fn cut(cell: &str, width: usize) -> std::borrow::Cow<'_, str> {
    if cell.chars().count() <= width {
        return cell.into();
    }
    let mut short: String = cell.chars().take(width.saturating_sub(1)).collect();
    short.push('…');
    short.into()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn columns_are_aligned_and_empty_ones_left_out() {
        let mut table = Table::new(&["", "name", "endpoint", "role"]);
        table.row(vec!["*".into(), "é".into(), String::new(), "write".into()]);
        table.row(vec!["".into(), "longer".into(), String::new(), "".into()]);
        let mut page = Page::new(false);
        table.write(&mut page);
        assert_eq!(
            page.text(),
            "   name    role\n*  é       write\n   longer\n"
        );
    }

    #[test]
    fn a_narrow_terminal_cuts_the_widest_cells() {
        let mut table = Table::new(&["name", "endpoint"]);
        table.row(vec!["work".into(), "https://hub.example:8443".into()]);
        let mut page = Page::new(false).on_a_terminal(20);
        table.write(&mut page);
        assert_eq!(page.text(), "name  endpoint\nwork  https://hub.e…\n");
        let mut hopeless = vec![Some(9), Some(8), None];
        shrink(&mut hopeless, 3);
        assert_eq!(hopeless, [Some(8), Some(8), None]);
    }
}
