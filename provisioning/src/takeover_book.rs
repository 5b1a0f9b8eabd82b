//! The workbook that registers are written into before they are taken over: a sheet of facilities (the columns of 様式1),
//! and sheets of staff, VPN番号 and paid years, with lists in the cells and an explanation. Every cell is text, so that Excel
//! changes none of them. Pure: values in, bytes out.

use rust_xlsxwriter::{
    DataValidation, DataValidationErrorStyle, DataValidationRule, Format, FormatAlign, FormatBorder,
    Workbook, Worksheet, XlsxError,
};

use crate::facility::{CODE_LENGTH, FacilityKind};
use crate::form1::Column as FormColumn;
use crate::takeover::{FACILITIES, PAID, PAID_COLUMNS, SLOT_COLUMNS, SLOTS, STAFF, STAFF_COLUMNS};
use crate::takeover_sheet::{Cell, Column};
use crate::template;

pub const FILE_NAME: &str = "引継ぎ台帳.xlsx";

/// Rows prepared with lists and borders; more may be written below them.
const PREPARED_ROWS: u32 = 100;

/// Rows of text for each sheet, in the order of its columns.
#[derive(Default)]
pub struct Rows {
    pub facilities: Vec<Vec<String>>,
    pub staff: Vec<Vec<String>>,
    pub slots: Vec<Vec<String>>,
    pub paid: Vec<Vec<String>>,
}

pub fn blank() -> Result<Vec<u8>, XlsxError> {
    filled(&Rows::default())
}

/// The workbook with these rows in it.
pub fn filled(rows: &Rows) -> Result<Vec<u8>, XlsxError> {
    let facilities =
        FormColumn::ALL.map(|column| (column.heading(), template::is_needed(column), cell(column)));
    let mut book = Workbook::new();
    sheet(book.add_worksheet().set_name(FACILITIES)?, &facilities, &rows.facilities)?;
    for (name, columns, rows) in [
        (STAFF, &STAFF_COLUMNS[..], &rows.staff),
        (SLOTS, &SLOT_COLUMNS[..], &rows.slots),
        (PAID, &PAID_COLUMNS[..], &rows.paid),
    ] {
        let shown = |column: &Column| (column.heading, column.must, Some(column.cell));
        let columns: Vec<_> = columns.iter().map(shown).collect();
        sheet(book.add_worksheet().set_name(name)?, &columns, rows)?;
    }
    explanation(book.add_worksheet().set_name("記入のしかた")?)?;
    book.save_to_buffer()
}

/// What Excel may ask in a column of 様式1.
fn cell(column: FormColumn) -> Option<Cell> {
    match column {
        FormColumn::Code => Some(Cell::Code),
        FormColumn::Kind => Some(Cell::Kind),
        FormColumn::AdminAddress => Some(Cell::Address),
        FormColumn::ReceivedOn => Some(Cell::Date),
        FormColumn::Kana => Some(Cell::Kana),
        _ => None,
    }
}

fn sheet(
    sheet: &mut Worksheet,
    columns: &[(&str, bool, Option<Cell>)],
    rows: &[Vec<String>],
) -> Result<(), XlsxError> {
    let (needed, free) = template::heading_formats();
    let text = Format::new()
        .set_num_format("@")
        .set_border(FormatBorder::Hair)
        .set_align(FormatAlign::VerticalCenter);
    let last = PREPARED_ROWS.max(u32::try_from(rows.len()).unwrap_or(PREPARED_ROWS));
    sheet.set_row_height(0, 36)?;
    for (place, (heading, must, cell)) in (0u16..).zip(columns) {
        let format = if *must { &needed } else { &free };
        sheet.write_string_with_format(0, place, *heading, format)?;
        sheet.set_column_width(place, width(heading, *cell))?;
        if let Some(validation) = cell.map(validation).transpose()?.flatten() {
            sheet.add_data_validation(1, place, last, place, &validation)?;
        }
    }
    for row in 1..=last {
        let cells = rows.get(row as usize - 1);
        for (place, _) in (0u16..).zip(columns) {
            let cell = cells.and_then(|cells| cells.get(usize::from(place))).map_or("", String::as_str);
            sheet.write_string_with_format(row, place, cell, &text)?;
        }
    }
    sheet.set_freeze_panes(1, 2)?;
    sheet.set_landscape().set_paper_size(9).set_print_fit_to_pages(1, 0).set_repeat_rows(0, 0)?;
    Ok(())
}

/// What Excel asks while somebody types. It warns and does not refuse: the reader decides.
fn validation(cell: Cell) -> Result<Option<DataValidation>, XlsxError> {
    let (rule, message) = match cell {
        Cell::Code => (
            DataValidation::new().allow_text_length(DataValidationRule::EqualTo(CODE_LENGTH as u32)),
            "10桁。様式1のシートと同じ番号。",
        ),
        Cell::Kind => (
            DataValidation::new().allow_list_strings(&FacilityKind::APPLICANTS.map(FacilityKind::as_str))?,
            "一覧から選んでください。",
        ),
        Cell::Date => (DataValidation::new(), "2026/4/1 か 令和8年4月1日 のように。"),
        Cell::Line | Cell::Kana | Cell::Address => return Ok(None),
    };
    rule.set_input_message(message).map(|rule| Some(rule.set_error_style(DataValidationErrorStyle::Warning)))
}

fn width(heading: &str, cell: Option<Cell>) -> u8 {
    match cell {
        Some(Cell::Code | Cell::Date) => 16,
        Some(Cell::Kind) => 26,
        Some(Cell::Address) => 36,
        _ if heading == FormColumn::PostalAddress.heading() => 36,
        _ => 20,
    }
}

/// What a line of the explanation says about which sheet and column.
const WORDS: [(&str, &str, &str); 17] = [
    (FACILITIES, "（全体）", "1行に1施設。項目は様式1と同じです。「受付日」には利用を始めた日を書きます。"),
    (
        STAFF,
        "（全体）",
        "1行に1人。施設内管理者は様式1のシートに書き、ここには書きません。2つの施設に勤める人は2行に、同じメールアドレスで書きます。",
    ),
    (STAFF, "事業所番号・種別", "必須。様式1のシートにある施設のものを書きます。"),
    (STAFF, "氏名", "必須。髙・﨑・𠮷などの字は、そのまま残ります。"),
    (STAFF, "ふりがな", "かな（半角カナでもかまいません）。探すときに使います。"),
    (STAFF, "職種", "看護師、介護支援専門員 など。"),
    (
        STAFF,
        "メールアドレス",
        "必須。サインインに使います。一人に一つで、施設内管理者のアドレスは使えません。",
    ),
    (STAFF, "誓約書取得日", "必須。様式4に署名した日。"),
    (STAFF, "説明会・研修・操作研修の受講日", "最後に受けた日。受けていなければ空欄。"),
    (SLOTS, "（全体）", "1行に1番号。番号はそのまま引き継がれます。"),
    (SLOTS, "VPN番号", "必須。18-0042 の形。使用中の番号、返されたばかりの番号は取り込めません。"),
    (SLOTS, "Web会議", "Web会議に使う番号に ○。"),
    (PAID, "（全体）", "利用料が納付済みの年度。書いた年度は請求されません。"),
    (PAID, "納付済み年度", "必須。2025 か 令和7年度。複数は「、」で区切ります。"),
    (
        "取り込む前に",
        "確かめる",
        "画面の「確かめるだけ」か takeover import --dry-run で、直すところがセルの場所で示されます。",
    ),
    ("取り込む", "同じファイルをもう一度", "取り込み済みの施設はそのままで、残りだけが取り込まれます。"),
    (
        "取り込んだ後",
        "開始",
        "開始すると、最初のVPN番号の接続設定一式と用紙が出ます。開始する前なら、施設ごとに元に戻せます。",
    ),
];

fn explanation(sheet: &mut Worksheet) -> Result<(), XlsxError> {
    let bold = Format::new().set_bold();
    let wrapped = Format::new().set_text_wrap().set_align(FormatAlign::Top);
    for (place, width) in [(0, 16), (1, 34), (2, 90)] {
        sheet.set_column_width(place, width)?;
    }
    for (place, heading) in [(0, "シート"), (1, "項目"), (2, "記入のしかた")] {
        sheet.write_string_with_format(0, place, heading, &bold)?;
    }
    for (row, (name, item, words)) in (1u32..).zip(WORDS) {
        sheet.write_string_with_format(row, 0, name, &wrapped)?;
        sheet.write_string_with_format(row, 1, item, &wrapped)?;
        sheet.write_string_with_format(row, 2, words, &wrapped)?;
    }
    sheet.set_landscape().set_paper_size(9).set_print_fit_to_pages(1, 0);
    Ok(())
}
