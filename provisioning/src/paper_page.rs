//! A form as a printed page: title, words, its fields in a table, lines to sign, and at the foot the case number with a
//! QR code by which the paper finds back to its case (E-13). Also tables of many rows (管理台帳). Pure.

use crate::flow_forms::Form;
use crate::font::Fonts;
use crate::form_code::{self, FormCode};
use crate::messages_paper::PaperMessage;
use crate::paper_field::{self, Cell, Field};
use crate::paper_sheet::{Pace, Sheet, Unprinted};
use crate::paper_text::{self, Words};
use crate::pdf;

/// As a hand likes it; and closer, when that saves a page.
const PACES: [Pace; 2] = [Pace { row: 27.0, sign: 30.0 }, Pace { row: 20.0, sign: 22.0 }];

/// A form with what is known already.
pub struct Printed<'a> {
    pub form: Form,
    pub zone: &'a str,
    pub realm_name: &'a str,
    /// Name and telephone of the office.
    pub office: &'a str,
    /// Empty on a blank form.
    pub case: &'a str,
    /// In the order of the form's fields; missing ones are blank.
    pub values: &'a [String],
    pub printed_on: &'a str,
}

impl Printed<'_> {
    /// What was printed, in few letters: a paper whose fields somebody changed by hand has another one than its case.
    pub fn hash(&self) -> String {
        form_code::hash(self.form, self.case, self.values)
    }

    /// What the code says; no name of anybody.
    pub fn code(&self, pages: usize) -> String {
        FormCode {
            form: self.form,
            case: self.case.to_owned(),
            hash: self.hash(),
            realm: form_code::realm(self.zone),
            pages: u16::try_from(pages).unwrap_or(u16::MAX),
        }
        .text()
    }
}

/// The page, or pages, as PDF.
pub fn form(fonts: &Fonts, printed: &Printed<'_>) -> Result<Vec<u8>, Unprinted> {
    let words =
        paper_text::words(printed.form).ok_or(PaperMessage::FormOther { form: printed.form.name_ja() })?;
    let [roomy, close] = PACES;
    let mut sheet = laid(fonts, printed, &words, roomy)?;
    if sheet.pages() > 1 {
        sheet = laid(fonts, printed, &words, close)?;
    }
    let case =
        if printed.case.is_empty() { "（受付時に事務局が付けます）" } else { printed.case };
    let foot = [
        format!("案件番号　{case}"),
        format!("照合　{}", printed.hash()),
        format!("印刷日　{}", printed.printed_on),
    ];
    let code = printed.code(sheet.pages());
    let pages = sheet.end(&foot, Some(&code))?;
    let title = format!("{} {}", printed.form.name_ja(), words.title);
    Ok(pdf::written(&title, true, &pages, fonts)?)
}

fn laid<'a>(
    fonts: &'a Fonts,
    printed: &Printed<'_>,
    words: &Words,
    pace: Pace,
) -> Result<Sheet<'a>, PaperMessage> {
    let mut sheet = Sheet::new(fonts, true);
    sheet.right(&format!("（{}）　{}", printed.form.name_ja(), words.route), 9.0)?;
    sheet.centred(words.title, 17.0)?;
    sheet.down(4.0);
    sheet.paragraph(&words.opening.replace("{realm}", printed.realm_name), 0.0)?;
    for (place, article) in words.articles.iter().enumerate() {
        sheet.article(&format!("{}．", place + 1), article)?;
    }
    sheet.down(6.0);
    for (place, field) in paper_field::fields(printed.form).iter().enumerate() {
        let value = printed.values.get(place).map_or("", String::as_str);
        let heading = format!("{}{}", field.heading, if field.must { "※" } else { "" });
        let hint = if value.is_empty() { field.hint } else { "" };
        sheet.field(&heading, &shown(field, value), hint, pace)?;
    }
    sheet.down(10.0);
    sheet.paragraph("　　　　年　　　月　　　日", 0.0)?;
    for line in words.signatures {
        sheet.signature(line, pace)?;
    }
    sheet.down(4.0);
    sheet.small(&format!("・※は必ず記入する項目です。{}", words.copies))?;
    sheet.small(&format!("・提出先・問い合わせ先：{}", printed.office))?;
    Ok(sheet)
}

/// The value; of a field that nobody has filled in, what a hand completes.
fn shown(field: &Field, value: &str) -> String {
    match (field.cell, value) {
        (Cell::Choice(words), value) => ticked(words, value),
        (Cell::Date | Cell::PastDate, "") => "　　　　年　　　月　　　日".to_owned(),
        (_, value) => value.to_owned(),
    }
}

fn ticked(words: &[&str], chosen: &str) -> String {
    let box_of = |word: &&str| format!("{}{word}", if *word == chosen { '■' } else { '□' });
    words.iter().map(box_of).collect::<Vec<_>>().join("　　")
}

/// A table of text as pages on their long side; each page repeats the headings.
pub struct Listed<'a> {
    pub title: &'a str,
    pub below: &'a str,
    pub tables: &'a [Rows<'a>],
    pub foot: &'a str,
}

/// One table: columns with their share of the width, and texts.
pub struct Rows<'a> {
    pub caption: &'a str,
    pub columns: &'a [(&'a str, f32)],
    pub rows: Vec<Vec<String>>,
}

pub fn list(font: &Fonts, listed: &Listed<'_>) -> Result<Vec<u8>, Unprinted> {
    let mut sheet = Sheet::new(font, false);
    sheet.centred(listed.title, 16.0)?;
    sheet.paragraph(listed.below, 0.0)?;
    for table in listed.tables {
        sheet.down(8.0);
        sheet.paragraph(table.caption, 0.0)?;
        sheet.table(table.columns, &table.rows)?;
    }
    let pages = sheet.end(&[listed.foot.to_owned()], None)?;
    Ok(pdf::written(listed.title, false, &pages, font)?)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::font::tests::installed;
    use crate::paper_field::FORMS;

    /// Pages of a file.
    fn count(bytes: &[u8]) -> Option<usize> {
        let text = String::from_utf8_lossy(bytes);
        text.split("/Count ").nth(1).and_then(|rest| rest.split_whitespace().next()?.parse().ok())
    }

    #[test]
    fn e_13_every_form_prints_blank_and_filled_with_its_case_and_code() {
        let font = installed();
        for form_kind in FORMS {
            let filled = vec!["山田 太郎".to_owned(); paper_field::fields(form_kind).len()];
            for (case, values) in [("", vec![]), ("2026-00042", filled)] {
                let printed = Printed {
                    form: form_kind,
                    zone: "fukui.example.jp",
                    realm_name: "ふくいみまもりSNS",
                    office: "SNS事務局 0776-00-0000",
                    case,
                    values: &values,
                    printed_on: "2026-11-21",
                };
                let bytes = form(&font, &printed).unwrap();
                assert_eq!(count(&bytes), Some(1), "{form_kind:?}: a paper, not a booklet");
                assert!(
                    bytes.starts_with(b"%PDF-1.7") && bytes.len() < 300_000,
                    "{form_kind:?} {}",
                    bytes.len()
                );
                assert!(printed.code(1).contains(case) && printed.code(1).is_ascii());
            }
        }
    }

    #[test]
    fn a_character_that_no_font_has_is_refused_with_the_paper() {
        let font = installed();
        let odd = ["\u{10fffd}".to_owned()];
        let printed = Printed {
            form: Form::Change,
            zone: "Z",
            realm_name: "R",
            office: "O",
            case: "",
            values: &odd,
            printed_on: "",
        };
        assert!(matches!(form(&font, &printed), Err(Unprinted::Paper(PaperMessage::FontLacks { .. }))));
    }

    #[test]
    fn a_long_table_turns_its_pages() {
        let font = installed();
        let columns: &[(&str, f32)] = &[("氏名", 1.0), ("職種", 2.0)];
        let rows = vec![vec!["山田 太郎".to_owned(), "看護師".to_owned()]; 100];
        let tables = [Rows { caption: "1 利用者", columns, rows }];
        let listed =
            Listed { title: "管理台帳", below: "ケアプラン", tables: &tables, foot: "2026-11-21" };
        let bytes = list(&font, &listed).unwrap();
        assert_eq!(
            count(&bytes),
            Some(4),
            "a hundred rows of seventeen and a half points, with headings on each page"
        );
    }
}
