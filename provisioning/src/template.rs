//! The blank 様式1 as `.xlsx`: headings in row 1, lists to choose from, and a second sheet that explains.
//! Also writes filled forms, so that samples come from the same template. Pure: values in, bytes out.

use rust_xlsxwriter::{
    Color, DataValidation, DataValidationErrorStyle, DataValidationRule, Format, FormatAlign, FormatBorder,
    Workbook, Worksheet, XlsxError,
};

use crate::facility::FacilityKind;
use crate::form1::{Column, VPN_MAX};
use crate::sheet_file::SHEET_NAME;

pub const FILE_NAME: &str = "様式1_利用申込書.xlsx";

/// Rows prepared with lists and borders; more may be written below them.
const PREPARED_ROWS: u32 = 300;

/// The blank form.
pub fn blank() -> Result<Vec<u8>, XlsxError> {
    filled(&[])
}

/// The form with rows of text in the order of `Column::ALL`.
pub fn filled(rows: &[Vec<String>]) -> Result<Vec<u8>, XlsxError> {
    let mut book = Workbook::new();
    let sheet = book.add_worksheet().set_name(SHEET_NAME)?;
    write_headings(sheet)?;
    write_lists(sheet)?;
    // Text format everywhere: a code that begins with 0 stays a code.
    let text = Format::new()
        .set_num_format("@")
        .set_border(FormatBorder::Hair)
        .set_align(FormatAlign::VerticalCenter);
    for row in 1..=PREPARED_ROWS {
        for (column, _) in Column::ALL.iter().enumerate() {
            let cell =
                rows.get(row as usize - 1).and_then(|cells| cells.get(column)).map_or("", String::as_str);
            sheet.write_string_with_format(row, column as u16, cell, &text)?;
        }
    }
    sheet.set_freeze_panes(1, 2)?;
    sheet.set_landscape().set_paper_size(9).set_print_fit_to_pages(1, 0).set_repeat_rows(0, 0)?;
    write_explanation(book.add_worksheet().set_name("記入のしかた")?)?;
    book.save_to_buffer()
}

/// Of columns that must be filled in, and of the others: the same in every workbook of ours.
pub(crate) fn heading_formats() -> (Format, Format) {
    let base = Format::new()
        .set_bold()
        .set_text_wrap()
        .set_align(FormatAlign::Center)
        .set_align(FormatAlign::VerticalCenter)
        .set_border(FormatBorder::Thin)
        .set_font_color(Color::White);
    let needed = base.clone().set_background_color(Color::RGB(0x0017_4f8c));
    let free = base.set_background_color(Color::RGB(0x005b_6b7b));
    (needed, free)
}

fn write_headings(sheet: &mut Worksheet) -> Result<(), XlsxError> {
    let (needed, free) = heading_formats();
    sheet.set_row_height(0, 36)?;
    for (place, column) in Column::ALL.into_iter().enumerate() {
        let format = if is_needed(column) { &needed } else { &free };
        sheet.write_string_with_format(0, place as u16, column.heading(), format)?;
        sheet.set_column_width(place as u16, width(column))?;
    }
    Ok(())
}

fn write_lists(sheet: &mut Worksheet) -> Result<(), XlsxError> {
    let place = |column: Column| Column::ALL.iter().position(|c| *c == column).unwrap_or(0) as u16;
    let kinds = DataValidation::new()
        .allow_list_strings(&FacilityKind::APPLICANTS.map(FacilityKind::as_str))?
        .set_input_title("種別")?
        .set_input_message("一覧から選んでください。")?
        .set_error_style(DataValidationErrorStyle::Warning);
    let counts = DataValidation::new()
        .allow_whole_number(DataValidationRule::Between(0, VPN_MAX as i32))
        .set_input_title("VPN申請数")?
        .set_input_message("原則2。Web会議を使わないときは空欄。")?
        .set_error_style(DataValidationErrorStyle::Warning);
    let yes_no = DataValidation::new().allow_list_strings(&["参加", "不参加"])?;
    let codes = DataValidation::new()
        .set_input_title("事業所番号")?
        .set_input_message("指定通知書の10桁。先頭の0も書いてください。")?;
    for (column, validation) in [
        (Column::Code, codes),
        (Column::Kind, kinds),
        (Column::VpnRequested, counts),
        (Column::MedicalNet, yes_no),
    ] {
        sheet.add_data_validation(1, place(column), PREPARED_ROWS, place(column), &validation)?;
    }
    Ok(())
}

fn write_explanation(sheet: &mut Worksheet) -> Result<(), XlsxError> {
    let bold = Format::new().set_bold();
    let wrapped = Format::new().set_text_wrap().set_align(FormatAlign::Top);
    sheet.set_column_width(0, 34)?;
    sheet.set_column_width(1, 90)?;
    sheet.write_string_with_format(0, 0, "項目", &bold)?;
    sheet.write_string_with_format(0, 1, "記入のしかた", &bold)?;
    for (place, column) in Column::ALL.into_iter().enumerate() {
        let row = place as u32 + 1;
        sheet.write_string(row, 0, column.heading())?;
        sheet.write_string_with_format(row, 1, explanation(column), &wrapped)?;
    }
    Ok(())
}

pub(crate) fn is_needed(column: Column) -> bool {
    match column {
        Column::Code | Column::Name | Column::Kind | Column::AdminName | Column::AdminAddress => true,
        Column::PostalAddress
        | Column::Telephone
        | Column::Representative
        | Column::VpnRequested
        | Column::MedicalNet
        | Column::ReceivedOn
        | Column::Kana => false,
    }
}

fn width(column: Column) -> u8 {
    match column {
        Column::Code | Column::Telephone | Column::Representative | Column::AdminName => 16,
        Column::Name | Column::Kind => 26,
        Column::PostalAddress | Column::AdminAddress | Column::Kana => 36,
        Column::VpnRequested | Column::MedicalNet | Column::ReceivedOn => 14,
    }
}

fn explanation(column: Column) -> &'static str {
    match column {
        Column::Code => {
            "必須。10桁ちょうど（3桁目だけは英字も可）。番号のない方は事務局が99で始まる番号をお知らせします。"
        }
        Column::Name => "必須。指定通知書のとおりの名称。",
        Column::Kind => "必須。一覧から選びます。",
        Column::PostalAddress => "福井県内の所在地。",
        Column::Telephone => "市外局番から。用紙の郵送や本人確認に使います。",
        Column::Representative => "様式2（誓約書）に署名する方。",
        Column::AdminName => "必須。IDと端末を管理する方。代表者と同じでもかまいません。",
        Column::AdminAddress => {
            "必須。管理画面だけに使うアドレス。利用者（職員）のアドレスとしては使えません。"
        }
        Column::VpnRequested => "Web会議を行う端末の数。原則2、最大10。Web会議を使わないときは空欄。",
        Column::MedicalNet => "ふくいメディカルネットに参加していれば「参加」。",
        Column::ReceivedOn => "事務局が記入します（申込書が届いた日）。空欄なら取り込んだ日になります。",
        Column::Kana => "事業所名の読み。電話のときに探すために使います。空欄でもかまいません。",
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{form1, sheet_file};

    #[test]
    fn a_filled_template_reads_back_and_a_blank_one_says_that_it_is_blank() {
        let row = [
            "1870100128",
            "ケアプランふくい",
            "居宅介護支援事業所",
            "",
            "",
            "",
            "福井 花子",
            "kanri@care.example.jp",
            "",
            "",
        ];
        let bytes = filled(&[row.map(str::to_owned).to_vec()]).unwrap();
        let reading = form1::read(&sheet_file::read(&bytes).unwrap());
        assert_eq!(reading.faults, []);
        assert_eq!(reading.applications[0].1.name, "ケアプランふくい");
        let blank = form1::read(&sheet_file::read(&blank().unwrap()).unwrap());
        assert_eq!(blank.faults[0].code, "MM-5101");
    }
}
