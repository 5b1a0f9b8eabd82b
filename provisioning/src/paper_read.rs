//! A returned form: which of 様式2 to 様式8 a table is, and what its rows say, with every bad cell named (E-13). It knows the
//! forms' table and nothing of the registry. A value of it may name a patient, so it has no `Debug`. Pure.

use jiff::civil::Date;

use crate::door::RowFault;
use crate::facility::{self, FacilityKind, MailAddress};
use crate::flow_forms::Form;
use crate::form1_cell;
use crate::form1_column::Column;
use crate::messages::{Message, shown};
use crate::messages_paper::PaperMessage;
use crate::paper_field::{self, Becomes, Cell, FORMS, Field, fields};
use crate::sheet_file::{Habit, Row, Table, letters};

/// Above its headings a form has a title and a few lines, no more.
const TITLE_ROWS: usize = 10;
/// Headings that must be known before a row is taken for the headings.
const HEADINGS_MIN: usize = 3;

/// One row, read.
pub struct Paper {
    pub row: u32,
    pub form: Form,
    /// In the order of the form's fields; blank ones are empty.
    cells: Vec<String>,
}

impl Paper {
    /// What stands in the field that becomes this; empty when there is none.
    pub fn value(&self, becomes: Becomes) -> &str {
        self.filled().find(|(field, _)| field.becomes == becomes).map_or("", |(_, text)| text)
    }

    /// Fields that somebody filled in.
    pub fn filled(&self) -> impl Iterator<Item = (&'static Field, &str)> {
        fields(self.form)
            .iter()
            .zip(self.cells.iter().map(String::as_str))
            .filter(|(_, text)| !text.is_empty())
    }
}

pub struct Reading {
    pub form: Form,
    pub papers: Vec<Paper>,
    /// Nothing may be written while there is one.
    pub faults: Vec<RowFault>,
    pub warnings: Vec<RowFault>,
}

/// The names by which a workbook's sheet is found; 様式1 has a reader of its own.
pub fn sheet_names() -> Vec<&'static str> {
    FORMS.iter().chain(&[Form::Application]).map(|form| form.name_ja()).collect()
}

pub fn unclear() -> PaperMessage {
    PaperMessage::FormUnclear { known: sheet_names().join("、") }
}

/// Which form it is: as somebody said, as the sheet is named, or as its headings tell.
pub fn which(table: &Table, named: Option<Form>) -> Result<Form, PaperMessage> {
    let by_sheet = table.sheet.as_deref().and_then(Form::parse);
    if let Some(form) = named.or(by_sheet) {
        return if FORMS.contains(&form) || form == Form::Application {
            Ok(form)
        } else {
            Err(PaperMessage::FormOther { form: form.name_ja() })
        };
    }
    let known = |form: Form| {
        let of = |row: &Row| row.cells.iter().filter(|text| paper_field::find(form, text).is_some()).count();
        table.rows.iter().take(TITLE_ROWS).map(of).max().unwrap_or(0)
    };
    let whole: Vec<Form> = FORMS.into_iter().filter(|form| known(*form) == fields(*form).len()).collect();
    match whole.as_slice() {
        [only] => Ok(*only),
        _ => Err(unclear()),
    }
}

/// Reads the whole table; every bad cell is named, not only the first.
pub fn read(table: &Table, form: Form, today: Date) -> Reading {
    let mut reading = Reading { form, papers: Vec::new(), faults: Vec::new(), warnings: Vec::new() };
    let is_known =
        |row: &Row| row.cells.iter().filter(|text| paper_field::find(form, text).is_some()).count();
    let found = table.rows.iter().take(TITLE_ROWS).position(|row| is_known(row) >= HEADINGS_MIN).unwrap_or(0);
    let Some(headings) = table.rows.get(found) else { return reading };
    let places = places(form, headings, &mut reading.faults);
    if reading.faults.is_empty() {
        let rows = table.rows.get(found + 1..).unwrap_or(&[]);
        for row in rows {
            let cells: Vec<Option<String>> = fields(form)
                .iter()
                .zip(&places)
                .map(|(field, place)| cell(field, row, *place, today, &mut reading))
                .collect();
            if let Some(cells) = cells.into_iter().collect::<Option<Vec<String>>>() {
                let paper = Paper { row: row.number, form, cells };
                doubts(&paper, &mut reading);
                reading.papers.push(paper);
            }
        }
        if rows.is_empty() {
            reading
                .faults
                .push(PaperMessage::FormEmpty { form: form.name_ja() }.at(headings.number + 1, "事業所番号"));
        }
    }
    let Reading { faults, warnings, .. } = &mut reading;
    faults.iter_mut().chain(warnings).for_each(|fault| locate(table, form, headings, fault));
    reading
}

/// Where each field stands; `None`: the column is missing and may be.
fn places(form: Form, headings: &Row, faults: &mut Vec<RowFault>) -> Vec<Option<usize>> {
    let mut places = vec![None; fields(form).len()];
    for (column, text) in headings.cells.iter().enumerate().filter(|(_, text)| !text.trim().is_empty()) {
        match paper_field::find(form, text) {
            Some((place, field)) => match places.get_mut(place) {
                Some(free @ None) => *free = Some(column),
                _ => faults.push(Message::HeadingTwice.at(headings.number, field.heading)),
            },
            None => {
                let given = shown(text.trim());
                let nearest = paper_field::nearest(form, text);
                faults.push(
                    PaperMessage::HeadingUnknown { given: given.clone(), nearest }
                        .at(headings.number, &given),
                );
            }
        }
    }
    for (field, place) in fields(form).iter().zip(&places) {
        if field.must && place.is_none() {
            faults.push(Message::HeadingMissing.at(headings.number, field.heading));
        }
    }
    places
}

/// A cell as it was meant; `None` after a fault.
fn cell(
    field: &Field,
    row: &Row,
    place: Option<usize>,
    today: Date,
    reading: &mut Reading,
) -> Option<String> {
    let text = place.map_or("", |place| row.cell(place)).trim();
    let habit = place.and_then(|place| row.habit(place));
    if text.is_empty() && !matches!(habit, Some(Habit::Merged(_) | Habit::Uncomputed)) {
        if field.must {
            reading.faults.push(Message::CellEmpty.at(row.number, field.heading));
            return None;
        }
        return Some(String::new());
    }
    match meant(field.cell, text, habit, today) {
        Ok(meant) => {
            if habit == Some(&Habit::Computed) {
                reading.warnings.push(Message::CellComputed.at(row.number, field.heading));
            }
            Some(meant)
        }
        Err(wrong) => {
            reading.faults.push(wrong.at(row.number, field.heading));
            None
        }
    }
}

/// A filled cell of any table, as it was meant.
pub fn meant(cell: Cell, text: &str, habit: Option<&Habit>, today: Date) -> Result<String, Wrong> {
    form1_cell::look(like(cell), text, habit).map_err(Wrong::Cell)?;
    parsed(cell, text, today)
}

pub enum Wrong {
    Cell(Message),
    Paper(PaperMessage),
}

impl Wrong {
    pub fn at(&self, row: u32, heading: &str) -> RowFault {
        match self {
            Wrong::Cell(message) => message.at(row, heading),
            Wrong::Paper(message) => message.at(row, heading),
        }
    }
}

/// The column of 様式1 in which Excel would do the same to a cell.
fn like(cell: Cell) -> Column {
    match cell {
        Cell::Code => Column::Code,
        Cell::Telephone => Column::Telephone,
        Cell::PostalAddress => Column::PostalAddress,
        Cell::Date | Cell::PastDate => Column::ReceivedOn,
        Cell::Line | Cell::Kana | Cell::Case | Cell::Kind | Cell::Address | Cell::Choice(_) => Column::Name,
    }
}

fn parsed(cell: Cell, text: &str, today: Date) -> Result<String, Wrong> {
    match cell {
        Cell::Line | Cell::Case => facility::line(text).map_err(Wrong::Cell),
        Cell::Kana => form1_cell::kana(text).map_err(Wrong::Cell),
        Cell::Code => form1_cell::code(text).map(|code| code.to_string()).map_err(Wrong::Cell),
        Cell::Kind => FacilityKind::parse_applicant(text).map(|kind| kind.to_string()).map_err(Wrong::Cell),
        Cell::Telephone => form1_cell::telephone(text).map_err(Wrong::Cell),
        Cell::PostalAddress => form1_cell::postal_address(text).map_err(Wrong::Cell),
        Cell::Address => {
            MailAddress::parse(text).map(|address| address.written().to_owned()).map_err(Wrong::Cell)
        }
        Cell::Date => day(text).map(|day| day.to_string()),
        Cell::PastDate => match day(text)? {
            day if day > today => Err(Wrong::Paper(PaperMessage::DateAhead { given: shown(text) })),
            day => Ok(day.to_string()),
        },
        Cell::Choice(words) => {
            let word = facility::fold_word(text);
            let found = words.iter().find(|known| facility::fold_word(known) == word);
            let refused = || PaperMessage::ChoiceForm { given: shown(text), known: words.join("、") };
            found.map(|word| (*word).to_owned()).ok_or_else(|| Wrong::Paper(refused()))
        }
    }
}

fn day(text: &str) -> Result<Date, Wrong> {
    let day = form1_cell::date(text).map_err(Wrong::Cell)?;
    day.ok_or_else(|| Wrong::Cell(Message::DateForm { given: shown(text) }))
}

/// What a single row must say beyond its cells.
fn doubts(paper: &Paper, reading: &mut Reading) {
    let row = paper.row;
    let filled = |wanted: fn(&Becomes) -> bool| paper.filled().any(|(field, _)| wanted(&field.becomes));
    if paper.form == Form::Change {
        let admin = filled(|becomes| *becomes == Becomes::AdminChange);
        if !admin && !filled(|becomes| matches!(becomes, Becomes::Change(_))) {
            reading.faults.push(PaperMessage::NothingChanged.at(row, "新しい事業所名"));
        }
        if admin {
            reading.warnings.push(PaperMessage::AdminByCall.at(row, "新しい施設内管理者名"));
        }
    }
    let named = filled(|becomes| matches!(becomes, Becomes::PatientId | Becomes::PatientName));
    if paper.form == Form::Removal && paper.value(Becomes::Opens) != paper_field::ALL_TEAMS && !named {
        reading.faults.push(PaperMessage::PatientNeeded.at(row, "患者氏名"));
    }
}

/// Says where in the table a fault stands. What names a patient is not repeated: reports travel further than the file.
pub fn locate(table: &Table, form: Form, headings: &Row, fault: &mut RowFault) {
    fault.sheet.clone_from(&table.sheet);
    let field = fields(form).iter().find(|field| field.heading == fault.column);
    if let Some(field) = field {
        field.hint.clone_into(&mut fault.expected_ja);
    }
    let is_it = |text: &String| match field {
        Some(field) => paper_field::find(form, text).is_some_and(|(_, found)| found == field),
        None => shown(text.trim()) == fault.column,
    };
    let Some(place) = headings.cells.iter().position(is_it) else { return };
    fault.cell = Some(format!("{}{}", letters(place), fault.row));
    let of_patient = field.is_some_and(|field| {
        use Becomes::{OfPatient, PatientKana, PatientName};
        matches!(field.becomes, PatientName | PatientKana | OfPatient)
    });
    if !of_patient {
        let row = table.rows.iter().find(|row| row.number == fault.row);
        fault.given = row.map_or_else(String::new, |row| shown(row.cell(place).trim()));
    }
}

/// The row of headings, for faults that the registry finds later.
pub fn headings(table: &Table, form: Form) -> Option<&Row> {
    let known = |row: &&Row| {
        row.cells.iter().filter(|text| paper_field::find(form, text).is_some()).count() >= HEADINGS_MIN
    };
    table.rows.iter().take(TITLE_ROWS).find(known).or_else(|| table.rows.first())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{paper_book, sheet_file};

    const TODAY: Date = Date::constant(2026, 11, 21);

    /// A row that is right in every cell, by the form's own table.
    pub fn sample(form: Form) -> Vec<String> {
        let text = |field: &Field| match field.cell {
            Cell::Line if field.becomes == Becomes::PatientId => "",
            Cell::Line => "福井 太郎",
            Cell::Kana => "ふくい たろう",
            Cell::Case => "",
            Cell::Code => "1870100128",
            Cell::Kind => "居宅介護支援事業所",
            Cell::Telephone => "0776-00-0000",
            Cell::PostalAddress => "福井市大手1丁目",
            Cell::Address => "kanri@care.example.jp",
            Cell::Date | Cell::PastDate => "令和8年4月1日",
            Cell::Choice(words) => words[0],
        };
        fields(form).iter().map(|field| text(field).to_owned()).collect()
    }

    #[test]
    fn e_13_every_template_reads_back_as_its_form() {
        for form in FORMS {
            let bytes = paper_book::filled(form, &[sample(form)]).unwrap();
            let table = sheet_file::read_sheet(&bytes, &sheet_names()).unwrap();
            assert_eq!(which(&table, None), Ok(form));
            let reading = read(&table, form, TODAY);
            assert_eq!(reading.faults, [], "{form:?}");
            assert_eq!(reading.papers.len(), 1);
            assert_eq!(reading.papers[0].value(Becomes::Code), "1870100128");
            let blank =
                sheet_file::read_sheet(&paper_book::filled(form, &[]).unwrap(), &sheet_names()).unwrap();
            assert_eq!(read(&blank, form, TODAY).faults[0].code, "MM-5926");
        }
    }

    #[test]
    fn each_bad_cell_is_named_and_no_patient_is_repeated() {
        let mut row = sample(Form::Consent);
        let place =
            |heading: &str| fields(Form::Consent).iter().position(|field| field.heading == heading).unwrap();
        row[place("患者氏名ふりがな")] = "福井".into();
        row[place("署名した方")] = "隣人".into();
        row[place("同意日")] = "昨日".into();
        row[place("説明者氏名")] = String::new();
        row[place("生年月日")] = "令和9年1月1日".into();
        let bytes = paper_book::filled(Form::Consent, &[row]).unwrap();
        let table = sheet_file::read_sheet(&bytes, &sheet_names()).unwrap();
        let reading = read(&table, Form::Consent, TODAY);
        let codes: Vec<&str> = reading.faults.iter().map(|fault| fault.code.as_str()).collect();
        assert_eq!(codes, ["MM-5281", "MM-5924", "MM-5271", "MM-5914", "MM-5201"]);
        assert!(reading.papers.is_empty());
        assert_eq!(reading.faults[0].given, "", "a patient's name is repeated nowhere");
        assert!(reading.faults.iter().all(|fault| fault.cell.is_some()));
    }

    #[test]
    fn a_change_must_change_something_and_an_admin_goes_by_telephone() {
        let mut row = sample(Form::Change);
        for (cell, field) in row.iter_mut().zip(fields(Form::Change)) {
            if matches!(field.becomes, Becomes::Change(_) | Becomes::AdminChange) {
                cell.clear();
            }
        }
        let read_row = |row: Vec<String>| {
            let bytes = paper_book::filled(Form::Change, &[row]).unwrap();
            read(&sheet_file::read_sheet(&bytes, &sheet_names()).unwrap(), Form::Change, TODAY)
        };
        assert_eq!(read_row(row).faults[0].code, "MM-5922");
        assert_eq!(read_row(sample(Form::Change)).warnings[0].code, "MM-5923");
    }
}
