//! A spreadsheet's bytes become a table of text cells: `.xlsx`, or `.csv` in UTF-8 with or without BOM.
//! The kind is told by the content, never by the name. Everything has a limit, because the file came
//! by mail from outside. Pure: bytes in, values out.

use std::io::{self, Cursor, Read};

use calamine::{Data, DataRef, Reader, Xlsx};

use crate::messages::{Message, shown};

/// A thousand applications with long texts; our template is a hundredth of it.
pub const FILE_MAX: usize = 2 * 1024 * 1024;
/// More applications at once than the prefecture has facilities that could join in a year.
pub const ROWS_MAX: usize = 2_000;
/// The form has ten columns; people add some of their own.
pub const COLUMNS_MAX: usize = 40;
/// Longer cells are cut to this and then refused by the form, by name.
const CELL_MAX: usize = 1_000;

/// What a file may unpack to, and of how many parts: a workbook is an archive, and small ones can hold terabytes.
const UNPACKED_MAX: u64 = 32 * 1024 * 1024;
const PARTS_MAX: usize = 200;

/// The sheet that holds the applications.
pub const SHEET_NAME: &str = "様式1";

const BOM: &[u8] = b"\xef\xbb\xbf";
const ZIP: &[u8] = b"PK\x03\x04";
/// The container of encrypted workbooks and of old `.xls` files.
const OLE: &[u8] = b"\xd0\xcf\x11\xe0";

/// Rows that are not blank, with the number that Excel shows beside them.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Table {
    pub rows: Vec<Row>,
}

#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Row {
    pub number: u32,
    pub cells: Vec<String>,
}

impl Row {
    /// Cells beyond the row's end are blank.
    pub fn cell(&self, column: usize) -> &str {
        self.cells.get(column).map_or("", String::as_str)
    }

    fn is_blank(&self) -> bool {
        self.cells.iter().all(|cell| cell.trim().is_empty())
    }
}

/// Reads either kind of file.
pub fn read(bytes: &[u8]) -> Result<Table, Message> {
    if bytes.len() > FILE_MAX {
        return Err(Message::FileTooLarge { limit_kib: FILE_MAX / 1024 });
    }
    let mut rows = if bytes.starts_with(ZIP) {
        read_xlsx(bytes)?
    } else if bytes.starts_with(OLE) {
        return Err(Message::FileLocked);
    } else {
        read_csv(bytes.strip_prefix(BOM).unwrap_or(bytes))?
    };
    rows.retain(|row| !row.is_blank());
    if rows.is_empty() { Err(Message::FileEmpty) } else { Ok(Table { rows }) }
}

fn read_csv(bytes: &[u8]) -> Result<Vec<Row>, Message> {
    let text = std::str::from_utf8(bytes).map_err(|error| Message::FileNotUtf8 {
        row: 1 + bytes[..error.valid_up_to()].iter().filter(|b| **b == b'\n').count() as u32,
    })?;
    let mut reader = csv::ReaderBuilder::new().has_headers(false).flexible(true).from_reader(text.as_bytes());
    let mut rows = Vec::new();
    for (place, record) in reader.records().enumerate() {
        let number = place as u32 + 1;
        let record =
            record.map_err(|error| Message::FileRagged { row: number, why: shown(&error.to_string()) })?;
        if place > ROWS_MAX {
            return Err(Message::FileRows { limit: ROWS_MAX });
        }
        if record.len() > COLUMNS_MAX {
            return Err(Message::FileColumns { limit: COLUMNS_MAX });
        }
        rows.push(Row { number, cells: record.iter().map(cut).collect() });
    }
    Ok(rows)
}

fn read_xlsx(bytes: &[u8]) -> Result<Vec<Row>, Message> {
    refuse_bomb(bytes)?;
    let unreadable = |error: calamine::XlsxError| Message::FileUnreadable { why: shown(&error.to_string()) };
    let mut book: Xlsx<_> = calamine::open_workbook_from_rs(Cursor::new(bytes)).map_err(unreadable)?;
    let sheet = choose_sheet(&book.sheet_names())?;
    // Cell by cell, so that a sheet that claims a million rows costs what it holds.
    let mut cells = book.worksheet_cells_reader(&sheet).map_err(unreadable)?;
    let mut rows: Vec<Row> = Vec::new();
    while let Some(cell) = cells.next_cell().map_err(unreadable)? {
        let (row, column) = cell.get_position();
        if matches!(cell.get_value(), DataRef::Empty) {
            continue;
        }
        let (row, column) = (row as usize, column as usize);
        if row > ROWS_MAX {
            return Err(Message::FileRows { limit: ROWS_MAX });
        }
        if column >= COLUMNS_MAX {
            return Err(Message::FileColumns { limit: COLUMNS_MAX });
        }
        while rows.len() <= row {
            rows.push(Row { number: rows.len() as u32 + 1, cells: Vec::new() });
        }
        let cells = &mut rows[row].cells;
        if cells.len() <= column {
            cells.resize(column + 1, String::new());
        }
        cells[column] = text_of(&Data::from(cell.get_value().clone()));
    }
    Ok(rows)
}

/// Unpacks everything once into nothing: sizes that an archive declares are only claims.
fn refuse_bomb(bytes: &[u8]) -> Result<(), Message> {
    let unreadable = |why: String| Message::FileUnreadable { why: shown(&why) };
    let mut archive =
        zip::ZipArchive::new(Cursor::new(bytes)).map_err(|error| unreadable(error.to_string()))?;
    let mut left = UNPACKED_MAX;
    if archive.len() > PARTS_MAX {
        return Err(Message::FileTooLarge { limit_kib: FILE_MAX / 1024 });
    }
    for place in 0..archive.len() {
        let part = archive.by_index(place).map_err(|error| unreadable(error.to_string()))?;
        let unpacked = io::copy(&mut part.take(left + 1), &mut io::sink())
            .map_err(|error| unreadable(error.to_string()))?;
        left = left.checked_sub(unpacked).ok_or(Message::FileTooLarge { limit_kib: FILE_MAX / 1024 })?;
    }
    Ok(())
}

/// The sheet named 様式1, in any width; or the only one.
fn choose_sheet(names: &[String]) -> Result<String, Message> {
    let wanted = crate::facility::fold_word(SHEET_NAME);
    names
        .iter()
        .find(|name| crate::facility::fold_word(name) == wanted)
        .or(if names.len() == 1 { names.first() } else { None })
        .cloned()
        .ok_or_else(|| Message::SheetUnclear { found: shown(&names.join("、")) })
}

/// A cell as Excel shows it. A code or a telephone number that became a number is a number without a point.
fn text_of(value: &Data) -> String {
    match value {
        Data::Empty => String::new(),
        Data::String(text) | Data::DateTimeIso(text) | Data::DurationIso(text) => cut(text),
        Data::Int(number) => number.to_string(),
        Data::Float(number) => number.to_string(),
        Data::Bool(value) => value.to_string(),
        Data::DateTime(date) => date.to_string(),
        Data::Error(error) => error.to_string(),
    }
}

fn cut(text: &str) -> String {
    text.chars().take(CELL_MAX).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn cells(table: &Table) -> Vec<(u32, Vec<&str>)> {
        table.rows.iter().map(|row| (row.number, row.cells.iter().map(String::as_str).collect())).collect()
    }

    fn xlsx(build: impl FnOnce(&mut rust_xlsxwriter::Workbook)) -> Vec<u8> {
        let mut book = rust_xlsxwriter::Workbook::new();
        build(&mut book);
        book.save_to_buffer().unwrap()
    }

    #[test]
    fn csv_reads_with_and_without_bom_and_keeps_excel_row_numbers() {
        let text = "事業所番号,事業所名\r\n,\r\n1810112340,\"さくら,医院\"\r\n";
        for bytes in [text.as_bytes().to_vec(), [BOM, text.as_bytes()].concat()] {
            let table = read(&bytes).unwrap();
            assert_eq!(
                cells(&table),
                [(1, vec!["事業所番号", "事業所名"]), (3, vec!["1810112340", "さくら,医院"])]
            );
        }
    }

    #[test]
    fn xlsx_numbers_read_as_excel_shows_them() {
        let bytes = xlsx(|book| {
            let sheet = book.add_worksheet().set_name("様式１").unwrap();
            sheet.write_string(0, 0, "事業所番号").unwrap();
            sheet.write_number(2, 0, 1_810_112_340.0).unwrap();
            sheet.write_boolean(2, 2, true).unwrap();
            book.add_worksheet().set_name("説明").unwrap();
        });
        let table = read(&bytes).unwrap();
        assert_eq!(cells(&table), [(1, vec!["事業所番号"]), (3, vec!["1810112340", "", "true"])]);
    }

    /// The attacker's file: 200 KB that would become 200 MB of texts.
    #[test]
    fn a_file_that_unpacks_to_far_too_much_is_refused_before_it_is_read() {
        let mut archive = zip::ZipWriter::new(Cursor::new(Vec::new()));
        let options = zip::write::SimpleFileOptions::default();
        archive.start_file("xl/sharedStrings.xml", options).unwrap();
        io::copy(&mut io::repeat(b'x').take(200 << 20), &mut archive).unwrap();
        let bytes = archive.finish().unwrap().into_inner();
        assert!(bytes.len() < FILE_MAX);
        assert_eq!(read(&bytes).unwrap_err().code(), "MM-5102");
    }

    #[test]
    fn what_cannot_be_read_is_refused_by_its_own_reason() {
        let two_sheets = xlsx(|book| {
            book.add_worksheet().set_name("控え").unwrap();
            book.add_worksheet().set_name("メモ").unwrap();
        });
        let wide = format!("{}\n", ",".repeat(COLUMNS_MAX + 1));
        let long = "a\n".repeat(ROWS_MAX + 2);
        let far = xlsx(|book| {
            book.add_worksheet().write_string(1_000_000, 0, "x").unwrap();
        });
        let cases: [(&[u8], &str); 10] = [
            (b"", "MM-5101"),
            (b"\xef\xbb\xbf\r\n,,\r\n", "MM-5101"),
            (&vec![b'a'; FILE_MAX + 1], "MM-5102"),
            (b"\xd0\xcf\x11\xe0\xa1\xb1\x1a\xe1", "MM-5103"),
            (b"PK\x03\x04 and then nothing", "MM-5104"),
            (b"a,b\nc,\x8e\x96\x8b\xc6\x8f\x8a\n", "MM-5105"),
            (long.as_bytes(), "MM-5106"),
            (&far, "MM-5106"),
            (wide.as_bytes(), "MM-5107"),
            (&two_sheets, "MM-5108"),
        ];
        for (bytes, code) in cases {
            assert_eq!(read(bytes).unwrap_err().code(), code);
        }
    }
}
