//! What a spreadsheet is to us: rows of text with the numbers and letters that Excel shows beside them,
//! and what Excel has done to a cell behind its writer's back. Ends as a value. Pure.

use std::collections::BTreeMap;

/// More applications at once than the prefecture has facilities that could join in a year.
pub const ROWS_MAX: usize = 2_000;
/// The form has eleven columns; people add some of their own.
pub const COLUMNS_MAX: usize = 40;
/// Longer cells are cut to this and then refused by the form, by name.
const CELL_MAX: usize = 1_000;

/// Rows that are not blank.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Table {
    /// The sheet's name; a text file has none.
    pub sheet: Option<String>,
    pub rows: Vec<Row>,
}

#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Row {
    pub number: u32,
    pub cells: Vec<String>,
    /// By the cell's place, for the cells that have one.
    pub habits: BTreeMap<usize, Habit>,
}

/// What stands in a cell is not always what somebody wrote there.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Habit {
    /// Kept as a number: zeros in front are gone.
    Number,
    /// Kept as a date, whatever was typed (1-2-3 of an address becomes one).
    Date,
    /// The last value of a formula.
    Computed,
    /// A formula that nobody has calculated yet.
    Uncomputed,
    /// `#N/A` and its kin.
    Error,
    /// Part of a merged range such as `B4:B5`: only one of its cells holds the text.
    Merged(String),
}

impl Row {
    /// Cells beyond the row's end are blank.
    pub fn cell(&self, column: usize) -> &str {
        self.cells.get(column).map_or("", String::as_str)
    }

    pub fn habit(&self, column: usize) -> Option<&Habit> {
        self.habits.get(&column)
    }

    /// Writes a cell, cut to its limit; a blank text writes nothing.
    pub fn put(&mut self, column: usize, text: &str) {
        if text.is_empty() {
            return;
        }
        if self.cells.len() <= column {
            self.cells.resize(column + 1, String::new());
        }
        self.cells[column] = text.chars().map(one_mapping).take(CELL_MAX).collect();
    }

    pub fn is_blank(&self) -> bool {
        self.cells.iter().all(|cell| cell.trim().is_empty())
    }
}

/// `0` is `A`, `26` is `AA`.
pub fn letters(column: usize) -> String {
    let mut letters = String::new();
    let mut left = column + 1;
    while left > 0 {
        let digit = (left - 1) % 26;
        letters.insert(0, char::from(b'A' + digit as u8));
        left = (left - 1) / 26;
    }
    letters
}

/// CP932 has two mappings to Unicode, Microsoft's and JIS's, and people send both: the same key on the same
/// keyboard gives `～` or `〜`. We keep Microsoft's, so that a form is the same form whichever way it came.
fn one_mapping(c: char) -> char {
    match c {
        '\u{301c}' => '\u{ff5e}', // wave dash
        '\u{2016}' => '\u{2225}', // double vertical line
        '\u{2212}' => '\u{ff0d}', // minus
        '\u{2014}' => '\u{2015}', // em dash
        '\u{203e}' => '\u{ffe3}', // overline
        '\u{00a2}' => '\u{ffe0}', // cent
        '\u{00a3}' => '\u{ffe1}', // pound
        '\u{00ac}' => '\u{ffe2}', // not
        other => other,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn columns_are_lettered_as_excel_letters_them() {
        let shown: Vec<String> = [0, 1, 25, 26, 27, 51, 52, 701, 702].map(letters).into();
        assert_eq!(shown, ["A", "B", "Z", "AA", "AB", "AZ", "BA", "ZZ", "AAA"]);
    }

    #[test]
    fn a_cell_is_the_same_in_either_mapping_and_never_too_long() {
        let mut row = Row::default();
        row.put(1, "〜−‾");
        row.put(2, &"あ".repeat(2_000));
        assert_eq!((row.cell(0), row.cell(1)), ("", "～－￣"));
        assert_eq!(row.cell(2).chars().count(), CELL_MAX);
        assert_eq!(row.cell(9), "");
    }
}
