//! A table per habit of Excel and of people, with files that a real writer made (E-01, E-13).

use std::io::{self, Cursor, Read, Write};

use rust_xlsxwriter::{ExcelDateTime, Format, Formula, Workbook, Worksheet};

use super::*;

fn cells(table: &Table) -> Vec<(u32, Vec<&str>)> {
    table.rows.iter().map(|row| (row.number, row.cells.iter().map(String::as_str).collect())).collect()
}

fn workbook(build: impl FnOnce(&mut Workbook)) -> Vec<u8> {
    let mut book = Workbook::new();
    build(&mut book);
    book.save_to_buffer().unwrap()
}

fn sheet(build: impl FnOnce(&mut Worksheet)) -> Vec<u8> {
    workbook(|book| build(book.add_worksheet().set_name("様式１").unwrap()))
}

fn archive(parts: &[(&str, &[u8])]) -> Vec<u8> {
    let mut archive = zip::ZipWriter::new(Cursor::new(Vec::new()));
    for (name, bytes) in parts {
        archive.start_file(*name, zip::write::SimpleFileOptions::default()).unwrap();
        archive.write_all(bytes).unwrap();
    }
    archive.finish().unwrap().into_inner()
}

/// The same workbook with one more part, as a macro or a disguise would have it.
fn with_part(bytes: &[u8], name: &str) -> Vec<u8> {
    let mut archive = zip::ZipWriter::new_append(Cursor::new(bytes.to_vec())).unwrap();
    archive.start_file(name, zip::write::SimpleFileOptions::default()).unwrap();
    archive.write_all(b"x").unwrap();
    archive.finish().unwrap().into_inner()
}

#[test]
fn csv_reads_with_and_without_bom_and_keeps_excel_row_numbers() {
    let text = "事業所番号,事業所名\r\n,\r\n1810112340,\"さくら,医院\"\r\n";
    for bytes in [text.as_bytes().to_vec(), [b"\xef\xbb\xbf", text.as_bytes()].concat()] {
        let table = read(&bytes).unwrap();
        assert_eq!(table.sheet, None);
        assert_eq!(
            cells(&table),
            [(1, vec!["事業所番号", "事業所名"]), (3, vec!["1810112340", "さくら,医院"])]
        );
    }
}

#[test]
fn xlsx_numbers_read_as_excel_shows_them() {
    let padded = Format::new().set_num_format("0000000000");
    let bytes = workbook(|book| {
        let sheet = book.add_worksheet().set_name("様式１").unwrap();
        sheet.write_string(0, 0, "事業所番号").unwrap();
        sheet.write_number(2, 0, 1_810_112_340.0).unwrap();
        sheet.write_boolean(2, 2, true).unwrap();
        sheet.write_number_with_format(3, 0, 110_112_340.0, &padded).unwrap();
        book.add_worksheet().set_name("説明").unwrap();
    });
    let table = read(&bytes).unwrap();
    assert_eq!(table.sheet.as_deref(), Some("様式１"));
    assert_eq!(
        cells(&table),
        [(1, vec!["事業所番号"]), (3, vec!["1810112340", "", "true"]), (4, vec!["0110112340"])]
    );
    assert_eq!(table.rows[1].habit(0), Some(&Habit::Number));
}

#[test]
fn what_excel_did_to_a_cell_is_known() {
    let day = Format::new().set_num_format("yyyy/m/d");
    let era = Format::new().set_num_format("[$-411]ge.m.d;@");
    let bytes = sheet(|sheet| {
        let date = ExcelDateTime::from_ymd(2024, 2, 15).unwrap();
        sheet.write_datetime_with_format(0, 0, &date, &day).unwrap();
        sheet.write_datetime_with_format(0, 1, &date, &era).unwrap();
        sheet.write_formula(0, 2, Formula::new("=A1&\"x\"").set_result("計算済み")).unwrap();
        sheet.write_formula(0, 3, Formula::new("=NA()").set_result("#N/A")).unwrap();
        sheet.merge_range(1, 1, 2, 2, "結合", &Format::new()).unwrap();
        sheet.write_string(2, 0, "下").unwrap();
    });
    let table = read(&bytes).unwrap();
    let habits: Vec<Option<&Habit>> = (0..4).map(|column| table.rows[0].habit(column)).collect();
    assert_eq!(habits[..3], [Some(&Habit::Date), Some(&Habit::Date), Some(&Habit::Computed)]);
    assert_eq!(table.rows[0].cells[..3], ["2024-02-15", "2024-02-15", "計算済み"]);
    assert!(matches!(habits[3], Some(Habit::Error | Habit::Computed)) && table.rows[0].cell(3) == "#N/A");
    let merged = Habit::Merged("B2:C3".to_owned());
    assert_eq!((table.rows[1].habit(1), table.rows[2].habit(2)), (Some(&merged), Some(&merged)));
    assert_eq!((table.rows[1].cell(1), table.rows[2].cell(1)), ("結合", ""));
}

#[test]
fn hidden_sheets_are_never_read() {
    let hidden = |name: &str| {
        workbook(|book| {
            let sheet = book.add_worksheet().set_name("一覧").unwrap();
            sheet.write_string(0, 0, "見える").unwrap();
            let sheet = book.add_worksheet().set_name(name).unwrap();
            sheet.write_string(0, 0, "見えない").unwrap().set_hidden(true);
        })
    };
    assert_eq!(cells(&read(&hidden("控え")).unwrap()), [(1, vec!["見える"])]);
    assert_eq!(read(&hidden("様式1")), Err(Message::SheetHidden { sheet: "様式1".into() }));
}

#[test]
fn formatted_rows_and_columns_without_text_do_not_count() {
    let frame = Format::new().set_num_format("@");
    let bytes = sheet(|sheet| {
        sheet.write_string(0, 0, "事業所番号").unwrap();
        for row in 1..5_000 {
            sheet.write_blank(row, 0, &frame).unwrap();
        }
        sheet.write_blank(0, 200, &frame).unwrap();
        sheet.write_string(1_048_000, 0, " ").unwrap();
        sheet.write_formula(9_000, 0, Formula::new("=\" \"").set_result(" ")).unwrap();
    });
    assert_eq!(cells(&read(&bytes).unwrap()), [(1, vec!["事業所番号"])]);
}

/// The attacker's files: 200 KB that would become 200 MB of texts, declared truly and declared falsely.
#[test]
fn a_file_that_unpacks_to_far_too_much_is_refused_before_it_is_read() {
    let mut archive = zip::ZipWriter::new(Cursor::new(Vec::new()));
    archive.start_file("xl/sharedStrings.xml", zip::write::SimpleFileOptions::default()).unwrap();
    io::copy(&mut io::repeat(b'x').take(200 << 20), &mut archive).unwrap();
    let bytes = archive.finish().unwrap().into_inner();
    assert!(bytes.len() < FILE_MAX);
    assert_eq!(read(&bytes).unwrap_err().code(), "MM-5102");

    let mut lying = bytes.clone();
    let size = (200_u32 << 20).to_le_bytes();
    let places: Vec<usize> = (0..lying.len() - 4).filter(|at| lying[*at..*at + 4] == size).collect();
    assert!(!places.is_empty());
    for at in places {
        lying[at..at + 4].copy_from_slice(&1_u32.to_le_bytes());
    }
    assert!(["MM-5102", "MM-5104"].contains(&read(&lying).unwrap_err().code()));
}

/// Entities that double themselves: they are not expanded, and the limit on cells holds.
#[test]
fn a_workbook_with_laughing_entities_is_harmless() {
    let good = sheet(|sheet| {
        sheet.write_string(0, 0, "事業所番号").unwrap();
    });
    let mut source = zip::ZipArchive::new(Cursor::new(&good)).unwrap();
    let mut parts = Vec::new();
    for place in 0..source.len() {
        let mut part = source.by_index(place).unwrap();
        let mut bytes = Vec::new();
        part.read_to_end(&mut bytes).unwrap();
        let name = part.name().unwrap().to_string();
        if name == "xl/sharedStrings.xml" {
            let laugh =
                "<!DOCTYPE x [<!ENTITY a \"ha\"><!ENTITY b \"&a;&a;&a;&a;\"><!ENTITY c \"&b;&b;&b;&b;\">]>";
            bytes = format!("<?xml version=\"1.0\"?>{laugh}<sst xmlns=\"http://schemas.openxmlformats.org/spreadsheetml/2006/main\" count=\"1\" uniqueCount=\"1\"><si><t>&c;</t></si></sst>").into_bytes();
        }
        parts.push((name, bytes));
    }
    let borrowed: Vec<(&str, &[u8])> =
        parts.iter().map(|(name, bytes)| (name.as_str(), bytes.as_slice())).collect();
    if let Ok(table) = read(&archive(&borrowed)) {
        assert!(!table.rows[0].cell(0).contains("haha"));
    }
}

#[test]
fn what_cannot_be_read_is_refused_by_its_own_reason() {
    let two_sheets = workbook(|book| {
        book.add_worksheet().set_name("控え").unwrap();
        book.add_worksheet().set_name("メモ").unwrap();
    });
    let wide = format!("{}x\n", ",".repeat(COLUMNS_MAX + 1));
    let long = "a\n".repeat(ROWS_MAX + 2);
    let far = sheet(|sheet| {
        sheet.write_string(1_000_000, 0, "x").unwrap();
    });
    let macros = with_part(&far, "xl/vbaProject.bin");
    let binary = archive(&[("xl/workbook.bin", b"x")]);
    let locked: Vec<u8> =
        OLE.iter().copied().chain(ENCRYPTED.encode_utf16().flat_map(u16::to_le_bytes)).collect();
    let cases: [(&[u8], &str); 19] = [
        (b"", "MM-5101"),
        (b"\xef\xbb\xbf\r\n,,\r\n", "MM-5101"),
        (&vec![b'a'; FILE_MAX + 1], "MM-5102"),
        (&locked, "MM-5103"),
        (b"PK\x03\x04 and then nothing", "MM-5104"),
        (b"a,b\nc,\x8e\x96\x8b\n", "MM-5105"),
        (long.as_bytes(), "MM-5106"),
        (&far, "MM-5106"),
        (wide.as_bytes(), "MM-5107"),
        (&two_sheets, "MM-5108"),
        (b"a,\"b\n", "MM-5109"),
        (b"\xd0\xcf\x11\xe0\xa1\xb1\x1a\xe1", "MM-5110"),
        (b"%PDF-1.7", "MM-5110"),
        (b"\xff\xd8\xff\xe0", "MM-5110"),
        (&binary, "MM-5110"),
        (&archive(&[("word/document.xml", b"x")]), "MM-5110"),
        (b"\xef\xbb\xbf <!DOCTYPE html><table>", "MM-5110"),
        (&macros, "MM-5116"),
        (&archive(&[("a.txt", b"x")]), "MM-5104"),
    ];
    for (bytes, code) in cases {
        assert_eq!(read(bytes).unwrap_err().code(), code, "{:?}", &bytes[..bytes.len().min(24)]);
    }
}
