//! What is wrong in whatever column of whatever sheet is named at its cell, and what is right is kept as it was typed
//! (issue 7: bad input).

use rust_xlsxwriter::{Formula, Workbook};

use super::*;
use crate::form1::Column as FormColumn;
use crate::takeover_book::{self, Rows};

fn cells(texts: &[&str]) -> Vec<String> {
    texts.iter().map(|text| (*text).to_owned()).collect()
}

/// A register with nothing wrong in it, in the order of the columns.
fn rows() -> Rows {
    let kind = "居宅介護支援事業所";
    Rows {
        facilities: vec![cells(&[
            "1870100128",
            "ケアプラン髙﨑",
            kind,
            "福井市大手1丁目",
            "0776-20-0001",
            "𠮷田 一郎",
            "髙﨑 花子",
            "kanri@care.example.jp",
            "2",
            "不参加",
            "2024/4/1",
            "ｹｱﾌﾟﾗﾝﾀｶｻｷ",
        ])],
        staff: vec![cells(&[
            "1870100128",
            kind,
            "𠮷川 葛\u{e0100}子",
            "ﾖｼｶﾜ ﾖｼｺ",
            "看護師",
            "yoshiko@care.example.jp",
            "R6.2.15",
            "",
            "2025/6/1",
            "",
        ])],
        slots: vec![cells(&["1870100128", kind, "18-0042", "○"])],
        paid: vec![cells(&["1870100128", kind, "令和7年度"])],
    }
}

const NAMES: [&str; 4] = [FACILITIES, STAFF, SLOTS, PAID];

fn sheets_of(rows: &Rows) -> [&Vec<Vec<String>>; 4] {
    [&rows.facilities, &rows.staff, &rows.slots, &rows.paid]
}

fn headings(place: usize) -> Vec<&'static str> {
    match place {
        0 => FormColumn::ALL.map(FormColumn::heading).to_vec(),
        1 => STAFF_COLUMNS.map(|column| column.heading).to_vec(),
        2 => SLOT_COLUMNS.map(|column| column.heading).to_vec(),
        _ => PAID_COLUMNS.map(|column| column.heading).to_vec(),
    }
}

fn read_book(bytes: &[u8]) -> Reading {
    read(&Sheets::open(bytes).unwrap())
}

/// The register with one cell changed: a text, or a formula and what it gives.
fn with_cell(sheet: usize, column: usize, text: &str, formula: Option<&str>) -> Vec<u8> {
    let rows = rows();
    let mut book = Workbook::new();
    for (place, name) in NAMES.into_iter().enumerate() {
        let page = book.add_worksheet().set_name(name).unwrap();
        for (at, heading) in (0u16..).zip(headings(place)) {
            page.write_string(0, at, heading).unwrap();
        }
        for (row, cells) in (1u32..).zip(sheets_of(&rows)[place]) {
            for (at, cell) in (0u16..).zip(cells) {
                if place == sheet && usize::from(at) == column {
                    match formula {
                        Some(formula) => {
                            page.write_formula(row, at, Formula::new(formula).set_result(text)).unwrap()
                        }
                        None => page.write_string(row, at, text).unwrap(),
                    };
                } else {
                    page.write_string(row, at, cell).unwrap();
                }
            }
        }
    }
    book.save_to_buffer().unwrap()
}

/// The template, filled in, is what the reader reads; blank, it says that it is blank.
#[test]
fn the_workbook_round_trips() {
    let reading = read_book(&takeover_book::filled(&rows()).unwrap());
    assert_eq!((&reading.faults, &reading.warnings), (&vec![], &vec![]));
    let taken = &reading.taken[0];
    assert_eq!(
        (taken.application.name.as_str(), taken.application.admin_name.as_str()),
        ("ケアプラン髙﨑", "髙﨑 花子")
    );
    let person = &taken.staff[0];
    assert_eq!((person.name.as_str(), person.kana.as_str()), ("𠮷川 葛\u{e0100}子", "ﾖｼｶﾜ ﾖｼｺ"), "as typed");
    assert_eq!((taken.slots.len(), taken.paid.len(), person.trainings.len()), (1, 1, 1));
    let blank = read_book(&takeover_book::blank().unwrap());
    assert_eq!(blank.faults.iter().map(|fault| fault.code.as_str()).collect::<Vec<_>>(), ["MM-5101"]);
    assert!(takeover_book::blank().unwrap().len() < 200_000);
}

/// What a cell may not be, whatever it is of: an order to Excel, an error, a character of one computer, two lines of control.
#[test]
fn what_no_cell_may_hold_is_named_at_every_column() {
    for (text, code) in [
        ("=cmd|'/C calc'!A0", "MM-5204"),
        ("#REF!", "MM-5205"),
        ("########", "MM-5205"),
        ("福井\u{e123}", "MM-5208"),
        ("\u{fffd}井", "MM-5208"),
    ] {
        for (sheet, name) in NAMES.into_iter().enumerate() {
            for column in 0..headings(sheet).len() {
                let reading = read_book(&with_cell(sheet, column, text, None));
                let at = crate::sheet_file::letters(column) + "2";
                let here: Vec<&RowFault> = reading
                    .faults
                    .iter()
                    .filter(|fault| {
                        fault.sheet.as_deref() == Some(name) && fault.cell.as_deref() == Some(&at)
                    })
                    .collect();
                assert!(
                    matches!(here[..], [fault] if fault.code == code && fault.given == text),
                    "{name} {at} {text}: {:?}",
                    reading.faults
                );
            }
        }
    }
}

/// A formula's last value is read, and somebody is asked to look; one that nobody calculated is refused.
#[test]
fn a_formula_is_never_taken_in_silence() {
    let rows = rows();
    for (sheet, name) in NAMES.into_iter().enumerate() {
        for (column, text) in
            sheets_of(&rows)[sheet][0].iter().enumerate().filter(|(_, text)| !text.is_empty())
        {
            let reading = read_book(&with_cell(sheet, column, text, Some("=X9")));
            let at = Some(crate::sheet_file::letters(column) + "2");
            assert!(reading.faults.is_empty(), "{name} {at:?}: {:?}", reading.faults);
            assert!(
                reading.warnings.iter().any(|it| it.sheet.as_deref() == Some(name) && it.cell == at),
                "{name} {at:?}: {:?}",
                reading.warnings
            );
        }
    }
}

/// Half-width kana, full-width letters: right in a reading and in names, wrong where a code, a kind or an address stands.
#[test]
fn half_width_kana_is_kept_in_names_and_refused_in_codes() {
    let half = "ﾔﾏﾀﾞ ﾀﾛｳ";
    let refused = [(0, [0, 2, 7].as_slice()), (1, &[0, 1, 5, 6]), (2, &[0, 1, 2]), (3, &[0, 1, 2])];
    for (sheet, columns) in refused {
        for column in columns {
            let reading = read_book(&with_cell(sheet, *column, half, None));
            let at = Some(crate::sheet_file::letters(*column) + "2");
            assert!(
                reading.faults.iter().any(|fault| fault.cell == at),
                "{sheet} {at:?}: {:?}",
                reading.faults
            );
        }
    }
    for column in [2, 3, 4] {
        let reading = read_book(&with_cell(1, column, half, None));
        assert_eq!(reading.faults, [], "{column}");
        let person = &reading.taken[0].staff[0];
        assert!([&person.name, &person.kana, &person.profession].contains(&&half.to_owned()), "as typed");
    }
    let wide = read_book(&with_cell(0, 0, "１８７０１００１２８", None));
    assert_eq!((wide.faults, wide.taken.len()), (vec![], 1));
}

/// CP932 with its own letters: a text file is one table, the facilities.
#[test]
fn a_text_file_in_cp932_is_the_facilities() {
    let line = |cells: &[String]| cells.join(",") + "\r\n";
    let text = line(&cells(&headings(0))) + &line(&rows().facilities[0]).replace('𠮷', "吉");
    let (bytes, _, lossy) = encoding_rs::SHIFT_JIS.encode(&text);
    assert!(!lossy);
    let reading = read_book(&bytes);
    assert_eq!(reading.faults, []);
    assert_eq!(
        (reading.taken[0].application.name.as_str(), reading.taken[0].staff.len()),
        ("ケアプラン髙﨑", 0)
    );
    for end in [bytes.len() - 30, bytes.len() / 2] {
        let mut broken = bytes[..end].to_vec();
        broken.extend([0x8e, b',']);
        match Sheets::open(&broken) {
            Err(message) => assert_eq!(message.code(), "MM-5105"),
            Ok(sheets) => assert!(!read(&sheets).faults.is_empty(), "never half a line in silence"),
        }
    }
}

/// A sheet that is hidden was not looked at; one that is not there is none.
#[test]
fn a_hidden_sheet_is_refused_and_a_missing_one_is_none() {
    let rows = rows();
    let mut book = Workbook::new();
    let page = book.add_worksheet().set_name(FACILITIES).unwrap();
    for (at, heading) in (0u16..).zip(headings(0)) {
        page.write_string(0, at, heading).unwrap();
        page.write_string(1, at, &rows.facilities[0][usize::from(at)]).unwrap();
    }
    let reading = read_book(&book.save_to_buffer().unwrap());
    assert_eq!((reading.faults, reading.taken[0].staff.len()), (vec![], 0));
    book.add_worksheet().set_name(STAFF).unwrap().set_hidden(true);
    let refused = Sheets::open(&book.save_to_buffer().unwrap());
    assert!(refused.is_err_and(|message| message.code() == "MM-5115"));
}

/// The limits of one sheet: a row too many is told, not cut.
#[test]
fn a_row_too_many_is_told() {
    let mut book = Workbook::new();
    book.add_worksheet().set_name(FACILITIES).unwrap().write_string(0, 0, "事業所番号").unwrap();
    let staff = book.add_worksheet().set_name(STAFF).unwrap();
    staff.write_string(u32::try_from(ROWS_MAX).unwrap() + 1, 0, "x").unwrap();
    let refused = Sheets::open(&book.save_to_buffer().unwrap());
    assert!(refused.is_err_and(|message| message.code() == "MM-5106"));
}
