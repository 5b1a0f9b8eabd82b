//! A table of fixed columns, read: the headings in any order, each cell by its kind, every fault with its place (E-09). Pure.

use jiff::civil::Date;

use crate::door::RowFault;
use crate::facility::fold_word;
use crate::messages::{Message, shown};
use crate::paper_field::Cell;
use crate::paper_read::meant;
use crate::sheet_file::{Habit, Row, Table, letters};

/// Above its headings a table has a title and a few lines, no more.
const TITLE_ROWS: usize = 10;

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Column<C = Cell> {
    pub heading: &'static str,
    pub cell: C,
    pub must: bool,
}

pub const fn column<C: Copy>(heading: &'static str, cell: C, must: bool) -> Column<C> {
    Column { heading, cell, must }
}

/// A row with its cells in the order of the columns; blank ones are empty.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Line {
    pub row: u32,
    pub cells: Vec<String>,
}

impl Line {
    pub fn cell(&self, place: usize) -> &str {
        self.cells.get(place).map_or("", String::as_str)
    }
}

/// Lines that are right, and what is wrong with the others. Columns that nobody knows are passed over: registers have many.
pub fn read(table: &Table, columns: &[Column], today: Date) -> (Vec<Line>, Vec<RowFault>) {
    let (mut lines, mut faults) = (Vec::new(), Vec::new());
    let Some((place, head)) = headings(table, columns) else { return (lines, faults) };
    let places: Vec<Option<usize>> = columns.iter().map(|column| find(head, column)).collect();
    for (column, place) in columns.iter().zip(&places) {
        if column.must && place.is_none() {
            faults.push(Message::HeadingMissing.at(head.number, column.heading));
        }
    }
    if faults.is_empty() {
        for row in table.rows.get(place + 1..).unwrap_or(&[]) {
            let cells: Vec<Option<String>> = columns
                .iter()
                .zip(&places)
                .map(|(column, place)| cell(column, row, *place, today, &mut faults))
                .collect();
            if let Some(cells) = cells.into_iter().collect() {
                lines.push(Line { row: row.number, cells });
            }
        }
    }
    faults.iter_mut().for_each(|fault| locate(table, columns, fault));
    (lines, faults)
}

/// Says where a fault stands; also for what the registry contradicts later.
pub fn locate<C>(table: &Table, columns: &[Column<C>], fault: &mut RowFault) {
    fault.sheet.clone_from(&table.sheet);
    let Some((_, head)) = headings(table, columns) else { return };
    let column = columns.iter().find(|column| column.heading == fault.column);
    let Some(place) = column.and_then(|column| find(head, column)) else { return };
    fault.cell = Some(format!("{}{}", letters(place), fault.row));
    let row = table.rows.iter().find(|row| row.number == fault.row);
    fault.given = row.map_or_else(String::new, |row| shown(row.cell(place).trim()));
}

/// The row with the most known headings.
pub fn headings<'a, C>(table: &'a Table, columns: &[Column<C>]) -> Option<(usize, &'a Row)> {
    let known = |row: &Row| columns.iter().filter(|column| find(row, column).is_some()).count();
    let first = |best: (usize, &'a Row), next: (usize, &'a Row)| {
        // The first of several: data rarely repeats the headings.
        if known(best.1) >= known(next.1) { best } else { next }
    };
    table.rows.iter().take(TITLE_ROWS).enumerate().reduce(first)
}

pub fn find<C>(head: &Row, column: &Column<C>) -> Option<usize> {
    let word = fold_word(column.heading);
    head.cells.iter().position(|text| fold_word(text) == word)
}

fn cell(
    column: &Column,
    row: &Row,
    place: Option<usize>,
    today: Date,
    faults: &mut Vec<RowFault>,
) -> Option<String> {
    let text = place.map_or("", |place| row.cell(place)).trim();
    let habit = place.and_then(|place| row.habit(place));
    if text.is_empty() && !matches!(habit, Some(Habit::Merged(_) | Habit::Uncomputed)) {
        if column.must {
            faults.push(Message::CellEmpty.at(row.number, column.heading));
            return None;
        }
        return Some(String::new());
    }
    meant(column.cell, text, habit, today)
        .map_err(|wrong| faults.push(wrong.at(row.number, column.heading)))
        .ok()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::sheet_file;

    const TODAY: Date = Date::constant(2026, 11, 21);
    const COLUMNS: [Column; 2] = [column("氏名", Cell::Line, true), column("誓約日", Cell::Date, false)];

    #[test]
    fn headings_stand_anywhere_and_faults_have_their_place() {
        let text = "台帳\n誓約日,備考,氏 名\nR6.2.15,x,山田\n昨日,,\n,,佐藤\n";
        let table = sheet_file::read(text.as_bytes()).unwrap();
        let (lines, faults) = read(&table, &COLUMNS, TODAY);
        let cells: Vec<&[String]> = lines.iter().map(|line| line.cells.as_slice()).collect();
        assert_eq!(
            cells,
            [["山田".to_owned(), "2024-02-15".to_owned()].as_slice(), &["佐藤".to_owned(), String::new()]]
        );
        let places: Vec<(&str, &str)> =
            faults.iter().map(|fault| (fault.cell.as_deref().unwrap_or(""), fault.code.as_str())).collect();
        assert_eq!(places, [("C4", "MM-5201"), ("A4", "MM-5271")]);
        let other = sheet_file::read("a,b\n1,2\n".as_bytes()).unwrap();
        assert_eq!(read(&other, &COLUMNS, TODAY).1[0].code, "MM-5112");
    }
}
