//! Text with separators becomes rows: comma, tab or semicolon, quoted cells with line breaks in them, every
//! kind of line end, and rows counted as Excel counts them (blank lines are rows). Pure.

use crate::messages::Message;
use crate::sheet_table::{COLUMNS_MAX, ROWS_MAX, Row};

/// What Excel saves with, by the region of Windows and the kind of file; the first wins a tie.
const SEPARATORS: [char; 3] = [',', '\t', ';'];

/// All rows that hold something.
pub fn rows(text: &str) -> Result<Vec<Row>, Message> {
    let (separator, text) = separator(text);
    let mut reader =
        Reader { separator, rows: Vec::new(), row: Row { number: 1, ..Row::default() }, column: 0 };
    reader.read(text)?;
    Ok(reader.rows)
}

/// `sep=;` in the first line is an order to Excel, not a row. Otherwise the one that stands most often
/// outside quotes in the first line that holds something.
fn separator(text: &str) -> (char, &str) {
    if let Some(rest) = text.strip_prefix("sep=")
        && let Some(separator) = rest.chars().next()
        && SEPARATORS.contains(&separator)
    {
        let rest = &rest[separator.len_utf8()..];
        let rest = rest.strip_prefix('\r').unwrap_or(rest);
        return (separator, rest.strip_prefix('\n').unwrap_or(rest));
    }
    let is_filled = |line: &&str| line.chars().any(|c| !c.is_whitespace() && !SEPARATORS.contains(&c));
    let line = text.split(['\r', '\n']).find(is_filled).unwrap_or("");
    let count = |separator: char| {
        let outside = line.split('"').step_by(2);
        outside.map(|part| part.matches(separator).count()).sum::<usize>()
    };
    let best = SEPARATORS.into_iter().rev().max_by_key(|separator| count(*separator));
    (best.unwrap_or(SEPARATORS[0]), text)
}

struct Reader {
    separator: char,
    rows: Vec<Row>,
    row: Row,
    column: usize,
}

impl Reader {
    fn read(&mut self, text: &str) -> Result<(), Message> {
        let mut chars = text.chars().peekable();
        let mut cell = String::new();
        while let Some(c) = chars.next() {
            match c {
                // Only at the beginning of a cell; 「5"管」 holds one that means nothing.
                '"' if cell.is_empty() => {
                    let closed = quoted(&mut chars, &mut cell);
                    if !closed {
                        return Err(Message::FileRagged { row: self.row.number });
                    }
                }
                '\r' => {
                    chars.next_if_eq(&'\n');
                    self.end_row(&mut cell)?;
                }
                '\n' => self.end_row(&mut cell)?,
                c if c == self.separator => self.end_cell(&mut cell)?,
                c => cell.push(c),
            }
        }
        self.end_row(&mut cell)
    }

    fn end_cell(&mut self, cell: &mut String) -> Result<(), Message> {
        let text = unwrapped(cell);
        // Columns that hold nothing are only where somebody once typed.
        if !text.trim().is_empty() && self.column >= COLUMNS_MAX {
            return Err(Message::FileColumns { limit: COLUMNS_MAX });
        }
        if self.column < COLUMNS_MAX {
            self.row.put(self.column, text);
        }
        self.column += 1;
        cell.clear();
        Ok(())
    }

    fn end_row(&mut self, cell: &mut String) -> Result<(), Message> {
        self.end_cell(cell)?;
        let next = Row { number: self.row.number + 1, ..Row::default() };
        let row = std::mem::replace(&mut self.row, next);
        self.column = 0;
        if !row.is_blank() {
            // One more for the headings.
            if self.rows.len() > ROWS_MAX {
                return Err(Message::FileRows { limit: ROWS_MAX });
            }
            self.rows.push(row);
        }
        Ok(())
    }
}

/// What stands up to the closing quote; two quotes are one.
fn quoted(chars: &mut std::iter::Peekable<std::str::Chars<'_>>, cell: &mut String) -> bool {
    while let Some(c) = chars.next() {
        match c {
            '"' if chars.next_if_eq(&'"').is_some() => cell.push('"'),
            '"' => return true,
            c => cell.push(c),
        }
    }
    false
}

/// `="0776001234"` is how people keep Excel from eating the zero: the text is what they meant.
fn unwrapped(cell: &str) -> &str {
    cell.strip_prefix("=\"").and_then(|rest| rest.strip_suffix('"')).unwrap_or(cell)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(text: &str) -> Vec<(u32, Vec<String>)> {
        rows(text).unwrap().into_iter().map(|row| (row.number, row.cells)).collect()
    }

    fn row(number: u32, cells: &[&str]) -> (u32, Vec<String>) {
        (number, cells.iter().map(|cell| (*cell).to_owned()).collect())
    }

    #[test]
    fn separators_are_found_and_obeyed() {
        for text in [
            "a,b\r\n1,2",
            "a\tb\r\n1\t2\r\n",
            "a;b\n1;2\n",
            "a,b\r1,2\r",
            "sep=;\r\na;b\n1;2",
            "sep=\t\na\tb\n1\t2",
        ] {
            assert_eq!(read(text), [row(1, &["a", "b"]), row(2, &["1", "2"])], "{text:?}");
        }
        assert_eq!(read("\"a,b\";c"), [row(1, &["a,b", "c"])]);
        assert_eq!(read("事業所番号"), [row(1, &["事業所番号"])]);
    }

    #[test]
    fn quoted_cells_hold_breaks_and_rows_keep_the_numbers_excel_shows() {
        let text = "a,\"b\r\nB\",\"c\"\"C\"\r\n\r\n,,\r\n1,5\"管,\"2\"x\r\n";
        assert_eq!(read(text), [row(1, &["a", "b\r\nB", "c\"C"]), row(4, &["1", "5\"管", "2x"])]);
        assert_eq!(read("a,=\"0776001234\""), [row(1, &["a", "0776001234"])]);
        assert_eq!(read("a,\"=\"\"0012\"\"\""), [row(1, &["a", "0012"])]);
    }

    #[test]
    fn blank_tails_do_not_count_and_full_ones_have_limits() {
        let wide = format!("a,b{}\r\n", ",".repeat(16_000));
        let tall = format!("a\r\n{}", ",,,\r\n".repeat(50_000));
        assert_eq!(read(&wide), [row(1, &["a", "b"])]);
        assert_eq!(read(&tall), [row(1, &["a"])]);
        assert_eq!(rows(&format!("{}x", ",".repeat(COLUMNS_MAX))).unwrap_err().code(), "MM-5107");
        assert_eq!(rows(&"a\n".repeat(ROWS_MAX + 2)).unwrap_err().code(), "MM-5106");
        assert_eq!(rows(&"a\n".repeat(ROWS_MAX + 1)).unwrap().len(), ROWS_MAX + 1);
    }

    #[test]
    fn a_quote_that_never_closes_is_named_where_it_opens() {
        assert_eq!(rows("a,b\n\nc,\"d\ne,f\n"), Err(Message::FileRagged { row: 3 }));
    }
}
