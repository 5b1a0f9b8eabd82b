//! A file of applications becomes a table of text cells, whatever Excel made of it. The kind is told by the
//! content, never by the name. Everything has a limit, because the file came by mail from outside. Pure.

use crate::messages::Message;
use crate::sheet_xlsx::Bounds;
use crate::{sheet_csv, sheet_text, sheet_xlsx};

pub use crate::sheet_table::{COLUMNS_MAX, Habit, ROWS_MAX, Row, Table, letters};
pub use crate::sheet_xlsx::SHEET_NAME;

/// A thousand applications with long texts; our template is a hundredth of it.
pub const FILE_MAX: usize = 2 * 1024 * 1024;

const ZIP: &[u8] = b"PK\x03\x04";
/// The container of encrypted workbooks and of old `.xls` files.
const OLE: &[u8] = b"\xd0\xcf\x11\xe0";
/// A part that only encrypted workbooks have; the container writes names in UTF-16.
const ENCRYPTED: &str = "EncryptedPackage";

/// What people send instead, by its first bytes.
const OTHERS: [(&[u8], &str); 6] = [
    (b"%PDF", "PDF"),
    (b"\x89PNG", "画像（PNG）"),
    (b"\xff\xd8\xff", "画像（JPEG）"),
    (b"{\\rtf", "リッチテキスト"),
    (b"\x1f\x8b", "圧縮ファイル（gzip）"),
    (b"Rar!", "圧縮ファイル（RAR）"),
];

/// Reads a file of applications: rows that are not blank, with what Excel did to their cells.
pub fn read(bytes: &[u8]) -> Result<Table, Message> {
    read_sheet(bytes, &[SHEET_NAME])
}

/// The same, of a workbook whose sheet has one of these names.
pub fn read_sheet(bytes: &[u8], wanted: &[&str]) -> Result<Table, Message> {
    read_up_to(bytes, wanted, ROWS_MAX)
}

/// The same, of a workbook with a sheet of this many rows; text with separators keeps to the form's limit.
pub fn read_up_to(bytes: &[u8], wanted: &[&str], rows: usize) -> Result<Table, Message> {
    if bytes.len() > FILE_MAX {
        return Err(Message::FileTooLarge { limit_kib: FILE_MAX / 1024 });
    }
    let mut table = if bytes.starts_with(ZIP) {
        sheet_xlsx::read(bytes, Bounds { kib: FILE_MAX / 1024, rows }, wanted)?
    } else if bytes.starts_with(OLE) {
        return Err(old_container(bytes));
    } else if let Some((_, found)) = OTHERS.into_iter().find(|(start, _)| bytes.starts_with(start)) {
        return Err(Message::FileKind { found });
    } else {
        let text = sheet_text::decode(bytes)?;
        if is_markup(&text) {
            return Err(Message::FileKind { found: "Webページ（HTML・XML）" });
        }
        Table { sheet: None, rows: sheet_csv::rows(&text)? }
    };
    table.rows.retain(|row| !row.is_blank());
    if table.rows.is_empty() { Err(Message::FileEmpty) } else { Ok(table) }
}

fn old_container(bytes: &[u8]) -> Message {
    let wanted: Vec<u8> = ENCRYPTED.encode_utf16().flat_map(u16::to_le_bytes).collect();
    if bytes.windows(wanted.len()).any(|window| window == wanted) {
        Message::FileLocked
    } else {
        Message::FileKind { found: "古い形式のExcelファイル（.xls）" }
    }
}

/// Web systems offer tables as `.xls` that are pages.
fn is_markup(text: &str) -> bool {
    let start: String = text.trim_start().chars().take(9).collect::<String>().to_lowercase();
    ["<html", "<!doctype", "<table", "<?xml"].iter().any(|tag| start.starts_with(tag))
}

#[cfg(test)]
mod tests;
