//! A workbook becomes rows: the visible sheet of the form, as Excel shows it, with what Excel did to its
//! cells. Nothing is unpacked before its size is known; macros are refused whole. Pure.

use std::io::{self, Cursor, Read};

use calamine::{Data, DataRef, ExcelDateTime, Reader, SheetVisible, Xlsx, XlsxError};
use zip::ZipArchive;

use crate::facility::fold_word;
use crate::messages::{Message, shown};
use crate::sheet_table::{COLUMNS_MAX, Habit, ROWS_MAX, Row, Table, letters};

/// The sheet that holds the applications.
pub const SHEET_NAME: &str = "様式1";

/// What a file may unpack to, and of how many parts: a workbook is an archive, and small ones can hold terabytes.
const UNPACKED_MAX: u64 = 32 * 1024 * 1024;
const PARTS_MAX: usize = 200;
/// Cells that merged ranges may cover together: as many as the table may have.
const MERGED_MAX: usize = ROWS_MAX * COLUMNS_MAX;

/// Archives that are no workbook of ours, told by a part that only they have.
const OTHERS: [(&str, &str); 5] = [
    ("xl/workbook.bin", "Excelバイナリブック（.xlsb）"),
    ("word/document.xml", "Wordの文書"),
    ("ppt/presentation.xml", "PowerPointの資料"),
    ("content.xml", "OpenDocument（.ods など）"),
    ("Index/Document.iwa", "Numbers・Pagesの書類"),
];

/// What a workbook may hold.
#[derive(Clone, Copy, Debug)]
pub struct Bounds {
    pub kib: usize,
    pub rows: usize,
}

/// Reads the form's sheet, one of these names; rows may be blank.
pub fn read(bytes: &[u8], bounds: Bounds, wanted: &[&str]) -> Result<Table, Message> {
    look_inside(bytes, bounds.kib)?;
    let mut book: Xlsx<_> = calamine::open_workbook_from_rs(Cursor::new(bytes)).map_err(unreadable)?;
    let sheet = choose_sheet(&book, wanted)?;
    let mut rows = read_cells(&mut book, &sheet, bounds.rows)?;
    show_padding(&mut book, &sheet, &mut rows)?;
    mark_merged(&book.merge_cells_by_sheet_name(&sheet).map_err(unreadable)?, &mut rows);
    Ok(Table { sheet: Some(sheet), rows })
}

fn unreadable(error: XlsxError) -> Message {
    Message::FileUnreadable { why: shown(&error.to_string()) }
}

/// What the archive says of itself first, then everything unpacked once into nothing: sizes that an archive
/// declares are only claims.
fn look_inside(bytes: &[u8], limit_kib: usize) -> Result<(), Message> {
    let unreadable = |why: String| Message::FileUnreadable { why: shown(&why) };
    let too_large = Message::FileTooLarge { limit_kib };
    let mut archive = ZipArchive::new(Cursor::new(bytes)).map_err(|error| unreadable(error.to_string()))?;
    if archive.len() > PARTS_MAX
        || archive.decompressed_size().is_some_and(|size| size > u128::from(UNPACKED_MAX))
    {
        return Err(too_large);
    }
    let holds = |wanted: &str| archive.file_names_raw().any(|name| name.ends_with(wanted.as_bytes()));
    if holds("vbaProject.bin") {
        return Err(Message::FileMacros);
    }
    if let Some((_, found)) = OTHERS.into_iter().find(|(part, _)| holds(part)) {
        return Err(Message::FileKind { found });
    }
    let mut left = UNPACKED_MAX;
    for place in 0..archive.len() {
        let part = archive.by_index(place).map_err(|error| unreadable(error.to_string()))?;
        let unpacked = io::copy(&mut part.take(left + 1), &mut io::sink())
            .map_err(|error| unreadable(error.to_string()))?;
        left = left.checked_sub(unpacked).ok_or_else(|| too_large.clone())?;
    }
    Ok(())
}

/// The sheet of a wanted name, in any width; or the only one that can be seen. What is hidden is never read:
/// who sent the file has not looked at it.
fn choose_sheet<RS: Read + io::Seek>(book: &Xlsx<RS>, wanted: &[&str]) -> Result<String, Message> {
    let wanted: Vec<String> = wanted.iter().map(|name| fold_word(name)).collect();
    let is_wanted = |name: &str| wanted.contains(&fold_word(name));
    let sheets = book.sheets_metadata();
    let visible: Vec<&str> = sheets
        .iter()
        .filter(|sheet| sheet.visible == SheetVisible::Visible)
        .map(|sheet| sheet.name.as_str())
        .collect();
    if let Some(name) = visible.iter().find(|name| is_wanted(name)) {
        return Ok((*name).to_owned());
    }
    if let Some(hidden) = sheets.iter().find(|sheet| is_wanted(&sheet.name)) {
        return Err(Message::SheetHidden { sheet: shown(&hidden.name) });
    }
    match visible.as_slice() {
        [only] => Ok((*only).to_owned()),
        _ => Err(Message::SheetUnclear { found: shown(&visible.join("、")) }),
    }
}

/// Cell by cell, so that a sheet that claims a million rows costs what it holds.
fn read_cells<RS: Read + io::Seek>(
    book: &mut Xlsx<RS>,
    sheet: &str,
    rows_max: usize,
) -> Result<Vec<Row>, Message> {
    let mut cells = book.worksheet_cells_reader(sheet).map_err(unreadable)?;
    let mut rows: Vec<Row> = Vec::new();
    while let Some(cell) = cells.next_cell_with_formula().map_err(unreadable)? {
        let (text, habit) = meaning(&cell.value, cell.formula.is_some());
        let (row, column) = (cell.pos.0 as usize, cell.pos.1 as usize);
        let is_far = row > rows_max || column >= COLUMNS_MAX;
        // Blank and only formatted, or a formula that was filled down for rows that never came.
        if text.trim().is_empty() && (is_far || habit.is_none()) {
            continue;
        }
        if row > rows_max {
            return Err(Message::FileRows { limit: rows_max });
        }
        if column >= COLUMNS_MAX {
            return Err(Message::FileColumns { limit: COLUMNS_MAX });
        }
        while rows.len() <= row {
            rows.push(Row { number: rows.len() as u32 + 1, ..Row::default() });
        }
        rows[row].put(column, &text);
        if let Some(habit) = habit {
            rows[row].habits.insert(column, habit);
        }
    }
    Ok(rows)
}

/// A cell as Excel shows it, and what Excel did to it.
fn meaning(value: &DataRef<'_>, formula: bool) -> (String, Option<Habit>) {
    let computed = formula.then_some(Habit::Computed);
    match Data::from(value.clone()) {
        // A formula that was never calculated shows as blank; one that gives "" is blank on purpose.
        Data::Empty => (String::new(), formula.then_some(Habit::Uncomputed)),
        Data::String(text) if text.is_empty() => (text, None),
        Data::String(text) => (text, computed),
        Data::Int(number) => (number.to_string(), computed.or(Some(Habit::Number))),
        Data::Float(number) => (number.to_string(), computed.or(Some(Habit::Number))),
        Data::Bool(value) => (value.to_string(), computed),
        Data::DateTime(date) => (day(&date), Some(Habit::Date)),
        Data::DateTimeIso(text) | Data::DurationIso(text) => (text, Some(Habit::Date)),
        Data::Error(error) => (error.to_string(), Some(Habit::Error)),
    }
}

fn day(date: &ExcelDateTime) -> String {
    let (year, month, day, ..) = date.to_ymd_hms_milli();
    format!("{year:04}-{month:02}-{day:02}")
}

/// The format `0000000000` shows zeros that the number does not have: what is shown is what was meant.
fn show_padding<RS: Read + io::Seek>(
    book: &mut Xlsx<RS>,
    sheet: &str,
    rows: &mut [Row],
) -> Result<(), Message> {
    let mut cells = book.worksheet_cells_reader(sheet).map_err(unreadable)?;
    let zeros = |style: &calamine::Style| {
        let code = style.number_format.as_ref().map_or("", |format| format.format_code.as_str());
        (code.len() > 1 && code.bytes().all(|b| b == b'0')).then_some(code.len())
    };
    let widths: Vec<Option<usize>> = cells.styles().iter().map(zeros).collect();
    if widths.iter().all(Option::is_none) {
        return Ok(());
    }
    while let Some((row, column, style)) = cells.next_style_id().map_err(unreadable)? {
        let Some(width) = widths.get(style).copied().flatten() else { continue };
        let (Some(row), column) = (rows.get_mut(row as usize), column as usize) else { continue };
        let text = row.cell(column).to_owned();
        let is_number = matches!(row.habit(column), Some(Habit::Number | Habit::Computed));
        if is_number && text.bytes().all(|b| b.is_ascii_digit()) {
            row.put(column, &format!("{text:0>width$}"));
        }
    }
    Ok(())
}

/// Of a merged range only the first cell holds the text; the others look filled and are blank.
fn mark_merged(ranges: &[calamine::Dimensions], rows: &mut [Row]) {
    let mut left = MERGED_MAX;
    for range in ranges {
        let ((top, first), (bottom, last)) = (range.start, range.end);
        let name = format!("{}{}:{}{}", letters(first as usize), top + 1, letters(last as usize), bottom + 1);
        let columns = first as usize..=(last as usize).min(COLUMNS_MAX - 1);
        for row in rows.iter_mut().skip(top as usize).take((bottom.saturating_sub(top) + 1) as usize) {
            for column in columns.clone() {
                let Some(less) = left.checked_sub(1) else { return };
                left = less;
                row.habits.insert(column, Habit::Merged(name.clone()));
            }
        }
    }
}
