//! A table for people: aligned columns, a heading, no lines to draw. Pure: rows in, text out.

use super::width::width;

/// Two blanks between columns survive copying into a mail.
const GAP: &str = "  ";

pub struct Table {
    heading: Vec<String>,
    rows: Vec<Vec<String>>,
}

impl Table {
    pub fn new(heading: &[&str]) -> Self {
        Self { heading: heading.iter().map(|cell| (*cell).to_owned()).collect(), rows: Vec::new() }
    }

    pub fn row(&mut self, cells: impl IntoIterator<Item = String>) {
        // What others wrote cannot move the cursor.
        let clean = |cell: String| cell.chars().map(|c| if c.is_control() { ' ' } else { c }).collect();
        self.rows.push(cells.into_iter().map(clean).collect());
    }

    pub fn is_empty(&self) -> bool {
        self.rows.is_empty()
    }

    pub fn text(&self) -> String {
        let all = || std::iter::once(&self.heading).chain(&self.rows);
        let columns = all().map(Vec::len).max().unwrap_or(0);
        let widths: Vec<usize> = (0..columns)
            .map(|column| all().filter_map(|row| row.get(column)).map(|cell| width(cell)).max().unwrap_or(0))
            .collect();
        let mut text = String::new();
        for row in all() {
            let mut line = String::new();
            for (cell, widest) in row.iter().zip(&widths) {
                line.push_str(cell);
                line.push_str(&" ".repeat(widest - width(cell)));
                line.push_str(GAP);
            }
            text.push_str(line.trim_end());
            text.push('\n');
        }
        text
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn columns_stand_below_one_another_in_both_scripts() {
        let mut table = Table::new(&["施設", "VPN番号"]);
        table.row(["ひまわり訪問看護".to_owned(), "18-0001".to_owned()]);
        table.row(["Clinic\u{1b}[2J".to_owned(), "18-0002".to_owned()]);
        assert_eq!(
            table.text(),
            "施設              VPN番号\nひまわり訪問看護  18-0001\nClinic [2J        18-0002\n"
        );
    }
}
