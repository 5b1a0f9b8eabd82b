//! One sheet of a register that is taken over: the headings in any order, each cell by its kind, every fault with its place.
//! Columns that nobody knows are passed over, because registers have many. Pure.

use crate::door::RowFault;
use crate::facility::{self, FacilityKind, MailAddress};
use crate::form1_cell;
use crate::form1_column::Column as Alike;
use crate::messages::Message;
use crate::sheet_columns::{self, Line, find, headings, locate};
use crate::sheet_file::{Habit, Row, Table};

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Cell {
    Line,
    Kana,
    Code,
    Kind,
    Address,
    Date,
}

/// A column of a register.
pub type Column = sheet_columns::Column<Cell>;

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
    use crate::sheet_columns::column;
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
