//! A table for people: aligned columns, a heading, no lines to draw. Pure: rows in, text out.

use super::width::width;

/// A facility's code.
const CODE_DIGITS: usize = 10;
/// Two blanks between columns survive copying into a mail.
const GAP: &str = "  ";

/// Whether a terminal shows colours; a file or a pipe never does.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Ink {
    Plain,
    Colour,
}

impl Ink {
    /// What a reader should see first.
    pub fn strong(self, text: &str) -> String {
        self.paint("1", text)
    }

    /// What is not as it should be; the words say it, too.
    pub fn bad(self, text: &str) -> String {
        self.paint("31", text)
    }

    fn paint(self, code: &str, text: &str) -> String {
        match self {
            Ink::Plain => text.to_owned(),
            Ink::Colour => format!("\u{1b}[{code}m{text}\u{1b}[0m"),
        }
    }
}

pub struct Table {
    heading: Vec<String>,
    rows: Vec<Vec<String>>,
    /// Which rows somebody must look at.
    bad: Vec<usize>,
}

impl Table {
    pub fn new(heading: &[&str]) -> Self {
        Self {
            heading: heading.iter().map(|cell| (*cell).to_owned()).collect(),
            rows: Vec::new(),
            bad: Vec::new(),
        }
    }

    pub fn row(&mut self, cells: impl IntoIterator<Item = String>) {
        // What others wrote cannot move the cursor.
        let clean = |cell: String| cell.chars().map(|c| if c.is_control() { ' ' } else { c }).collect();
        self.rows.push(cells.into_iter().map(clean).collect());
    }

    /// A row that somebody must look at.
    pub fn bad_row(&mut self, cells: impl IntoIterator<Item = String>) {
        self.bad.push(self.rows.len());
        self.row(cells);
    }

    pub fn is_empty(&self) -> bool {
        self.rows.is_empty()
    }

    /// Numbers stand to the right, so that their digits do.
    pub fn text(&self, ink: Ink) -> String {
        let all = || std::iter::once(&self.heading).chain(&self.rows);
        let columns = all().map(Vec::len).max().unwrap_or(0);
        let widths: Vec<usize> = (0..columns)
            .map(|column| all().filter_map(|row| row.get(column)).map(|cell| width(cell)).max().unwrap_or(0))
            .collect();
        let counts: Vec<bool> = (0..columns).map(|column| self.counts(column)).collect();
        let mut text = String::new();
        for (place, row) in all().enumerate() {
            let mut line = String::new();
            for ((cell, widest), counts) in row.iter().zip(&widths).zip(&counts) {
                let blanks = " ".repeat(widest - width(cell));
                let (before, after) = if *counts { (blanks.as_str(), "") } else { ("", blanks.as_str()) };
                line.push_str(&format!("{before}{cell}{after}{GAP}"));
            }
            let line = line.trim_end();
            text.push_str(&match place.checked_sub(1) {
                None => ink.strong(line),
                Some(row) if self.bad.contains(&row) => ink.bad(line),
                Some(_) => line.to_owned(),
            });
            text.push('\n');
        }
        text
    }
}

impl Table {
    /// A column of counts; a code such as 1810100014 is ten digits and no count.
    fn counts(&self, column: usize) -> bool {
        let cells = || self.rows.iter().filter_map(|row| row.get(column)).filter(|cell| !cell.is_empty());
        let count =
            |cell: &String| cell.len() < CODE_DIGITS && cell.bytes().all(|b| b.is_ascii_digit() || b == b',');
        cells().next().is_some() && cells().all(count)
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
            table.text(Ink::Plain),
            "施設              VPN番号\nひまわり訪問看護  18-0001\nClinic [2J        18-0002\n"
        );
    }

    #[test]
    fn counts_stand_to_the_right_and_codes_to_the_left() {
        let mut table = Table::new(&["施設コード", "件数"]);
        table.row(["1810100014".to_owned(), "7".to_owned()]);
        table.row(["9900000001".to_owned(), "120".to_owned()]);
        assert_eq!(table.text(Ink::Plain), "施設コード  件数\n1810100014     7\n9900000001   120\n");
    }

    #[test]
    fn colours_change_nothing_but_colours() {
        let mut table = Table::new(&["部屋"]);
        table.bad_row(["sns".to_owned()]);
        assert_eq!(table.text(Ink::Colour), "\u{1b}[1m部屋\u{1b}[0m\n\u{1b}[31msns\u{1b}[0m\n");
        assert_eq!(table.text(Ink::Plain), "部屋\nsns\n");
    }
}
