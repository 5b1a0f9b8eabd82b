//! One sheet of a register that is taken over: the headings in any order, each cell by its kind, every fault with its place.
//! Columns that nobody knows are passed over, because registers have many. Pure.

use crate::door::RowFault;
use crate::facility::{self, FacilityKind, MailAddress, fold_word};
use crate::form1_cell;
use crate::form1_column::Column as Alike;
use crate::messages::{Message, shown};
use crate::sheet_file::{Habit, Row, Table, letters};

/// Above its headings a table has a title and a few lines, no more.
const TITLE_ROWS: usize = 10;

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Cell {
    Line,
    Kana,
    Code,
    Kind,
    Address,
    Date,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Column {
    pub heading: &'static str,
    pub cell: Cell,
    pub must: bool,
}

pub const fn column(heading: &'static str, cell: Cell, must: bool) -> Column {
    Column { heading, cell, must }
}

/// A row with its cells in the order of the columns; blank ones are empty.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Line {
    pub row: u32,
    cells: Vec<String>,
}

impl Line {
    pub fn cell(&self, place: usize) -> &str {
        self.cells.get(place).map_or("", String::as_str)
    }
}

/// Lines that are right, what is wrong with the others, and what somebody should look at.
#[derive(Default)]
pub struct Found {
    pub lines: Vec<Line>,
    pub faults: Vec<RowFault>,
    pub warnings: Vec<RowFault>,
}

pub fn read(table: &Table, columns: &[Column]) -> Found {
    let Found { mut lines, mut faults, mut warnings } = Found::default();
    let Some((place, head)) = headings(table, columns) else { return Found::default() };
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
                .map(|(column, place)| cell(column, row, *place, &mut faults))
                .collect();
            if let Some(cells) = cells.into_iter().collect() {
                lines.push(Line { row: row.number, cells });
            }
            for (column, place) in columns.iter().zip(&places) {
                if place.and_then(|place| row.habit(place)) == Some(&Habit::Computed) {
                    warnings.push(Message::CellComputed.at(row.number, column.heading));
                }
            }
        }
    }
    faults.iter_mut().chain(&mut warnings).for_each(|fault| locate(table, columns, fault));
    Found { lines, faults, warnings }
}

/// Says where a fault stands; also for what the registry contradicts later.
pub fn locate(table: &Table, columns: &[Column], fault: &mut RowFault) {
    fault.sheet.clone_from(&table.sheet);
    let Some((_, head)) = headings(table, columns) else { return };
    let column = columns.iter().find(|column| column.heading == fault.column);
    let Some(place) = column.and_then(|column| find(head, column)) else { return };
    fault.cell = Some(format!("{}{}", letters(place), fault.row));
    let row = table.rows.iter().find(|row| row.number == fault.row);
    fault.given = row.map_or_else(String::new, |row| shown(row.cell(place).trim()));
}

/// The row with the most known headings, the first of several: data rarely repeats them.
fn headings<'a>(table: &'a Table, columns: &[Column]) -> Option<(usize, &'a Row)> {
    let known = |row: &Row| columns.iter().filter(|column| find(row, column).is_some()).count();
    let first = |best: (usize, &'a Row), next: (usize, &'a Row)| {
        if known(best.1) >= known(next.1) { best } else { next }
    };
    table.rows.iter().take(TITLE_ROWS).enumerate().reduce(first)
}

fn find(head: &Row, column: &Column) -> Option<usize> {
    let word = fold_word(column.heading);
    head.cells.iter().position(|text| fold_word(text) == word)
}

fn cell(column: &Column, row: &Row, place: Option<usize>, faults: &mut Vec<RowFault>) -> Option<String> {
    let text = place.map_or("", |place| row.cell(place)).trim();
    let habit = place.and_then(|place| row.habit(place));
    if text.is_empty() && !matches!(habit, Some(Habit::Merged(_) | Habit::Uncomputed)) {
        if column.must {
            faults.push(Message::CellEmpty.at(row.number, column.heading));
            return None;
        }
        return Some(String::new());
    }
    let meant = form1_cell::look(alike(column.cell), text, habit).and_then(|()| parsed(column.cell, text));
    meant.map_err(|message| faults.push(message.at(row.number, column.heading))).ok()
}

/// The column of 様式1 in which Excel would do the same to a cell.
fn alike(cell: Cell) -> Alike {
    match cell {
        Cell::Code => Alike::Code,
        Cell::Date => Alike::ReceivedOn,
        Cell::Line | Cell::Kana | Cell::Kind | Cell::Address => Alike::Name,
    }
}

fn parsed(cell: Cell, text: &str) -> Result<String, Message> {
    match cell {
        Cell::Line => facility::line(text),
        Cell::Kana => form1_cell::kana(text),
        Cell::Code => form1_cell::code(text).map(|code| code.to_string()),
        Cell::Kind => FacilityKind::parse_applicant(text).map(|kind| kind.to_string()),
        Cell::Address => MailAddress::parse(text).map(|address| address.written().to_owned()),
        Cell::Date => form1_cell::date(text).map(|day| day.map(|day| day.to_string()).unwrap_or_default()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::sheet_file;

    const COLUMNS: [Column; 2] = [column("氏名", Cell::Line, true), column("誓約日", Cell::Date, false)];

    #[test]
    fn headings_stand_anywhere_and_faults_have_their_place() {
        let text = "台帳\n誓約日,備考,氏 名\nR6.2.15,x,山田\n昨日,,\n,,佐藤\n";
        let table = sheet_file::read(text.as_bytes()).unwrap();
        let Found { lines, faults, .. } = read(&table, &COLUMNS);
        let cells: Vec<(&str, &str)> = lines.iter().map(|line| (line.cell(0), line.cell(1))).collect();
        assert_eq!(cells, [("山田", "2024-02-15"), ("佐藤", "")]);
        let places: Vec<(&str, &str)> =
            faults.iter().map(|fault| (fault.cell.as_deref().unwrap_or(""), fault.code.as_str())).collect();
        assert_eq!(places, [("C4", "MM-5201"), ("A4", "MM-5271")]);
        let other = sheet_file::read("a,b\n1,2\n".as_bytes()).unwrap();
        assert_eq!(read(&other, &COLUMNS).faults[0].code, "MM-5112");
    }
}
