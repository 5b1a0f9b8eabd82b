//! 様式2 to 様式8 as `.xlsx`: headings in row 1, lists and limits in the cells, a second sheet that explains; blank, or with
//! what is known already. Every cell is text, so that Excel changes none of them. Pure: values in, bytes out.

use rust_xlsxwriter::{
    DataValidation, DataValidationErrorStyle, DataValidationRule, Format, FormatAlign, FormatBorder,
    Workbook, Worksheet, XlsxError,
};

use crate::facility::{CODE_LENGTH, FacilityKind};
use crate::flow_forms::Form;
use crate::paper_field::{Cell, Field, fields};
use crate::{paper_text, template};

/// Rows prepared with lists and borders; more may be written below them.
const PREPARED_ROWS: u32 = 100;

/// `様式3_変更申請書（事業所用）.xlsx`.
pub fn file_name(form: Form) -> String {
    let title = paper_text::words(form).map_or("", |words| words.title);
    format!("{}_{title}.xlsx", form.name_ja())
}

/// The form with rows of text in the order of its fields.
pub fn filled(form: Form, rows: &[Vec<String>]) -> Result<Vec<u8>, XlsxError> {
    let mut book = Workbook::new();
    let sheet = book.add_worksheet().set_name(form.name_ja())?;
    headings(sheet, fields(form))?;
    let text = Format::new()
        .set_num_format("@")
        .set_border(FormatBorder::Hair)
        .set_align(FormatAlign::VerticalCenter)
        .set_text_wrap();
    for row in 1..=PREPARED_ROWS {
        for (place, _) in (0u16..).zip(fields(form)) {
            let cells = rows.get(row as usize - 1);
            let cell = cells.and_then(|cells| cells.get(usize::from(place))).map_or("", String::as_str);
            sheet.write_string_with_format(row, place, cell, &text)?;
        }
    }
    for (place, field) in (0u16..).zip(fields(form)) {
        if let Some(validation) = validation(field)? {
            sheet.add_data_validation(1, place, PREPARED_ROWS, place, &validation)?;
        }
    }
    sheet.set_freeze_panes(1, 0)?;
    sheet.set_landscape().set_paper_size(9).set_print_fit_to_pages(1, 0).set_repeat_rows(0, 0)?;
    explanation(book.add_worksheet().set_name("記入のしかた")?, form)?;
    book.save_to_buffer()
}

fn headings(sheet: &mut Worksheet, fields: &[Field]) -> Result<(), XlsxError> {
    let (needed, free) = template::heading_formats();
    sheet.set_row_height(0, 36)?;
    for (place, field) in (0u16..).zip(fields) {
        let format = if field.must { &needed } else { &free };
        sheet.write_string_with_format(0, place, field.heading, format)?;
        sheet.set_column_width(place, width(field))?;
    }
    Ok(())
}

/// What Excel asks while somebody types. It warns and does not refuse: the reader decides.
fn validation(field: &Field) -> Result<Option<DataValidation>, XlsxError> {
    let rule = match field.cell {
        Cell::Choice(words) => DataValidation::new().allow_list_strings(words)?,
        Cell::Kind => {
            DataValidation::new().allow_list_strings(&FacilityKind::APPLICANTS.map(FacilityKind::as_str))?
        }
        Cell::Code => {
            DataValidation::new().allow_text_length(DataValidationRule::EqualTo(CODE_LENGTH as u32))
        }
        Cell::Line
        | Cell::Kana
        | Cell::Case
        | Cell::Telephone
        | Cell::PostalAddress
        | Cell::Address
        | Cell::Date
        | Cell::PastDate => DataValidation::new(),
    };
    rule.set_input_title(field.heading)?
        .set_input_message(field.hint)
        .map(|rule| Some(rule.set_error_style(DataValidationErrorStyle::Warning)))
}

fn explanation(sheet: &mut Worksheet, form: Form) -> Result<(), XlsxError> {
    let bold = Format::new().set_bold();
    let wrapped = Format::new().set_text_wrap().set_align(FormatAlign::Top);
    sheet.set_column_width(0, 38)?;
    sheet.set_column_width(1, 90)?;
    sheet.write_string_with_format(0, 0, "項目", &bold)?;
    sheet.write_string_with_format(0, 1, "記入のしかた", &bold)?;
    let mut row = 1;
    for field in fields(form) {
        let must = if field.must { "必須。" } else { "" };
        sheet.write_string(row, 0, field.heading)?;
        sheet.write_string_with_format(row, 1, format!("{must}{}", field.hint), &wrapped)?;
        row += 1;
    }
    if let Some(words) = paper_text::words(form) {
        row += 1;
        sheet.write_string_with_format(row, 0, "提出", &bold)?;
        sheet.write_string_with_format(row, 1, format!("{}。{}", words.route, words.copies), &wrapped)?;
    }
    Ok(())
}

fn width(field: &Field) -> u8 {
    match field.cell {
        Cell::Case | Cell::Code | Cell::Date | Cell::PastDate | Cell::Telephone => 16,
        Cell::Choice(_) | Cell::Kind | Cell::Kana => 22,
        Cell::Line => 26,
        Cell::PostalAddress | Cell::Address => 38,
    }
}
