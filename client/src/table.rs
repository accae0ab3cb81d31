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
    /// every row is left out.
    pub(crate) fn write(&self, page: &mut Page) {
        let widths = self.widths();
        for (index, row) in self.rows.iter().enumerate() {
            let mut line = String::new();
            for (cell, width) in row.iter().zip(&widths) {
                if let Some(width) = width {
                    let padding = width - cell.chars().count();
                    line.push_str(cell);
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
}
